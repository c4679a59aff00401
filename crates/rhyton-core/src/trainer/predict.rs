//! `predict`: outputs for inputs.

use rhyton_ir::{Array, Element, with_data};

use super::data::IntoArrays;
use super::program::{Kind, StepResult};
use super::{Batch, Data, Dataset, Executions, Pass};
use crate::callbacks::{Callback, List, Run};
use crate::config;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::nest::Nest;
use crate::tensor::Tensor;

/// How to predict.
#[derive(Default)]
pub struct Predict<'p> {
    batch_size: Option<usize>,
    callbacks: Vec<Box<dyn Callback + 'p>>,
}

impl<'p> Predict<'p> {
    /// In batches of 32.
    pub fn new() -> Predict<'p> {
        Predict::default()
    }

    /// Samples a batch.
    pub fn batch_size(mut self, batch_size: usize) -> Predict<'p> {
        self.batch_size = Some(batch_size);
        self
    }

    /// Adds a callback.
    pub fn callback(mut self, callback: impl Callback + 'p) -> Predict<'p> {
        self.callbacks.push(Box::new(callback));
        self
    }
}

impl Model {
    /// The outputs for `x`, flat, in the order of the model's outputs; each with the samples along its first axis.
    ///
    /// # Errors
    /// If `x` does not fit the model.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::prelude::*;
    ///
    /// let model = Sequential::new().add(Input::new([2])).add(Dense::new(3).kernel_initializer(Ones::default()));
    /// let y = model.predict(Array::new([1, 2], vec![1.0f32, 2.0]))?;
    /// assert_eq!(y[0].to_f64_vec(), [3.0, 3.0, 3.0]);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    pub fn predict(&self, x: impl IntoArrays) -> Result<Vec<Array>> {
        self.predict_with(&Data::inputs(x), Predict::new())
    }

    /// [`Model::predict`] on any data set, with options.
    ///
    /// # Errors
    /// As there.
    pub fn predict_with(&self, data: &dyn Dataset, options: Predict) -> Result<Vec<Array>> {
        let mut callbacks = List::of_run(options.callbacks, 0);
        let batch_size = options.batch_size.unwrap_or(32);
        let limit = config::max_steps_per_epoch();
        let mut run = Run::new(self, 1, limit.or_else(|| data.steps(batch_size)), 0);
        callbacks.on_predict_begin(&mut run)?;
        let executions = Executions::of(self);
        let mut parts: Vec<Vec<Array>> = Vec::new();
        let batches = data.batches(&Pass { batch_size, shuffle: None, epoch: 0 })?;
        let mut batches = batches.take(limit.unwrap_or(usize::MAX)).enumerate().peekable();
        while let Some((step, batch)) = batches.next() {
            let batch = Batch { y: None, sample_weight: None, ..batch? };
            if step == 0 && !self.built() {
                self.prepare(&batch)?;
            }
            if executions.begins(step) {
                callbacks.on_predict_batch_begin(step, &mut run)?;
            }
            if let StepResult::Outputs(outputs) = self.run_step(Kind::Predict, &batch)? {
                parts.push(flat(&outputs).into_iter().map(|t| t.eval()).collect::<Result<_>>()?);
            }
            if let Some(end) = executions.ends(step, batches.peek().is_none()) {
                callbacks.on_predict_batch_end(end, &mut run)?;
            }
        }
        callbacks.on_predict_end(&mut run)?;
        let outputs = parts.first().map_or(0, Vec::len);
        if outputs == 0 {
            return Err(Error::argument("predict", "the data set gave no batches", "give at least one sample"));
        }
        (0..outputs).map(|i| stacked(parts.iter().map(|p| &p[i]).collect())).collect()
    }

    /// The outputs for one batch.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_on_batch(&self, x: impl IntoArrays) -> Result<Vec<Array>> {
        let data = Data::inputs(x);
        let samples = data.samples()?;
        self.predict_with(&data, Predict::new().batch_size(samples))
    }
}

fn flat(outputs: &Nest) -> Vec<&Tensor> {
    outputs.tensors()
}

/// Arrays one after the other along the first axis.
fn stacked(parts: Vec<&Array>) -> Result<Array> {
    fn join<T: Element>(first: &[T], parts: &[&Array]) -> Vec<T> {
        let mut out = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
        out.extend_from_slice(first);
        parts[1..].iter().filter_map(|p| p.as_slice::<T>()).for_each(|s| out.extend_from_slice(s));
        out
    }
    if let [only] = parts.as_slice() {
        return Ok((*only).clone());
    }
    let first = parts[0];
    let rest = |a: &Array| a.shape().get(1..).map(<[usize]>::to_vec);
    if first.rank() == 0 || parts.iter().any(|p| rest(p) != rest(first) || p.dtype() != first.dtype()) {
        return Err(Error::shape(
            "predict",
            format!("batches gave outputs of shapes {:?} and others", first.shape()),
            "make the outputs of all batches alike but for the first axis, or predict each batch on its own",
        ));
    }
    let mut shape = first.shape().to_vec();
    shape[0] = parts.iter().map(|p| p.shape()[0]).sum();
    Ok(with_data!(first.data(), v => Array::new(shape, join(v, &parts))))
}
