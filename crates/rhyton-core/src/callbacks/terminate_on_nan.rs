//! `TerminateOnNaN`: ends the training when the loss is no number.

use serde::Deserialize;

use super::callback::{Callback, Logs, Run};
use super::{Checked, report};
use crate::error::{Error, Result};

/// Ends the training when the loss is NaN or infinite.
///
/// # Errors
/// Then, if `raise_error` is set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TerminateOnNaN {
    raise_error: bool,
}

impl TerminateOnNaN {
    /// Ends the training, and says so.
    pub fn new() -> TerminateOnNaN {
        TerminateOnNaN::default()
    }

    /// Whether the training ends with an error; it ends as if it were complete unless said.
    pub fn raise_error(mut self, raise_error: bool) -> TerminateOnNaN {
        self.raise_error = raise_error;
        self
    }
}

impl Checked for TerminateOnNaN {}

impl Callback for TerminateOnNaN {
    fn on_train_batch_end(&mut self, batch: usize, logs: &Logs, run: &mut Run) -> Result<()> {
        let Some(loss) = logs.get("loss").filter(|loss| !loss.is_finite()) else { return Ok(()) };
        if self.raise_error {
            return Err(Error::training(
                "TerminateOnNaN",
                format!("the loss at batch {batch} is {loss}"),
                "lower the learning rate, clip gradients, or look for bad values in the data",
            ));
        }
        report::message(&format!("Batch {batch}: Invalid loss, terminating training"));
        run.stop_training();
        Ok(())
    }

    fn wants_batch_logs(&self) -> bool {
        true
    }
}
