//! The trait of callbacks, and what they see of the run.

use indexmap::IndexMap;

use crate::error::Result;
use crate::model::Model;

/// Values by Keras's names: `loss`, `accuracy`, `val_loss`, …
pub type Logs = IndexMap<String, f64>;

/// The run that a callback takes part in.
pub struct Run<'r> {
    /// The model being trained, evaluated or used.
    pub model: &'r Model,
    /// How many epochs were asked for.
    pub epochs: usize,
    /// How many batches an epoch has, if that is known.
    pub steps: Option<usize>,
    /// 0: silent, 1: progress bar, 2: one line an epoch.
    pub verbose: u8,
    stop: bool,
    interrupted: bool,
    resume: Option<(usize, usize)>,
}

impl<'r> Run<'r> {
    /// A run of `model`.
    pub fn new(model: &'r Model, epochs: usize, steps: Option<usize>, verbose: u8) -> Run<'r> {
        Run { model, epochs, steps, verbose, stop: false, interrupted: false, resume: None }
    }

    /// Ends the training after the batch or epoch at hand (Keras's `model.stop_training = True`).
    pub fn stop_training(&mut self) {
        self.stop = true;
    }

    /// Lets the training begin with step `step` of epoch `epoch`, both counted from 0, in place of the epoch that `fit` was
    /// told. For [`Callback::on_train_begin`].
    pub fn resume(&mut self, epoch: usize, step: usize) {
        self.resume = Some((epoch, step));
    }

    /// Where the training begins, if a callback has said so.
    pub(crate) fn resumed(&self) -> Option<(usize, usize)> {
        self.resume
    }

    /// Whether a callback has ended the training.
    pub fn stopped(&self) -> bool {
        self.stop
    }

    /// Whether the training was interrupted from outside: the epoch at hand is cut short, and was not validated.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    pub(crate) fn interrupt(&mut self) {
        self.interrupted = true;
    }
}

/// Keras's hooks; each does nothing unless implemented. An error ends the run and is its result: what has been trained
/// stays in the model.
#[allow(unused_variables, reason = "the names document the hooks")]
pub trait Callback: Send {
    /// Before the first epoch.
    ///
    /// # Errors
    /// Any; it ends the run. So do all hooks.
    fn on_train_begin(&mut self, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// After the last epoch, also when the training was stopped.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_train_end(&mut self, logs: &Logs, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// Before an epoch, counted from 0.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_epoch_begin(&mut self, epoch: usize, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// After an epoch; `logs` has its metrics, validation included, and what callbacks before this one added.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// Before a training step, counted from 0 in each epoch; before the first of `steps_per_execution` steps.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_train_batch_begin(&mut self, batch: usize, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// After a training step; `logs` has the metrics of the epoch so far. After the last of `steps_per_execution` steps, with
    /// its number, which fewer samples may not reach.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_train_batch_end(&mut self, batch: usize, logs: &Logs, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// Whether [`Callback::on_train_batch_end`] looks at its logs: computing them costs a little each step.
    fn wants_batch_logs(&self) -> bool {
        false
    }

    /// Whether it shows how far a run is, so that no [`ProgressBar`](super::ProgressBar) is needed.
    fn shows_progress(&self) -> bool {
        false
    }

    /// Before an evaluation, validation included.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_test_begin(&mut self, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// After an evaluation.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_test_end(&mut self, logs: &Logs, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// Before a batch of an evaluation.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_test_batch_begin(&mut self, batch: usize, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// After a batch of an evaluation.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_test_batch_end(&mut self, batch: usize, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// Before a prediction.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_predict_begin(&mut self, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// After a prediction.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_predict_end(&mut self, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// Before a batch of a prediction.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_predict_batch_begin(&mut self, batch: usize, run: &mut Run) -> Result<()> {
        Ok(())
    }

    /// After a batch of a prediction.
    ///
    /// # Errors
    /// See [`Callback::on_train_begin`].
    fn on_predict_batch_end(&mut self, batch: usize, run: &mut Run) -> Result<()> {
        Ok(())
    }
}
