//! Callbacks: what happens around epochs, batches, evaluation and prediction.
//!
//! One file each, and an entry in the table here for those that configurations may name.

mod backup_and_restore;
mod callback;
mod csv_logger;
mod early_stopping;
mod history;
mod lambda;
mod learning_rate_scheduler;
mod list;
mod model_checkpoint;
mod monitor;
mod progress_bar;
mod python_format;
mod reduce_lr_on_plateau;
mod report;
mod save_freq;
mod swap_ema_weights;
mod tensorboard;
mod terminate_on_nan;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::saving;

pub use backup_and_restore::BackupAndRestore;
pub use callback::{Callback, Logs, Run};
pub use csv_logger::CSVLogger;
pub use early_stopping::EarlyStopping;
pub use history::History;
pub use lambda::LambdaCallback;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use list::List;
pub use model_checkpoint::ModelCheckpoint;
pub use monitor::Mode;
pub(crate) use progress_bar::Progress;
pub use progress_bar::ProgressBar;
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use save_freq::SaveFreq;
pub use swap_ema_weights::SwapEMAWeights;
pub use tensorboard::{TensorBoard, UpdateFreq};
pub use terminate_on_nan::TerminateOnNaN;

/// Keras's name of [`List`].
pub type CallbackList<'c> = List<'c>;

/// Keras's name of [`ProgressBar`].
pub type ProgbarLogger = ProgressBar;

/// A class of callbacks: its name and how to make one.
struct CallbackClass {
    name: &'static str,
    from_config: fn(Value) -> Result<Box<dyn Callback>>,
}

/// Every callback that configurations may name.
const CLASSES: &[CallbackClass] = &[
    CallbackClass { name: "EarlyStopping", from_config: make::<EarlyStopping> },
    CallbackClass { name: "ModelCheckpoint", from_config: make::<ModelCheckpoint> },
    CallbackClass { name: "ReduceLROnPlateau", from_config: make::<ReduceLROnPlateau> },
    CallbackClass { name: "CSVLogger", from_config: make::<CSVLogger> },
    CallbackClass { name: "TerminateOnNaN", from_config: make::<TerminateOnNaN> },
    CallbackClass { name: "TensorBoard", from_config: make::<TensorBoard> },
    CallbackClass { name: "BackupAndRestore", from_config: make::<BackupAndRestore> },
    CallbackClass { name: "SwapEMAWeights", from_config: make::<SwapEMAWeights> },
];

/// The names of these.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|c| c.name)
}

/// Keras's callbacks that configurations cannot name: why not, and what to use instead.
const MISSING: &[(&str, &str, &str)] = &[
    ("LambdaCallback", "it needs a function, which JSON cannot hold", "add it in a program"),
    ("LearningRateScheduler", "it needs a function, which JSON cannot hold", "add it in a program"),
    ("RemoteMonitor", "nothing is sent over the network", "write the logs with CSVLogger or TensorBoard"),
    ("OrbaxCheckpoint", "Orbax is a library of Python", "save with ModelCheckpoint or BackupAndRestore"),
];

/// A callback with arguments that can be checked before a run.
trait Checked {
    /// Checks the arguments.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

fn make<C: Callback + Checked + DeserializeOwned + 'static>(config: Value) -> Result<Box<dyn Callback>> {
    let callback: C = saving::from_config("callback", config)?;
    callback.check()?;
    Ok(Box::new(callback))
}

/// The callbacks that `value` describes: a list of `{"class_name": …, "config": {…}}`, with the arguments of Keras's
/// constructors, or of names alone.
///
/// # Errors
/// If a name or an argument is not known, or an argument is out of its range; the message says which.
///
/// # Examples
/// ```
/// use rhyton_core::callbacks;
///
/// let described = serde_json::json!([
///     {"class_name": "EarlyStopping", "config": {"monitor": "val_loss", "patience": 3}},
///     "TerminateOnNaN",
/// ]);
/// assert_eq!(callbacks::from_json(&described)?.len(), 2);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn from_json(value: &Value) -> Result<Vec<Box<dyn Callback>>> {
    let items = value.as_array().ok_or_else(|| {
        Error::content("callbacks", format!("{value} is not a list"), "write [{\"class_name\": …, \"config\": {…}}]")
    })?;
    items.iter().map(one_from_json).collect()
}

fn one_from_json(value: &Value) -> Result<Box<dyn Callback>> {
    let (name, config) = match value {
        Value::String(name) => (name.clone(), Value::Null),
        object => {
            let parts = saving::Parts::of(object, "callback")?;
            (parts.class_name, parts.config)
        }
    };
    if let Some((_, what, fix)) = MISSING.iter().find(|(class, ..)| *class == name) {
        return Err(Error::unsupported(name, *what, *fix));
    }
    let class = CLASSES.iter().find(|c| c.name == name || crate::naming::snake_case(c.name) == name);
    let class = class.ok_or_else(|| saving::unknown("callback", &name, CLASSES.iter().map(|c| c.name)))?;
    (class.from_config)(config).map_err(|e| e.within(class.name))
}

/// An error of a file format, as one of this crate.
fn format_error(path: &std::path::Path, source: rhyton_formats::Error) -> Error {
    Error::Format { path: path.to_owned(), source: Arc::new(source) }
}

/// An error of the file system.
fn io_error(what: &str, path: &std::path::Path, error: &std::io::Error) -> Error {
    Error::training(path.display().to_string(), format!("cannot {what}: {error}"), "check the path and its permissions")
}
