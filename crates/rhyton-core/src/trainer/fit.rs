//! `fit`: training over epochs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::program::{Kind, StepResult};
use super::scores::numbers;
use super::step::not_compiled;
use super::{Batch, Data, Dataset, Evaluate, Executions, History, Pass, Scores};
use crate::callbacks::{Callback, List, Logs, Run};
use crate::config;
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::model::Model;
use crate::random;

/// How to train; Keras's arguments of `fit` with Keras's defaults.
pub struct Fit<'f> {
    batch_size: usize,
    epochs: usize,
    initial_epoch: usize,
    verbose: u8,
    shuffle: bool,
    seed: Option<u64>,
    validation_split: f64,
    validation_data: Option<&'f dyn Dataset>,
    validation_batch_size: Option<usize>,
    validation_steps: Option<usize>,
    validation_freq: usize,
    steps_per_epoch: Option<usize>,
    class_weight: Option<BTreeMap<usize, f64>>,
    callbacks: Vec<Box<dyn Callback + 'f>>,
    interrupt: Option<Arc<AtomicBool>>,
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Fit::new()
    }
}

impl<'f> Fit<'f> {
    /// One epoch in batches of 32, shuffled, with a progress bar.
    pub fn new() -> Fit<'f> {
        Fit {
            batch_size: 32,
            epochs: 1,
            initial_epoch: 0,
            verbose: 1,
            shuffle: true,
            seed: None,
            validation_split: 0.0,
            validation_data: None,
            validation_batch_size: None,
            validation_steps: None,
            validation_freq: 1,
            steps_per_epoch: None,
            class_weight: None,
            callbacks: Vec::new(),
            interrupt: None,
        }
    }

    /// Samples a batch.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Train until this epoch.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The epoch to start at, when training goes on.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// 0: silent, 1: progress bar, 2: one line an epoch.
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// Whether each epoch has another order of the samples.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Makes the orders reproducible apart from the process's seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The share of the samples, taken from the end, that is not trained on but validated with.
    pub fn validation_split(mut self, fraction: f64) -> Self {
        self.validation_split = fraction;
        self
    }

    /// Data to validate with after each epoch.
    pub fn validation_data(mut self, data: &'f dyn Dataset) -> Self {
        self.validation_data = Some(data);
        self
    }

    /// Samples a batch of validation; as for training unless said.
    pub fn validation_batch_size(mut self, batch_size: usize) -> Self {
        self.validation_batch_size = Some(batch_size);
        self
    }

    /// Batches of a validation; all unless said.
    pub fn validation_steps(mut self, steps: usize) -> Self {
        self.validation_steps = Some(steps);
        self
    }

    /// Validate every so many epochs.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs.max(1);
        self
    }

    /// Batches of an epoch; all of the data unless said.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// How much the samples of each class count.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (usize, f64)>) -> Self {
        self.class_weight = Some(weights.into_iter().collect());
        self
    }

    /// Adds a callback.
    pub fn callback(mut self, callback: impl Callback + 'f) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Adds callbacks of one type; mix types with boxes, or with several calls of [`Fit::callback`].
    pub fn callbacks<C: Callback + 'f>(mut self, callbacks: impl IntoIterator<Item = C>) -> Self {
        self.callbacks.extend(callbacks.into_iter().map(|c| Box::new(c) as Box<dyn Callback + 'f>));
        self
    }

    /// Ends the training cleanly after the step at hand once the flag is set (by a handler of Ctrl-C, say).
    pub fn interrupt(mut self, flag: Arc<AtomicBool>) -> Self {
        self.interrupt = Some(flag);
        self
    }

    fn interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

impl Model {
    /// Trains the model.
    ///
    /// # Errors
    /// If the model is not compiled, the data does not fit it, or a callback fails. What has been trained until then stays
    /// in the model.
    pub fn fit(&self, data: &dyn Dataset, options: Fit) -> Result<History> {
        let mut options = options;
        if self.optimizer().is_none() {
            return Err(not_compiled("fit"));
        }
        options.epochs = options.epochs.min(config::max_epochs().unwrap_or(usize::MAX));
        let split = if options.validation_split > 0.0 && options.validation_data.is_none() {
            Some(data.split(options.validation_split)?)
        } else {
            None
        };
        let data: &dyn Dataset = split.as_ref().map_or(data, |(train, _)| train);
        let weighted = match &options.class_weight {
            Some(weights) => Some(weighted(data, weights)?),
            None => None,
        };
        let data: &dyn Dataset = weighted.as_ref().map_or(data, |d| d);
        let validation: Option<&dyn Dataset> =
            options.validation_data.or(split.as_ref().map(|(_, v)| v as &dyn Dataset));
        let callbacks = List::of_run(std::mem::take(&mut options.callbacks), options.verbose);
        options.steps_per_epoch = at_most(options.steps_per_epoch, config::max_steps_per_epoch());
        let steps = options.steps_per_epoch.or_else(|| data.steps(options.batch_size));
        let mut run = Run::new(self, options.epochs, steps, options.verbose);
        let mut epochs = Epochs { model: self, options: &options, callbacks, history: History::default() };
        let mut last = Logs::new();
        epochs.callbacks.on_train_begin(&mut run)?;
        let (first_epoch, first_step) = run.resumed().unwrap_or((options.initial_epoch, 0));
        for epoch in first_epoch..options.epochs {
            let first_step = if epoch == first_epoch { first_step } else { 0 };
            last = epochs.epoch(epoch, first_step, data, validation, &mut run)?;
            if run.stopped() || options.interrupted() {
                break;
            }
        }
        if options.interrupted() {
            epochs.history.interrupted = true;
            run.interrupt();
        }
        if let Some(optimizer) = self.optimizer() {
            optimizer.finalize(&self.trainable_weights())?;
        }
        epochs.callbacks.on_train_end(&last, &mut run)?;
        Ok(epochs.history)
    }

    /// One training step on one batch; the metrics since they were last reset.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub fn train_on_batch(&self, batch: &Data) -> Result<Scores> {
        if self.optimizer().is_none() {
            return Err(not_compiled("train_on_batch"));
        }
        batch.samples()?;
        self.prepare(batch.as_batch())?;
        match self.run_step(Kind::Train, batch.as_batch())? {
            StepResult::Logs(logs) if !logs.is_empty() => Ok(logs),
            _ => self.results(),
        }
    }

    /// Starts all metrics anew.
    ///
    /// # Errors
    /// If a metric cannot be reset.
    pub fn reset_metrics(&self) -> Result<()> {
        self.lock_trainer().reset_metrics()
    }

    /// Makes the weights and the optimizer's state for a model that has not met data yet.
    pub(crate) fn prepare(&self, batch: &Batch) -> Result<()> {
        if !self.built() {
            // The weights are made by a call whose result nobody reads.
            let abstracted = batch.x.map(&mut |t| Ok(crate::Tensor::placeholder(t.ty().clone())))?;
            self.apply(abstracted, &mut crate::layers::Context::default())?;
        }
        match self.optimizer() {
            Some(optimizer) => optimizer.build(&self.trainable_weights()),
            None => Ok(()),
        }
    }
}

/// The smaller of two limits, each of which may be missing.
pub(super) fn at_most(limit: Option<usize>, other: Option<usize>) -> Option<usize> {
    limit.into_iter().chain(other).min()
}

fn weighted(data: &dyn Dataset, weights: &BTreeMap<usize, f64>) -> Result<Data> {
    let everything = Pass { batch_size: usize::MAX, shuffle: None, epoch: 0 };
    let mut batches = data.batches(&everything)?;
    match (batches.next(), batches.next()) {
        (Some(all), None) => Data::from_batch(all?).class_weight(weights),
        _ => Err(Error::argument("class_weight", "the data is not in memory", "give sample weights with each batch")),
    }
}

/// The loop over epochs.
struct Epochs<'e, 'f> {
    model: &'e Model,
    options: &'e Fit<'f>,
    callbacks: List<'f>,
    history: History,
}

impl Epochs<'_, '_> {
    fn epoch(
        &mut self,
        epoch: usize,
        first_step: usize,
        data: &dyn Dataset,
        validation: Option<&dyn Dataset>,
        run: &mut Run,
    ) -> Result<Logs> {
        self.model.reset_metrics()?;
        self.callbacks.on_epoch_begin(epoch, run)?;
        let mut scores = self.steps(epoch, first_step, data, run)?;
        if self.options.interrupted() {
            run.interrupt();
        }
        let due = (epoch + 1).is_multiple_of(self.options.validation_freq);
        if let Some(validation) = validation.filter(|_| due && !run.interrupted()) {
            let options = Evaluate::new()
                .batch_size(self.options.validation_batch_size.unwrap_or(self.options.batch_size))
                .limit(self.options.validation_steps);
            let found = self.model.evaluate_within(validation, &options, &mut self.callbacks, run)?;
            scores.extend(found.into_iter().map(|(name, score)| (format!("val_{name}"), score)));
        }
        let mut logs = numbers(&scores);
        self.callbacks.on_epoch_end(epoch, &mut logs, run)?;
        // What callbacks added (the learning rate) belongs to the history, too.
        for (name, value) in &logs {
            scores.entry(name.clone()).or_insert(super::Score::Number(*value));
        }
        self.history.push(epoch, &scores);
        Ok(logs)
    }

    /// The steps of an epoch from `first_step` on; their metrics.
    fn steps(&mut self, epoch: usize, first_step: usize, data: &dyn Dataset, run: &mut Run) -> Result<Scores> {
        let model = self.model;
        let executions = Executions::of(model);
        let shuffle = self.options.shuffle.then(|| match self.options.seed {
            Some(seed) => seed.wrapping_add(epoch as u64),
            None => random::next_seed(),
        });
        let pass = Pass { batch_size: self.options.batch_size, shuffle, epoch };
        let limit = self.options.steps_per_epoch.unwrap_or(usize::MAX);
        let mut own = Scores::new();
        let mut batches = data.batches(&pass)?.take(limit).enumerate().skip(first_step).peekable();
        if batches.peek().is_none() {
            return Err(match first_step {
                0 => Error::argument("fit", "the data set gave no batches", "give at least one sample an epoch"),
                n => Error::argument(
                    "fit",
                    format!("the training goes on after {n} steps of an epoch, which has no more"),
                    "train with the data of the backup, or delete the backup",
                ),
            });
        }
        while let Some((step, batch)) = batches.next() {
            let batch = batch?;
            if step == first_step {
                model.prepare(&batch)?;
            }
            if executions.begins(step) {
                self.callbacks.on_train_batch_begin(step, run)?;
            }
            if let StepResult::Logs(logs) = model.run_step(Kind::Train, &batch)? {
                own = logs;
            }
            if let Some(end) = executions.ends(step, batches.peek().is_none()) {
                let logs = if self.callbacks.wants_batch_logs() {
                    numbers(&if own.is_empty() { model.results()? } else { own.clone() })
                } else {
                    Logs::new()
                };
                self.callbacks.on_train_batch_end(end, &logs, run)?;
            }
            if run.stopped() || self.options.interrupted() {
                break;
            }
        }
        if own.is_empty() { model.results() } else { Ok(own) }
    }
}
