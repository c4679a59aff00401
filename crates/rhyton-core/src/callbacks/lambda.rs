//! `LambdaCallback`: hooks from closures.

use super::callback::{Callback, Logs, Run};
use crate::error::Result;

type Begin<'c> = dyn FnMut(&mut Run) -> Result<()> + Send + 'c;
type End<'c> = dyn FnMut(&Logs, &mut Run) -> Result<()> + Send + 'c;
type Counted<'c> = dyn FnMut(usize, &mut Run) -> Result<()> + Send + 'c;
type EpochEnd<'c> = dyn FnMut(usize, &mut Logs, &mut Run) -> Result<()> + Send + 'c;
type BatchEnd<'c> = dyn FnMut(usize, &Logs, &mut Run) -> Result<()> + Send + 'c;

/// A callback made of closures; epochs and batches are counted from 0.
///
/// # Examples
/// ```
/// use rhyton_core::callbacks::LambdaCallback;
///
/// let print = LambdaCallback::new().on_epoch_end(|epoch, logs, _| {
///     println!("{epoch}: {}", logs["loss"]);
///     Ok(())
/// });
/// ```
#[derive(Default)]
pub struct LambdaCallback<'c> {
    on_train_begin: Option<Box<Begin<'c>>>,
    on_train_end: Option<Box<End<'c>>>,
    on_epoch_begin: Option<Box<Counted<'c>>>,
    on_epoch_end: Option<Box<EpochEnd<'c>>>,
    on_train_batch_begin: Option<Box<Counted<'c>>>,
    on_train_batch_end: Option<Box<BatchEnd<'c>>>,
}

impl<'c> LambdaCallback<'c> {
    /// A callback that does nothing yet.
    pub fn new() -> LambdaCallback<'c> {
        LambdaCallback::default()
    }

    /// Before the first epoch.
    pub fn on_train_begin(mut self, hook: impl FnMut(&mut Run) -> Result<()> + Send + 'c) -> Self {
        self.on_train_begin = Some(Box::new(hook));
        self
    }

    /// After the last epoch.
    pub fn on_train_end(mut self, hook: impl FnMut(&Logs, &mut Run) -> Result<()> + Send + 'c) -> Self {
        self.on_train_end = Some(Box::new(hook));
        self
    }

    /// Before each epoch.
    pub fn on_epoch_begin(mut self, hook: impl FnMut(usize, &mut Run) -> Result<()> + Send + 'c) -> Self {
        self.on_epoch_begin = Some(Box::new(hook));
        self
    }

    /// After each epoch; what is added to the logs is seen by the callbacks after this one.
    pub fn on_epoch_end(mut self, hook: impl FnMut(usize, &mut Logs, &mut Run) -> Result<()> + Send + 'c) -> Self {
        self.on_epoch_end = Some(Box::new(hook));
        self
    }

    /// Before each training step.
    pub fn on_train_batch_begin(mut self, hook: impl FnMut(usize, &mut Run) -> Result<()> + Send + 'c) -> Self {
        self.on_train_batch_begin = Some(Box::new(hook));
        self
    }

    /// After each training step, with the metrics of the epoch so far.
    pub fn on_train_batch_end(mut self, hook: impl FnMut(usize, &Logs, &mut Run) -> Result<()> + Send + 'c) -> Self {
        self.on_train_batch_end = Some(Box::new(hook));
        self
    }
}

impl Callback for LambdaCallback<'_> {
    fn on_train_begin(&mut self, run: &mut Run) -> Result<()> {
        self.on_train_begin.as_mut().map_or(Ok(()), |hook| hook(run))
    }

    fn on_train_end(&mut self, logs: &Logs, run: &mut Run) -> Result<()> {
        self.on_train_end.as_mut().map_or(Ok(()), |hook| hook(logs, run))
    }

    fn on_epoch_begin(&mut self, epoch: usize, run: &mut Run) -> Result<()> {
        self.on_epoch_begin.as_mut().map_or(Ok(()), |hook| hook(epoch, run))
    }

    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        self.on_epoch_end.as_mut().map_or(Ok(()), |hook| hook(epoch, logs, run))
    }

    fn on_train_batch_begin(&mut self, batch: usize, run: &mut Run) -> Result<()> {
        self.on_train_batch_begin.as_mut().map_or(Ok(()), |hook| hook(batch, run))
    }

    fn on_train_batch_end(&mut self, batch: usize, logs: &Logs, run: &mut Run) -> Result<()> {
        self.on_train_batch_end.as_mut().map_or(Ok(()), |hook| hook(batch, logs, run))
    }

    fn wants_batch_logs(&self) -> bool {
        self.on_train_batch_end.is_some()
    }
}
