//! One step of training, evaluation or prediction.

use indexmap::IndexMap;

use super::Batch;
use crate::error::{Error, Result};
use crate::layers::{Context, Layer};
use crate::model::Model;
use crate::nest::Nest;
use crate::tensor::{Tensor, gradients_if_any};
use crate::variable::Variable;

/// Results of a step by name, as tensors.
pub type StepLogs = IndexMap<String, Tensor>;

/// The steps of a model; what is not overridden is Keras's own. Steps are compiled like the built-in ones: they run once
/// on symbols of a batch and may read and assign variables.
///
/// A step that keeps its own metrics returns them; an empty result stands for the metrics that the model is compiled
/// with, whose state [`Model::update_metrics`] moves on.
pub trait Steps: Send + Sync {
    /// One step of training: forward, backward, update.
    ///
    /// # Errors
    /// If the batch does not fit.
    fn train_step(&self, model: &Model, batch: &Batch) -> Result<StepLogs> {
        model.default_train_step(batch)
    }

    /// One step of evaluation.
    ///
    /// # Errors
    /// If the batch does not fit.
    fn test_step(&self, model: &Model, batch: &Batch) -> Result<StepLogs> {
        model.default_test_step(batch)
    }

    /// One step of prediction.
    ///
    /// # Errors
    /// If the batch does not fit.
    fn predict_step(&self, model: &Model, batch: &Batch) -> Result<Nest> {
        model.apply(batch.x.clone(), &mut Context::new(false))
    }
}

/// Keras's own steps.
pub(crate) struct DefaultSteps;

impl Steps for DefaultSteps {}

impl Model {
    /// Keras's training step: predict, compute the loss, update the weights, update the metrics.
    ///
    /// # Errors
    /// If the model is not compiled, or the batch does not fit it.
    pub fn default_train_step(&self, batch: &Batch) -> Result<StepLogs> {
        let mut cx = Context::new(true);
        let y_pred = self.apply(batch.x.clone(), &mut cx)?;
        let loss = self.compute_loss(batch, &y_pred, &cx)?;
        self.track_loss(&loss, batch)?;
        self.minimize(&loss)?;
        self.update_metrics(batch, &y_pred)?;
        Ok(StepLogs::new())
    }

    /// Updates the trained weights by the gradients of `loss`, with the compiled optimizer. Weights on which the loss does not
    /// depend stay as they are: they do not decay either, and their constraints are not applied. A warning names them, once.
    ///
    /// # Errors
    /// If the model is not compiled with an optimizer, or `loss` depends on none of the weights.
    pub fn minimize(&self, loss: &Tensor) -> Result<()> {
        let optimizer = self.optimizer().ok_or_else(|| not_compiled("fit"))?;
        let variables = self.trainable_weights();
        if variables.is_empty() {
            return Ok(());
        }
        let values: Vec<Tensor> = variables.iter().map(Variable::value).collect();
        let found = gradients_if_any(&optimizer.scale_loss(loss), &values)?;
        // Slots are made for all weights, whichever this loss depends on.
        optimizer.build(&variables)?;
        let (gradients, updated, idle) = by_gradient(found, variables);
        if updated.is_empty() {
            return Err(no_gradients(&idle));
        }
        self.lock_trainer().warn_of_idle(idle);
        optimizer.apply(&gradients, &updated)
    }

    /// Keras's evaluation step.
    ///
    /// # Errors
    /// If the model is not compiled, or the batch does not fit it.
    pub fn default_test_step(&self, batch: &Batch) -> Result<StepLogs> {
        let mut cx = Context::new(false);
        let y_pred = self.apply(batch.x.clone(), &mut cx)?;
        let loss = self.compute_loss(batch, &y_pred, &cx)?;
        self.track_loss(&loss, batch)?;
        self.update_metrics(batch, &y_pred)?;
        Ok(StepLogs::new())
    }

    /// The compiled loss, the losses that layers added during the call `cx`, and the penalties on weights: one scalar.
    ///
    /// # Errors
    /// If there is no loss at all, or targets and predictions do not fit it.
    pub fn compute_loss(&self, batch: &Batch, y_pred: &Nest, cx: &Context) -> Result<Tensor> {
        let outputs = self.flat_outputs(y_pred);
        let targets = self.by_output(batch.y.as_ref(), outputs.len(), y_pred)?;
        let weights = self.weights_by_output(batch, outputs.len(), y_pred)?;
        let compiled = self.lock_trainer().loss_for(&self.output_keys(y_pred))?;
        let mut terms: Vec<Tensor> = Vec::new();
        terms.extend(compiled.call(&targets, &outputs, &weights)?);
        terms.extend(cx.losses.iter().cloned());
        terms.extend(self.extra_losses());
        for variable in self.trainable_weights() {
            if let Some(regularizer) = variable.regularizer() {
                terms.push(regularizer.call(&variable.value())?);
            }
        }
        let total = terms.into_iter().map(|t| t.cast(rhyton_ir::DType::F32)).reduce(|a, b| a + b);
        let total = total.ok_or_else(|| {
            Error::argument(
                "compile",
                "there is no loss to compute",
                "compile the model with a loss, or add one in a layer",
            )
        })?;
        total.check().cloned()
    }

    /// Counts the loss of a batch into the epoch's mean, `loss`.
    ///
    /// # Errors
    /// If the loss carries one.
    pub fn track_loss(&self, loss: &Tensor, batch: &Batch) -> Result<()> {
        let first = batch.x.tensors().into_iter().next().cloned();
        let tracker = self.lock_trainer().loss_tracker.clone();
        tracker.update(loss, &first.unwrap_or_else(|| loss.clone()))
    }

    /// Counts a batch into the compiled metrics.
    ///
    /// # Errors
    /// If targets or predictions do not fit a metric.
    pub fn update_metrics(&self, batch: &Batch, y_pred: &Nest) -> Result<()> {
        let outputs = self.flat_outputs(y_pred);
        let targets = self.by_output(batch.y.as_ref(), outputs.len(), y_pred)?;
        let weights = self.weights_by_output(batch, outputs.len(), y_pred)?;
        let names = self.output_keys(y_pred);
        let metrics = self.lock_trainer().metrics_for(&names, &targets, &outputs)?;
        metrics.update(&targets, &outputs, &weights)
    }

    /// The predictions, flat, in the order of the outputs.
    fn flat_outputs(&self, y_pred: &Nest) -> Vec<Tensor> {
        match y_pred {
            Nest::Dict(items) => {
                self.output_keys(y_pred).iter().filter_map(|k| items[k].single().ok().cloned()).collect()
            }
            other => other.tensors().into_iter().cloned().collect(),
        }
    }

    /// By which names losses and metrics call the outputs: a dictionary's keys, else the names of the output layers.
    pub(crate) fn output_keys(&self, y_pred: &Nest) -> Vec<String> {
        let named = self.output_names();
        match y_pred {
            Nest::Dict(items) => {
                if items.len() == named.len() && named.iter().all(|n| items.contains_key(n)) {
                    return named;
                }
                let mut keys: Vec<String> = items.keys().cloned().collect();
                keys.sort();
                keys
            }
            other => {
                let outputs = other.tensors().len();
                if named.len() == outputs { named } else { (0..outputs).map(|i| format!("output_{i}")).collect() }
            }
        }
    }

    /// Targets or weights in the order of the outputs.
    fn by_output(&self, given: Option<&Nest>, outputs: usize, y_pred: &Nest) -> Result<Vec<Option<Tensor>>> {
        let Some(given) = given else { return Ok(vec![None; outputs]) };
        if let Nest::Dict(items) = given {
            let keys = self.output_keys(y_pred);
            let layers = self.output_names();
            let find =
                |i: usize| keys.get(i).and_then(|k| items.get(k)).or_else(|| layers.get(i).and_then(|l| items.get(l)));
            return Ok((0..outputs).map(|i| find(i).and_then(|n| n.single().ok()).cloned()).collect());
        }
        if outputs == 1 {
            return Ok(vec![Some(given.single()?.clone())]);
        }
        let flat: Vec<Option<Tensor>> = match given {
            // An output without targets is None in its place.
            Nest::List(items) => items.iter().map(|n| n.single().ok().cloned()).collect(),
            other => other.tensors().into_iter().cloned().map(Some).collect(),
        };
        if flat.len() != outputs {
            return Err(Error::argument(
                "fit",
                format!("{} targets for {outputs} outputs", flat.len()),
                format!("give one an output: {:?}", self.output_keys(y_pred)),
            ));
        }
        Ok(flat)
    }

    /// One weight for all outputs goes to each.
    fn weights_by_output(&self, batch: &Batch, outputs: usize, y_pred: &Nest) -> Result<Vec<Option<Tensor>>> {
        match &batch.sample_weight {
            Some(Nest::Tensor(weight)) => Ok(vec![Some(weight.clone()); outputs]),
            given => self.by_output(given.as_ref(), outputs, y_pred),
        }
    }
}

/// The gradients there are, the variables that they are of, and the paths of those that have none.
fn by_gradient(gradients: Vec<Option<Tensor>>, variables: Vec<Variable>) -> (Vec<Tensor>, Vec<Variable>, Vec<String>) {
    let (mut found, mut updated, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for (gradient, variable) in gradients.into_iter().zip(variables) {
        match gradient {
            Some(gradient) => {
                found.push(gradient);
                updated.push(variable);
            }
            None => idle.push(variable.path().to_owned()),
        }
    }
    (found, updated, idle)
}

fn no_gradients(paths: &[String]) -> Error {
    Error::argument(
        "fit",
        format!("no gradients for any variable: the loss does not depend on {}", paths.join(", ")),
        "compile with a loss of the outputs, and have what it depends on train",
    )
}

/// The error of what needs a compiled model.
pub(crate) fn not_compiled(what: &str) -> Error {
    Error::argument(what, "the model is not compiled with an optimizer", "call compile first")
}
