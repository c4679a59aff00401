//! Watching one of the logs: which way it improves, and whether it has.

use serde::Deserialize;

use super::callback::{Logs, Run};
use super::report;
use crate::error::{Error, Result};

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As its name says.
    #[default]
    Auto,
    /// Downwards.
    Min,
    /// Upwards.
    Max,
}

/// Keras's metrics that improve upwards, by name.
const UP: [&str; 25] = [
    "accuracy",
    "acc",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "cosine_similarity",
    "r2_score",
    "io_u",
    "binary_io_u",
    "mean_io_u",
    "one_hot_io_u",
    "one_hot_mean_io_u",
    "precision",
    "recall",
    "auc",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "precision_at_recall",
    "recall_at_precision",
    "fbeta_score",
    "f1_score",
    "pearson_correlation",
    "concordance_correlation",
];

/// Keras's metrics that improve downwards, by name.
const DOWN: [&str; 27] = [
    "loss",
    "mean_squared_error",
    "mse",
    "root_mean_squared_error",
    "rmse",
    "mean_absolute_error",
    "mae",
    "mean_absolute_percentage_error",
    "mape",
    "mean_squared_logarithmic_error",
    "msle",
    "logcosh",
    "log_cosh",
    "huber",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "kl_divergence",
    "kullback_leibler_divergence",
    "kld",
    "poisson",
    "binary_crossentropy",
    "bce",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
];

/// What the name of a metric says about it: without `val_`, the name of an output before it and a number after it.
fn mode_of(monitor: &str) -> Option<Mode> {
    let name = monitor.strip_prefix("val_").unwrap_or(monitor);
    let numbered = name.rsplit_once('_').filter(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
    let name = numbered.map_or(name, |(name, _)| name);
    let is_of = |known: &str| name == known || name.strip_suffix(known).is_some_and(|output| output.ends_with('_'));
    let longest = |names: &[&str]| names.iter().filter(|&&n| is_of(n)).map(|n| n.len()).max().unwrap_or(0);
    match (longest(&UP), longest(&DOWN)) {
        (0, 0) => None,
        (up, down) if up > down => Some(Mode::Max),
        _ => Some(Mode::Min),
    }
}

/// One of the logs, watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Monitor {
    /// The best value so far.
    pub(super) best: Option<f64>,
    warned: bool,
}

impl Monitor {
    /// The value in `logs`; without it, warns once that `callback` cannot work, unless the epoch was cut short.
    pub(super) fn current(&mut self, callback: &str, name: &str, logs: &Logs, run: &Run) -> Option<f64> {
        let current = logs.get(name).copied();
        if current.is_none() && !self.warned && !run.interrupted() {
            self.warned = true;
            let available: Vec<&str> = logs.keys().map(String::as_str).collect();
            report::warning(&format!(
                "{callback} needs the metric {name:?}, which is not available; available are: {}",
                available.join(", ")
            ));
        }
        current
    }
}

/// Whether `value` is better than `reference` by more than `min_delta`; always, if there is no reference. Compared in
/// `float32`, as Keras compares.
///
/// # Errors
/// If the mode is to be found from the name of the metric, and the name does not say.
pub(super) fn improves(
    callback: &str,
    name: &str,
    mode: Mode,
    min_delta: f64,
    value: f64,
    reference: Option<f64>,
) -> Result<bool> {
    let mode = resolve(callback, name, mode)?;
    let Some(reference) = reference else { return Ok(true) };
    let (delta, reference) = (min_delta.abs(), reference as f32);
    Ok(match mode {
        Mode::Max => (value - delta) as f32 > reference,
        Mode::Min | Mode::Auto => ((value + delta) as f32) < reference,
    })
}

/// The mode, found from the name of the metric if need be.
///
/// # Errors
/// If the name does not say.
pub(super) fn resolve(callback: &str, name: &str, mode: Mode) -> Result<Mode> {
    let known = if mode == Mode::Auto { mode_of(name) } else { Some(mode) };
    known.ok_or_else(|| {
        Error::argument(
            callback,
            format!("the name {name:?} does not say whether more or less is better"),
            "set the mode to max or min",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_way_is_better() {
        assert_eq!(mode_of("val_loss"), Some(Mode::Min));
        assert_eq!(mode_of("val_accuracy"), Some(Mode::Max));
        assert_eq!(mode_of("auc_2"), Some(Mode::Max));
        assert_eq!(mode_of("val_digit_sparse_categorical_accuracy"), Some(Mode::Max));
        assert_eq!(mode_of("digit_loss"), Some(Mode::Min));
        assert_eq!(mode_of("gloss"), None);
        assert!(resolve("EarlyStopping", "mystery", Mode::Auto).unwrap_err().to_string().contains("mystery"));
    }
}
