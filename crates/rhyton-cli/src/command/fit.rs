//! `rhyton fit`: goes on training a saved, compiled model.

use std::path::PathBuf;

use clap::Args;
use rhyton::prelude::{Dataset, LambdaCallback, Logs};

use super::{Common, at_least_one, callbacks, check_output, open, share, write_text};
use crate::arrays::Arrays;
use crate::error::{Error, Result};
use crate::signals::interrupt_flag;

#[derive(Args)]
#[command(
    after_help = "Example: rhyton fit model.keras --data train.npz --epochs 5 --save tuned.keras --history history.json"
)]
pub struct Fit {
    /// A compiled model
    model: PathBuf,
    /// Arrays x and y (or x0, x1, …), and sample_weight
    #[arg(long, value_name = "D.npz")]
    data: PathBuf,
    /// Arrays to validate with
    #[arg(long, value_name = "V.npz", conflicts_with = "validation_split")]
    validation_data: Option<PathBuf>,
    /// The share of the data, from its end, to validate with
    #[arg(long, value_name = "F", value_parser = share, allow_negative_numbers = true)]
    validation_split: Option<f64>,
    /// Passes over the data
    #[arg(long, default_value_t = 1, value_parser = at_least_one, allow_negative_numbers = true)]
    epochs: usize,
    /// Samples a step
    #[arg(long, default_value_t = 32, value_parser = at_least_one, allow_negative_numbers = true)]
    batch_size: usize,
    /// Keep the order of the samples
    #[arg(long)]
    no_shuffle: bool,
    /// Callbacks: a list of {"class_name": …, "config": {…}}
    #[arg(long, value_name = "FILE.json")]
    callbacks: Option<PathBuf>,
    /// Where to write the history
    #[arg(long, value_name = "H.json")]
    history: Option<PathBuf>,
    /// Where to save the trained model
    #[arg(long, value_name = "OUT.keras")]
    save: Option<PathBuf>,
}

impl Fit {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        for (path, endings) in [(&self.history, [".json"]), (&self.save, [".keras"])] {
            path.as_ref().map_or(Ok(()), |path| check_output(path, &endings))?;
        }
        let model = open(&self.model)?;
        if model.optimizer().is_none() {
            return Err(Error::file(
                &self.model,
                "the model is not compiled with an optimizer; compile it in Keras and save it again",
            ));
        }
        let arrays = Arrays::read(&self.data)?;
        let data = arrays.data(&model)?;
        let validation = self.validation_data.as_ref().map(|p| Arrays::read(p)?.data(&model)).transpose()?;
        let mut options = rhyton::trainer::Fit::new()
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .shuffle(!self.no_shuffle)
            .validation_split(self.validation_split.unwrap_or(0.0))
            .verbose(common.verbose())
            .interrupt(interrupt_flag())
            .callback(LambdaCallback::new().on_epoch_end(|epoch, logs, _| stop_without_number(epoch, logs)))
            .callbacks(callbacks(self.callbacks.as_ref())?);
        if let Some(validation) = &validation {
            options = options.validation_data(validation as &dyn Dataset);
        }
        let history = model.fit(&data, options).map_err(|error| match arrays.non_finite() {
            Some(bad) if matches!(error, rhyton::Error::Training(_)) => Error::new(format!("{error}: {bad}")),
            _ => error.into(),
        })?;
        if let Some(path) = &self.history {
            let json = serde_json::to_string_pretty(&history).map_err(|e| Error::file(path, e))?;
            write_text(path, &(json + "\n"))?;
        }
        if let Some(path) = &self.save {
            model.save(path)?;
            common.say(format_args!("saved {}", path.display()));
        }
        if history.interrupted {
            common.say(format_args!("interrupted in epoch {} of {}", history.epoch.len(), self.epochs));
        }
        Ok(())
    }
}

/// Goes no further once the loss is no number: the weights are lost then.
fn stop_without_number(epoch: usize, logs: &Logs) -> rhyton::Result<()> {
    match logs.get("loss").filter(|loss| !loss.is_finite()) {
        Some(loss) => Err(rhyton::Error::training(
            "fit",
            format!("the loss of epoch {} is {loss}, and nothing is saved", epoch + 1),
            "lower the learning rate, clip gradients, or look for bad values in the data",
        )),
        None => Ok(()),
    }
}
