//! `evaluate`: losses and metrics on data.

use super::program::{Kind, StepResult};
use super::scores::numbers;
use super::{Data, Dataset, Pass, Scores};
use crate::callbacks::{Callback, Run};
use crate::error::{Error, Result};
use crate::model::Model;

/// How to evaluate.
#[derive(Clone, Debug)]
pub struct Evaluate {
    batch_size: usize,
    steps: Option<usize>,
    verbose: u8,
}

impl Default for Evaluate {
    fn default() -> Evaluate {
        Evaluate::new()
    }
}

impl Evaluate {
    /// All data in batches of 32, silently.
    pub fn new() -> Evaluate {
        Evaluate { batch_size: 32, steps: None, verbose: 0 }
    }

    /// Samples a batch.
    pub fn batch_size(mut self, batch_size: usize) -> Evaluate {
        self.batch_size = batch_size;
        self
    }

    /// At most this many batches.
    pub fn steps(self, steps: usize) -> Evaluate {
        self.limit(Some(steps))
    }

    pub(crate) fn limit(mut self, steps: Option<usize>) -> Evaluate {
        self.steps = steps;
        self
    }
}

impl Model {
    /// The compiled losses and metrics on `data`, by Keras's names.
    ///
    /// # Errors
    /// If the model is not compiled or the data does not fit it.
    pub fn evaluate(&self, data: &dyn Dataset, options: Evaluate) -> Result<Scores> {
        let steps = options.steps.or_else(|| data.steps(options.batch_size));
        let mut run = Run::new(self, 1, steps, options.verbose);
        self.evaluate_within(data, &options, &mut Vec::new(), &mut run)
    }

    pub(crate) fn evaluate_within<'c>(
        &self,
        data: &dyn Dataset,
        options: &Evaluate,
        callbacks: &mut Vec<Box<dyn Callback + 'c>>,
        run: &mut Run,
    ) -> Result<Scores> {
        if !self.compiled() {
            return Err(Error::argument("evaluate", "the model is not compiled", "call compile first"));
        }
        self.reset_metrics()?;
        callbacks.iter_mut().try_for_each(|c| c.on_test_begin(run))?;
        let pass = Pass { batch_size: options.batch_size, shuffle: None, epoch: 0 };
        let mut own = Scores::new();
        let mut seen = false;
        for (step, batch) in data.batches(&pass)?.take(options.steps.unwrap_or(usize::MAX)).enumerate() {
            let batch = batch?;
            if step == 0 {
                self.prepare(&batch)?;
            }
            callbacks.iter_mut().try_for_each(|c| c.on_test_batch_begin(step, run))?;
            if let StepResult::Logs(logs) = self.run_step(Kind::Test, &batch)? {
                own = logs;
            }
            callbacks.iter_mut().try_for_each(|c| c.on_test_batch_end(step, run))?;
            seen = true;
        }
        if !seen {
            return Err(Error::argument("evaluate", "the data set gave no batches", "give at least one sample"));
        }
        let scores = if own.is_empty() { self.results()? } else { own };
        let logs = numbers(&scores);
        callbacks.iter_mut().try_for_each(|c| c.on_test_end(&logs, run))?;
        Ok(scores)
    }

    /// The losses and metrics of one batch, added to those since they were last reset.
    ///
    /// # Errors
    /// As [`Model::evaluate`].
    pub fn test_on_batch(&self, batch: &Data) -> Result<Scores> {
        if !self.compiled() {
            return Err(Error::argument("test_on_batch", "the model is not compiled", "call compile first"));
        }
        batch.samples()?;
        self.prepare(batch.as_batch())?;
        match self.run_step(Kind::Test, batch.as_batch())? {
            StepResult::Logs(logs) if !logs.is_empty() => Ok(logs),
            _ => self.results(),
        }
    }
}
