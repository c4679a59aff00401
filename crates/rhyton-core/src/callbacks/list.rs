//! Callbacks in a row, and in boxes.

use super::ProgressBar;
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

    /// What a run calls: `callbacks` in their order, then, unless `verbose` is 0 or one of them shows the progress already, a
    /// progress bar. So it shows what the others added to the logs.
    pub(crate) fn of_run(callbacks: Vec<Box<dyn Callback + 'c>>, verbose: u8) -> List<'c> {
        let mut list = List(callbacks);
        if verbose > 0 && !list.shows_progress() {
            list.push(ProgressBar::new());
        }
        list
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

/// All hooks, passed on to `$each`, and what one of them has that `$any` looks through.
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
            $any.any(|c| c.wants_batch_logs())
        }
        fn shows_progress(&$self) -> bool {
            $any.any(|c| c.shows_progress())
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
    pass_on!(self, self.0.iter_mut(), self.0.iter());
}

impl<C: Callback + ?Sized> Callback for Box<C> {
    pass_on!(self, std::iter::once(&mut **self), std::iter::once(&**self));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_bar_is_last_and_there_is_one() {
        struct Quiet;
        impl Callback for Quiet {}
        let list = |callbacks: Vec<Box<dyn Callback>>, verbose: u8| -> Vec<bool> {
            List::of_run(callbacks, verbose).0.iter().map(|c| c.shows_progress()).collect()
        };
        assert_eq!(list(vec![Box::new(Quiet)], 1), [false, true]);
        assert_eq!(list(vec![Box::new(Quiet)], 0), [false]);
        assert_eq!(list(vec![Box::new(ProgressBar::new()), Box::new(Quiet)], 2), [true, false]);
    }
}
