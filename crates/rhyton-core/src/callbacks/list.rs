//! Callbacks in a row, and in boxes.

use super::callback::{Callback, Logs, Run};
use crate::error::Result;

/// Several callbacks as one: each hook calls those of all, in order.
#[derive(Default)]
pub struct List<'c>(Vec<Box<dyn Callback + 'c>>);

impl<'c> List<'c> {
    /// No callbacks.
    pub fn new() -> List<'c> {
        List(Vec::new())
    }

    /// Adds a callback after the others.
    pub fn push(&mut self, callback: impl Callback + 'c) {
        self.0.push(Box::new(callback));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'c> From<Vec<Box<dyn Callback + 'c>>> for List<'c> {
    fn from(callbacks: Vec<Box<dyn Callback + 'c>>) -> List<'c> {
        List(callbacks)
    }
}

/// All hooks, passed on to `$each`.
macro_rules! pass_on {
    ($self:ident, $each:expr, $any:expr) => {
        fn on_train_begin(&mut $self, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_train_begin(run))
        }
        fn on_train_end(&mut $self, logs: &Logs, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_train_end(logs, run))
        }
        fn on_epoch_begin(&mut $self, epoch: usize, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_epoch_begin(epoch, run))
        }
        fn on_epoch_end(&mut $self, epoch: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_epoch_end(epoch, logs, run))
        }
        fn on_train_batch_begin(&mut $self, batch: usize, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_train_batch_begin(batch, run))
        }
        fn on_train_batch_end(&mut $self, batch: usize, logs: &Logs, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_train_batch_end(batch, logs, run))
        }
        fn wants_batch_logs(&$self) -> bool {
            $any
        }
        fn on_test_begin(&mut $self, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_test_begin(run))
        }
        fn on_test_end(&mut $self, logs: &Logs, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_test_end(logs, run))
        }
        fn on_test_batch_begin(&mut $self, batch: usize, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_test_batch_begin(batch, run))
        }
        fn on_test_batch_end(&mut $self, batch: usize, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_test_batch_end(batch, run))
        }
        fn on_predict_begin(&mut $self, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_predict_begin(run))
        }
        fn on_predict_end(&mut $self, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_predict_end(run))
        }
        fn on_predict_batch_begin(&mut $self, batch: usize, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_predict_batch_begin(batch, run))
        }
        fn on_predict_batch_end(&mut $self, batch: usize, run: &mut Run) -> Result<()> {
            $each.try_for_each(|c| c.on_predict_batch_end(batch, run))
        }
    };
}

impl Callback for List<'_> {
    pass_on!(self, self.0.iter_mut(), self.0.iter().any(|c| c.wants_batch_logs()));
}

impl<C: Callback + ?Sized> Callback for Box<C> {
    pass_on!(self, std::iter::once(&mut **self), (**self).wants_batch_logs());
}
