//! `SwapEMAWeights`: evaluates with the moving averages of the weights.

use serde::Deserialize;

use super::Checked;
use super::callback::{Callback, Logs, Run};
use crate::error::{Error, Result};
use crate::variable::Variable;

/// Exchanges the weights and their moving averages before evaluations and predictions, and back after them: metrics are those
/// of the averages (Polyak averaging) while the weights themselves are trained.
///
/// With `swap_on_epoch` they are exchanged at the end of each epoch, for the callbacks after this one (a
/// [`ModelCheckpoint`](super::ModelCheckpoint) saves the averages), and back at the begin of the next. After a prediction Keras
/// leaves the averages in the model; here the weights are back.
///
/// # Errors
/// If the optimizer keeps no averages: make it with `use_ema`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwapEMAWeights {
    swap_on_epoch: bool,
    /// Whether the averages are in the model.
    #[serde(skip)]
    swapped: bool,
}

impl SwapEMAWeights {
    /// Exchanges them around evaluations and predictions.
    pub fn new() -> SwapEMAWeights {
        SwapEMAWeights::default()
    }

    /// Whether they are exchanged between epochs, too; not unless said.
    pub fn swap_on_epoch(mut self, swap_on_epoch: bool) -> SwapEMAWeights {
        self.swap_on_epoch = swap_on_epoch;
        self
    }

    /// Has the averages in the model, or the weights.
    fn set(&mut self, swapped: bool, run: &Run) -> Result<()> {
        if self.swapped == swapped {
            return Ok(());
        }
        for (weight, average) in averages(run)? {
            let trained = weight.array()?;
            weight.assign(average.array()?)?;
            average.assign(trained)?;
        }
        self.swapped = swapped;
        Ok(())
    }
}

/// The weights with their averages.
fn averages(run: &Run) -> Result<Vec<(Variable, Variable)>> {
    let found = run.model.optimizer().map(|o| o.averages()).unwrap_or_default();
    if found.is_empty() {
        return Err(Error::argument(
            "SwapEMAWeights",
            "the optimizer keeps no moving averages of the weights",
            "make the optimizer with use_ema(true), or leave the callback out",
        ));
    }
    Ok(found)
}

impl Checked for SwapEMAWeights {}

impl Callback for SwapEMAWeights {
    fn on_epoch_begin(&mut self, _: usize, run: &mut Run) -> Result<()> {
        if self.swap_on_epoch { self.set(false, run) } else { Ok(()) }
    }

    fn on_epoch_end(&mut self, epoch: usize, _: &mut Logs, run: &mut Run) -> Result<()> {
        if !self.swap_on_epoch || self.swapped {
            return Ok(());
        }
        self.set(true, run)?;
        if epoch + 1 == run.epochs {
            // The end of the training makes the weights their averages, which the model already has.
            averages(run)?.into_iter().try_for_each(|(weight, average)| average.assign(weight.array()?))?;
        }
        Ok(())
    }

    fn on_test_begin(&mut self, run: &mut Run) -> Result<()> {
        self.set(true, run)
    }

    fn on_test_end(&mut self, _: &Logs, run: &mut Run) -> Result<()> {
        self.set(false, run)
    }

    fn on_predict_begin(&mut self, run: &mut Run) -> Result<()> {
        self.set(true, run)
    }

    fn on_predict_end(&mut self, run: &mut Run) -> Result<()> {
        self.set(false, run)
    }
}
