//! `ReduceLROnPlateau`: smaller steps when a metric no longer improves.

use serde::Deserialize;

use super::callback::{Callback, Logs, Run};
use super::monitor::{self, Mode, Monitor};
use super::python_format::repr;
use super::{Checked, learning_rate_scheduler, report};
use crate::error::{Error, Result};

/// Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs. Adds `learning_rate` to
/// the logs.
///
/// # Errors
/// If `factor` is not below 1, there is no optimizer, or its learning rate is a schedule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReduceLROnPlateau {
    monitor: String,
    factor: f64,
    patience: usize,
    verbose: u8,
    mode: Mode,
    min_delta: f64,
    cooldown: usize,
    min_lr: f64,
    #[serde(skip)]
    watch: Monitor,
    #[serde(skip)]
    wait: usize,
    #[serde(skip)]
    cooling: usize,
}

const CLASS: &str = "ReduceLROnPlateau";

impl Default for ReduceLROnPlateau {
    fn default() -> ReduceLROnPlateau {
        ReduceLROnPlateau {
            monitor: "val_loss".into(),
            factor: 0.1,
            patience: 10,
            verbose: 0,
            mode: Mode::Auto,
            min_delta: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
            watch: Monitor::default(),
            wait: 0,
            cooling: 0,
        }
    }
}

impl ReduceLROnPlateau {
    /// A tenth of the learning rate after 10 epochs without improvement of `val_loss`.
    pub fn new() -> ReduceLROnPlateau {
        ReduceLROnPlateau::default()
    }

    /// The metric to watch; `val_loss` unless said.
    pub fn monitor(mut self, monitor: impl Into<String>) -> ReduceLROnPlateau {
        self.monitor = monitor.into();
        self
    }

    /// By what the learning rate is multiplied, below 1; 0.1 unless said.
    pub fn factor(mut self, factor: f64) -> ReduceLROnPlateau {
        self.factor = factor;
        self
    }

    /// How many epochs may go by without improvement; 10 unless said.
    pub fn patience(mut self, patience: usize) -> ReduceLROnPlateau {
        self.patience = patience;
        self
    }

    /// 1: says when it changes the learning rate.
    pub fn verbose(mut self, verbose: u8) -> ReduceLROnPlateau {
        self.verbose = verbose;
        self
    }

    /// Which way the metric improves; found from its name unless said.
    pub fn mode(mut self, mode: Mode) -> ReduceLROnPlateau {
        self.mode = mode;
        self
    }

    /// By how much the metric must change to have improved; 0.0001 unless said.
    pub fn min_delta(mut self, min_delta: f64) -> ReduceLROnPlateau {
        self.min_delta = min_delta;
        self
    }

    /// How many epochs after a change are not counted; 0 unless said.
    pub fn cooldown(mut self, cooldown: usize) -> ReduceLROnPlateau {
        self.cooldown = cooldown;
        self
    }

    /// The smallest learning rate; 0 unless said.
    pub fn min_lr(mut self, min_lr: f64) -> ReduceLROnPlateau {
        self.min_lr = min_lr;
        self
    }

    fn reduce(&mut self, epoch: usize, run: &Run) -> Result<()> {
        let old = learning_rate_scheduler::learning_rate(CLASS, run)?;
        if old <= f64::from(self.min_lr as f32) {
            return Ok(());
        }
        let new = (old * self.factor).max(self.min_lr);
        learning_rate_scheduler::optimizer(CLASS, run)?.set_learning_rate(new)?;
        if self.verbose > 0 {
            let (epoch, new) = (epoch + 1, repr(new));
            report::message(&format!("Epoch {epoch}: ReduceLROnPlateau reducing learning rate to {new}."));
        }
        self.cooling = self.cooldown;
        self.wait = 0;
        Ok(())
    }
}

impl Checked for ReduceLROnPlateau {
    fn check(&self) -> Result<()> {
        if self.factor >= 1.0 {
            return Err(Error::argument("factor", format!("it is {}", self.factor), "give a number below 1"));
        }
        Ok(())
    }
}

impl Callback for ReduceLROnPlateau {
    fn on_train_begin(&mut self, _: &mut Run) -> Result<()> {
        self.check()?;
        self.watch.best = None;
        self.cooling = 0;
        self.wait = 0;
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        monitor::resolve(CLASS, &self.monitor, self.mode)?;
        logs.insert("learning_rate".into(), learning_rate_scheduler::learning_rate(CLASS, run)?);
        let Some(current) = self.watch.current(CLASS, &self.monitor, logs, run) else { return Ok(()) };
        if self.cooling > 0 {
            self.cooling -= 1;
            self.wait = 0;
        }
        let best = self.watch.best;
        if monitor::improves(CLASS, &self.monitor, self.mode, self.min_delta, current, best)? {
            self.watch.best = Some(current);
            self.wait = 0;
        } else if self.cooling == 0 {
            self.wait += 1;
            if self.wait >= self.patience {
                self.reduce(epoch, run)?;
            }
        }
        Ok(())
    }
}
