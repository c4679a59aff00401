//! `evaluate`: losses and metrics on data.

use super::fit::at_most;
use super::program::{Kind, StepResult};
use super::scores::numbers;
use super::{Data, Dataset, Executions, Pass, Scores};
use crate::callbacks::{Callback, List, Run};
use crate::config;
use crate::error::{Error, Result};
use crate::model::Model;

/// How to evaluate.
pub struct Evaluate<'e> {
    batch_size: usize,
    steps: Option<usize>,
    verbose: u8,
    callbacks: Vec<Box<dyn Callback + 'e>>,
}

impl Default for Evaluate<'_> {
    fn default() -> Self {
        Evaluate::new()
    }
}

impl<'e> Evaluate<'e> {
    /// All data in batches of 32, silently.
    pub fn new() -> Evaluate<'e> {
        Evaluate { batch_size: 32, steps: None, verbose: 0, callbacks: Vec::new() }
    }

    /// Samples a batch.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// At most this many batches.
    pub fn steps(self, steps: usize) -> Self {
        self.limit(Some(steps))
    }

    /// 0: silent, 1: progress bar, 2: one line.
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// Adds a callback.
    pub fn callback(mut self, callback: impl Callback + 'e) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    pub(crate) fn limit(mut self, steps: Option<usize>) -> Self {
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
        let mut options = options;
        let mut callbacks = List::of_run(std::mem::take(&mut options.callbacks), options.verbose);
        let limit = at_most(options.steps, config::max_steps_per_epoch());
        let steps = limit.or_else(|| data.steps(options.batch_size));
        let mut run = Run::new(self, 1, steps, options.verbose);
        self.evaluate_within(data, &options, &mut callbacks, &mut run)
    }

    pub(crate) fn evaluate_within(
        &self,
        data: &dyn Dataset,
        options: &Evaluate,
        callbacks: &mut List,
        run: &mut Run,
    ) -> Result<Scores> {
        if !self.compiled() {
            return Err(Error::argument("evaluate", "the model is not compiled", "call compile first"));
        }
        callbacks.on_test_begin(run)?;
        self.reset_metrics()?;
        let pass = Pass { batch_size: options.batch_size, shuffle: None, epoch: 0 };
        let executions = Executions::of(self);
        let mut own = Scores::new();
        let limit = at_most(options.steps, config::max_steps_per_epoch());
        let mut batches = data.batches(&pass)?.take(limit.unwrap_or(usize::MAX)).enumerate().peekable();
        if batches.peek().is_none() {
            return Err(Error::argument("evaluate", "the data set gave no batches", "give at least one sample"));
        }
        while let Some((step, batch)) = batches.next() {
            let batch = batch?;
            if step == 0 {
                self.prepare(&batch)?;
            }
            if executions.begins(step) {
                callbacks.on_test_batch_begin(step, run)?;
            }
            if let StepResult::Logs(logs) = self.run_step(Kind::Test, &batch)? {
                own = logs;
            }
            if let Some(end) = executions.ends(step, batches.peek().is_none()) {
                callbacks.on_test_batch_end(end, run)?;
            }
        }
        let scores = if own.is_empty() { self.results()? } else { own };
        callbacks.on_test_end(&numbers(&scores), run)?;
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
