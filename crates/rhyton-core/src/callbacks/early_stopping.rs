//! `EarlyStopping`: ends the training when a metric no longer improves.

use rhyton_ir::Array;
use serde::Deserialize;

use super::callback::{Callback, Logs, Run};
use super::monitor::{self, Mode, Monitor};
use super::{Checked, report};
use crate::error::Result;

/// Ends the training when `monitor` has not improved for `patience` epochs.
///
/// # Examples
/// ```
/// use rhyton_core::callbacks::EarlyStopping;
///
/// let stop = EarlyStopping::new().monitor("val_accuracy").patience(3).restore_best_weights(true);
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStopping {
    monitor: String,
    min_delta: f64,
    patience: usize,
    verbose: u8,
    mode: Mode,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    #[serde(skip)]
    watch: Monitor,
    #[serde(skip)]
    wait: usize,
    #[serde(skip)]
    stopped_epoch: Option<usize>,
    #[serde(skip)]
    best_epoch: usize,
    #[serde(skip)]
    best_weights: Option<Vec<Array>>,
}

const CLASS: &str = "EarlyStopping";

impl Default for EarlyStopping {
    fn default() -> EarlyStopping {
        EarlyStopping {
            monitor: "val_loss".into(),
            min_delta: 0.0,
            patience: 0,
            verbose: 0,
            mode: Mode::Auto,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            watch: Monitor::default(),
            wait: 0,
            stopped_epoch: None,
            best_epoch: 0,
            best_weights: None,
        }
    }
}

impl EarlyStopping {
    /// Ends the training at the first epoch that does not improve `val_loss`.
    pub fn new() -> EarlyStopping {
        EarlyStopping::default()
    }

    /// The metric to watch; `val_loss` unless said.
    pub fn monitor(mut self, monitor: impl Into<String>) -> EarlyStopping {
        self.monitor = monitor.into();
        self
    }

    /// By how much it must change to have improved; 0 unless said.
    pub fn min_delta(mut self, min_delta: f64) -> EarlyStopping {
        self.min_delta = min_delta;
        self
    }

    /// How many epochs may go by without improvement; 0 unless said.
    pub fn patience(mut self, patience: usize) -> EarlyStopping {
        self.patience = patience;
        self
    }

    /// 1: says when it ends the training.
    pub fn verbose(mut self, verbose: u8) -> EarlyStopping {
        self.verbose = verbose;
        self
    }

    /// Which way the metric improves; found from its name unless said.
    pub fn mode(mut self, mode: Mode) -> EarlyStopping {
        self.mode = mode;
        self
    }

    /// What the metric must be better than for the waiting to start anew.
    pub fn baseline(mut self, baseline: f64) -> EarlyStopping {
        self.baseline = Some(baseline);
        self
    }

    /// Whether the weights of the best epoch are put back at the end; they are not unless said.
    pub fn restore_best_weights(mut self, restore: bool) -> EarlyStopping {
        self.restore_best_weights = restore;
        self
    }

    /// The first epoch, counted from 0, at which the metric is looked at.
    pub fn start_from_epoch(mut self, epoch: usize) -> EarlyStopping {
        self.start_from_epoch = epoch;
        self
    }

    /// The epoch, counted from 0, at which it ended the training, if it did.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }

    fn improves(&self, value: f64, reference: Option<f64>) -> Result<bool> {
        monitor::improves(CLASS, &self.monitor, self.mode, self.min_delta, value, reference)
    }
}

impl Checked for EarlyStopping {}

impl Callback for EarlyStopping {
    fn on_train_begin(&mut self, _: &mut Run) -> Result<()> {
        self.wait = 0;
        self.stopped_epoch = None;
        self.watch.best = None;
        self.best_weights = None;
        self.best_epoch = 0;
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        monitor::resolve(CLASS, &self.monitor, self.mode)?;
        let current = self.watch.current(CLASS, &self.monitor, logs, run);
        let Some(current) = current.filter(|_| epoch >= self.start_from_epoch) else { return Ok(()) };
        if self.restore_best_weights && self.best_weights.is_none() {
            // If nothing ever improves, the first epoch is the best.
            self.best_weights = Some(run.model.get_weights()?);
            self.best_epoch = epoch;
        }
        self.wait += 1;
        if self.improves(current, self.watch.best)? {
            self.watch.best = Some(current);
            self.best_epoch = epoch;
            if self.restore_best_weights {
                self.best_weights = Some(run.model.get_weights()?);
            }
            if self.improves(current, self.baseline)? {
                self.wait = 0;
            }
            return Ok(());
        }
        if self.wait >= self.patience && epoch > 0 {
            self.stopped_epoch = Some(epoch);
            run.stop_training();
        }
        Ok(())
    }

    fn on_train_end(&mut self, _: &Logs, run: &mut Run) -> Result<()> {
        if let Some(epoch) = self.stopped_epoch.filter(|_| self.verbose > 0) {
            report::message(&format!("Epoch {}: early stopping", epoch + 1));
        }
        let Some(weights) = &self.best_weights else { return Ok(()) };
        if self.verbose > 0 {
            let epoch = self.best_epoch + 1;
            report::message(&format!("Restoring model weights from the end of the best epoch: {epoch}."));
        }
        run.model.set_weights(weights)
    }
}
