//! Compiled steps, kept from one call to the next.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use rhyton_ir::{Array, TensorType};

use super::{Batch, Score, Scores, Steps, Trainer};
use crate::error::{Error, Result};
use crate::jit::{Jit, jit};
use crate::layers::{Base, Layer};
use crate::model::{Body, Model};
use crate::nest::Nest;
use crate::tensor::{Tensor, evaluate_all};
use crate::variable::Variable;

/// Which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Train,
    Test,
    Predict,
}

/// The compiled steps of a model.
#[derive(Default)]
pub(crate) struct Programs {
    steps: Vec<Arc<StepProgram>>,
    results: Option<Arc<ResultsProgram>>,
}

/// A step compiled for batches of one structure.
pub(crate) struct StepProgram {
    kind: Kind,
    structure: String,
    jit: Jit<'static>,
    /// Names of the step's own logs, or the structure of predictions; known once it has been traced.
    traced: Arc<Mutex<Traced>>,
    /// Kept across steps so that a step allocates nothing.
    buffers: Mutex<(Vec<Array>, Vec<Array>)>,
}

#[derive(Default)]
struct Traced {
    names: Vec<String>,
    outputs: Option<Nest>,
}

struct ResultsProgram {
    jit: Jit<'static>,
    names: Arc<Mutex<Vec<String>>>,
}

/// A model that does not keep its trainer alive: programs are kept in it.
#[derive(Clone)]
struct WeakModel {
    base: Base,
    body: Arc<Body>,
    trainer: Weak<Mutex<Trainer>>,
}

impl WeakModel {
    fn of(model: &Model) -> WeakModel {
        WeakModel { base: model.base.clone(), body: Arc::clone(&model.body), trainer: Arc::downgrade(&model.trainer) }
    }

    fn model(&self) -> Result<Model> {
        let trainer = self
            .trainer
            .upgrade()
            .ok_or_else(|| Error::argument("step", "the model is gone", "keep the model while its steps run"))?;
        Ok(Model { base: self.base.clone(), body: Arc::clone(&self.body), trainer })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Model {
    /// Runs one step on a batch. The step's own logs, if it returns any; of a prediction, the outputs by structure.
    ///
    /// # Errors
    /// If the batch does not fit the model.
    pub(crate) fn run_step(&self, kind: Kind, batch: &Batch) -> Result<StepResult> {
        let eager = self.lock_trainer().compile.as_ref().is_some_and(|c| c.run_eagerly);
        if eager || !self.supports_jit() {
            return self.run_step_eagerly(kind, batch);
        }
        let program = self.step_program(kind, batch);
        let mut buffers = lock(&program.buffers);
        let (arguments, results) = &mut *buffers;
        arguments.clear();
        for tensor in tensors(batch) {
            arguments.push(tensor.eval()?);
        }
        program.jit.run(arguments, results)?;
        arguments.clear();
        let traced = lock(&program.traced);
        if kind == Kind::Predict {
            let outputs = traced.outputs.as_ref().map(|nest| {
                let mut values = results.drain(..);
                nest.map(&mut |t| Ok(values.next().map_or_else(|| t.clone(), Tensor::from)))
            });
            return Ok(StepResult::Outputs(outputs.transpose()?.unwrap_or_else(Nest::none)));
        }
        let logs = traced.names.iter().zip(results.iter()).map(|(n, v)| (n.clone(), Score::of(v)));
        Ok(StepResult::Logs(logs.collect()))
    }

    fn run_step_eagerly(&self, kind: Kind, batch: &Batch) -> Result<StepResult> {
        let steps = self.lock_trainer().steps();
        let result = match kind {
            Kind::Predict => StepResult::Outputs(steps.predict_step(self, batch)?),
            Kind::Train | Kind::Test => {
                let train = kind == Kind::Train;
                let logs = if train { steps.train_step(self, batch)? } else { steps.test_step(self, batch)? };
                let scores = logs.into_iter().map(|(name, t)| Ok((name, Score::of(&t.eval()?))));
                StepResult::Logs(scores.collect::<Result<_>>()?)
            }
        };
        // Assigned values are recipes until read: computing them now keeps the recipes from growing step by step.
        let mut variables = self.weights();
        variables.extend(self.optimizer().map(|o| o.variables()).unwrap_or_default());
        evaluate_all(&variables.iter().map(Variable::value).collect::<Vec<_>>())?;
        self.results()?;
        Ok(result)
    }

    /// The metrics of the epoch so far.
    ///
    /// # Errors
    /// If a result cannot be computed.
    pub(crate) fn results(&self) -> Result<Scores> {
        let existing = self.lock_trainer().programs.results.clone();
        let program = existing.unwrap_or_else(|| {
            let names = Arc::new(Mutex::new(Vec::new()));
            let (weak, seen) = (WeakModel::of(self), Arc::clone(&names));
            let jit = jit(move |_: &[Tensor]| {
                let (found, values) = weak.model()?.lock_trainer().results()?.into_iter().unzip();
                *lock(&seen) = found;
                Ok(values)
            });
            let program = Arc::new(ResultsProgram { jit, names });
            self.lock_trainer().programs.results = Some(Arc::clone(&program));
            program
        });
        let mut values = Vec::new();
        program.jit.run(&[], &mut values)?;
        let names = lock(&program.names);
        Ok(names.iter().cloned().zip(values.iter().map(Score::of)).collect())
    }

    fn step_program(&self, kind: Kind, batch: &Batch) -> Arc<StepProgram> {
        let structure = structure_of(batch);
        let mut trainer = self.lock_trainer();
        let steps = &mut trainer.programs.steps;
        if let Some(program) = steps.iter().find(|p| p.kind == kind && p.structure == structure) {
            return Arc::clone(program);
        }
        let traced = Arc::new(Mutex::new(Traced::default()));
        let own: Arc<dyn Steps> = trainer.steps();
        let jit = step_jit(WeakModel::of(self), own, kind, template_of(batch), Arc::clone(&traced));
        let program = Arc::new(StepProgram { kind, structure, jit, traced, buffers: Mutex::default() });
        trainer.programs.steps.push(Arc::clone(&program));
        // What the results are hangs on metrics that the first trace makes.
        trainer.programs.results = None;
        program
    }
}

fn step_jit(
    model: WeakModel,
    steps: Arc<dyn Steps>,
    kind: Kind,
    template: Batch,
    traced: Arc<Mutex<Traced>>,
) -> Jit<'static> {
    jit(move |values: &[Tensor]| {
        let model = model.model()?;
        let batch = fill(&template, values)?;
        let logs = match kind {
            Kind::Train => steps.train_step(&model, &batch)?,
            Kind::Test => steps.test_step(&model, &batch)?,
            Kind::Predict => {
                let outputs = steps.predict_step(&model, &batch)?;
                let flat = outputs.tensors().into_iter().cloned().collect();
                // Only the structure is kept, not what this trace computed.
                lock(&traced).outputs = Some(outputs.map(&mut |t| Ok(Tensor::placeholder(t.ty().clone())))?);
                return Ok(flat);
            }
        };
        let (names, tensors) = logs.into_iter().unzip();
        lock(&traced).names = names;
        Ok(tensors)
    })
}

/// What a step gave.
pub(crate) enum StepResult {
    Logs(Scores),
    Outputs(Nest),
}

fn tensors(batch: &Batch) -> impl Iterator<Item = &Tensor> {
    [Some(&batch.x), batch.y.as_ref(), batch.sample_weight.as_ref()].into_iter().flatten().flat_map(Nest::tensors)
}

/// The batch with other tensors.
fn fill(template: &Batch, values: &[Tensor]) -> Result<Batch> {
    let mut values = values.iter();
    let mut next = |t: &Tensor| Ok(values.next().unwrap_or(t).clone());
    Ok(Batch {
        x: template.x.map(&mut next)?,
        y: template.y.as_ref().map(|n| n.map(&mut next)).transpose()?,
        sample_weight: template.sample_weight.as_ref().map(|n| n.map(&mut next)).transpose()?,
    })
}

/// The batch's structure without its values.
fn template_of(batch: &Batch) -> Batch {
    let empty = |nest: &Nest| nest.map(&mut |t| Ok(Tensor::placeholder(TensorType::new(t.dtype(), t.shape().clone()))));
    // Making placeholders cannot fail.
    let empty = |nest: &Nest| empty(nest).unwrap_or_else(|_| nest.clone());
    Batch { x: empty(&batch.x), y: batch.y.as_ref().map(empty), sample_weight: batch.sample_weight.as_ref().map(empty) }
}

/// The structure as text: programs are found by it.
fn structure_of(batch: &Batch) -> String {
    fn write(nest: &Nest, out: &mut String) {
        match nest {
            Nest::Tensor(_) => out.push('t'),
            Nest::List(items) => {
                out.push('[');
                items.iter().for_each(|n| write(n, out));
                out.push(']');
            }
            Nest::Dict(items) => {
                out.push('{');
                for (key, item) in items {
                    out.push_str(key);
                    out.push(':');
                    write(item, out);
                }
                out.push('}');
            }
            Nest::Plain(_) => out.push('-'),
        }
    }
    let mut out = String::new();
    for nest in [Some(&batch.x), batch.y.as_ref(), batch.sample_weight.as_ref()] {
        match nest {
            Some(nest) => write(nest, &mut out),
            None => out.push('0'),
        }
        out.push(' ');
    }
    out
}
