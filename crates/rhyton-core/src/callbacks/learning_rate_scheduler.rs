//! `LearningRateScheduler`: a learning rate for each epoch.

use super::callback::{Callback, Logs, Run};
use super::python_format::repr;
use super::report;
use crate::error::{Error, Result};
use crate::optimizers::OptimizerRef;

type Schedule<'c> = dyn FnMut(usize, f64) -> f64 + Send + 'c;

/// Sets the learning rate before each epoch to what a function of the epoch, counted from 0, and of the learning rate gives.
/// Adds `learning_rate` to the logs.
///
/// # Errors
/// If there is no optimizer, or its learning rate is a schedule.
///
/// # Examples
/// ```
/// use rhyton_core::callbacks::LearningRateScheduler;
///
/// let halve = LearningRateScheduler::new(|epoch, rate| if epoch < 10 { rate } else { rate * 0.5 });
/// ```
pub struct LearningRateScheduler<'c> {
    schedule: Box<Schedule<'c>>,
    verbose: u8,
}

const CLASS: &str = "LearningRateScheduler";

impl<'c> LearningRateScheduler<'c> {
    /// The learning rates that `schedule` gives.
    pub fn new(schedule: impl FnMut(usize, f64) -> f64 + Send + 'c) -> LearningRateScheduler<'c> {
        LearningRateScheduler { schedule: Box::new(schedule), verbose: 0 }
    }

    /// 1: says what it sets.
    pub fn verbose(mut self, verbose: u8) -> LearningRateScheduler<'c> {
        self.verbose = verbose;
        self
    }
}

/// The optimizer of the run.
pub(super) fn optimizer(callback: &str, run: &Run) -> Result<OptimizerRef> {
    run.model.optimizer().ok_or_else(|| {
        Error::argument(callback, "the model has no optimizer", "compile it with one, or leave the callback out")
    })
}

/// The learning rate of the next step.
pub(super) fn learning_rate(callback: &str, run: &Run) -> Result<f64> {
    optimizer(callback, run)?.current_learning_rate()?.item()
}

impl Callback for LearningRateScheduler<'_> {
    fn on_epoch_begin(&mut self, epoch: usize, run: &mut Run) -> Result<()> {
        let rate = (self.schedule)(epoch, learning_rate(CLASS, run)?);
        optimizer(CLASS, run)?.set_learning_rate(rate)?;
        if self.verbose > 0 {
            let (epoch, rate) = (epoch + 1, repr(rate));
            report::message(&format!("Epoch {epoch}: LearningRateScheduler setting learning rate to {rate}."));
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, _: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        logs.insert("learning_rate".into(), learning_rate(CLASS, run)?);
        Ok(())
    }
}
