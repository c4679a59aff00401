//! `ModelCheckpoint`: saves the model while it is trained.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::callback::{Callback, Logs, Run};
use super::monitor::{self, Mode, Monitor};
use super::python_format::{Argument, format};
use super::save_freq::{BatchCount, SaveFreq};
use super::{Checked, io_error, report};
use crate::error::{Error, Result};

/// Saves the model, or its weights, to a file after each epoch or every so many batches.
///
/// The path may have the epoch (counted from 1), the batch and the logs in it, with Python's formats:
/// `{epoch:02d}-{val_loss:.2f}.keras`. Folders are made. The file is replaced at once: an interrupted run leaves the last
/// complete one.
///
/// # Errors
/// At the begin of the training, if the path does not end in `.keras`, `.h5` or, for weights alone, `.weights.h5`. While
/// it goes on, if the path has a log in it that there is not, or the file cannot be written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCheckpoint {
    filepath: String,
    #[serde(default = "val_loss")]
    monitor: String,
    #[serde(default)]
    verbose: u8,
    #[serde(default)]
    save_best_only: bool,
    #[serde(default)]
    save_weights_only: bool,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    save_freq: SaveFreq,
    #[serde(default)]
    initial_value_threshold: Option<f64>,
    #[serde(skip)]
    state: State,
}

#[derive(Debug, Default)]
struct State {
    watch: Monitor,
    began: bool,
    epoch: usize,
    batches: BatchCount,
}

fn val_loss() -> String {
    "val_loss".into()
}

const CLASS: &str = "ModelCheckpoint";

impl ModelCheckpoint {
    /// Saves the whole model to `filepath` after each epoch.
    pub fn new(filepath: impl AsRef<Path>) -> ModelCheckpoint {
        ModelCheckpoint {
            filepath: filepath.as_ref().to_string_lossy().into_owned(),
            monitor: val_loss(),
            verbose: 0,
            save_best_only: false,
            save_weights_only: false,
            mode: Mode::Auto,
            save_freq: SaveFreq::Epoch,
            initial_value_threshold: None,
            state: State::default(),
        }
    }

    /// The metric to watch; `val_loss` unless said.
    pub fn monitor(mut self, monitor: impl Into<String>) -> ModelCheckpoint {
        self.monitor = monitor.into();
        self
    }

    /// 1: says when it saves.
    pub fn verbose(mut self, verbose: u8) -> ModelCheckpoint {
        self.verbose = verbose;
        self
    }

    /// Whether only models better than all before are saved; all are unless said.
    pub fn save_best_only(mut self, best_only: bool) -> ModelCheckpoint {
        self.save_best_only = best_only;
        self
    }

    /// Whether the weights alone are saved; the whole model is unless said.
    pub fn save_weights_only(mut self, weights_only: bool) -> ModelCheckpoint {
        self.save_weights_only = weights_only;
        self
    }

    /// Which way the metric improves; found from its name unless said.
    pub fn mode(mut self, mode: Mode) -> ModelCheckpoint {
        self.mode = mode;
        self
    }

    /// When it saves; after each epoch unless said.
    pub fn save_freq(mut self, save_freq: SaveFreq) -> ModelCheckpoint {
        self.save_freq = save_freq;
        self
    }

    /// What the metric must be better than for the first save.
    pub fn initial_value_threshold(mut self, threshold: f64) -> ModelCheckpoint {
        self.initial_value_threshold = Some(threshold);
        self
    }

    fn path(&self, epoch: usize, batch: Option<usize>, logs: &Logs) -> Result<PathBuf> {
        let mut arguments = vec![("epoch", Argument::Int(epoch as i64 + 1))];
        if let Some(batch) = batch.filter(|_| !logs.contains_key("batch")) {
            arguments.push(("batch", Argument::Int(batch as i64 + 1)));
        }
        arguments.extend(logs.iter().map(|(name, value)| (name.as_str(), Argument::Float(*value))));
        format(&self.filepath, &arguments).map(PathBuf::from).map_err(|what| {
            let names: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
            let fix = format!("use only {}", names.join(", "));
            Error::argument("filepath", format!("{:?} cannot be filled in: {what}", self.filepath), fix)
        })
    }

    /// Whether the model is to be saved, which it is said to be if it is.
    fn is_wanted(&mut self, epoch: usize, logs: &Logs, path: &Path, run: &Run) -> Result<bool> {
        let verbose = self.verbose;
        let say = |text: String| {
            if verbose > 0 {
                report::message(&format!("Epoch {}: {text}", epoch + 1));
            }
        };
        let path = path.display();
        if !self.save_best_only {
            say(format!("saving model to {path}"));
            return Ok(true);
        }
        let Some(current) = self.state.watch.current(CLASS, &self.monitor, logs, run) else {
            // An epoch that was cut short has no validation, and may be worse than the best.
            return Ok(!run.interrupted() || self.state.watch.best.is_none());
        };
        let best = self.state.watch.best;
        let shown = best.map_or_else(|| "None".to_owned(), |b| format!("{b:.5}"));
        let better = monitor::improves(CLASS, &self.monitor, self.mode, 0.0, current, best)?;
        if better {
            say(format!("{} improved from {shown} to {current:.5}, saving model to {path}", self.monitor));
            self.state.watch.best = Some(current);
        } else {
            say(format!("{} did not improve from {shown}", self.monitor));
        }
        Ok(better)
    }

    fn save(&mut self, epoch: usize, batch: Option<usize>, logs: &Logs, run: &Run) -> Result<()> {
        let path = self.path(epoch, batch, logs)?;
        if !self.is_wanted(epoch, logs, &path, run)? {
            return Ok(());
        }
        if path.is_dir() {
            return Err(Error::argument(
                "filepath",
                format!("{} is a folder", path.display()),
                "give the path of a file",
            ));
        }
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| io_error("make the folder", folder, &e))?;
        }
        if self.save_weights_only { run.model.save_weights(&path) } else { run.model.save(&path) }
    }
}

impl Checked for ModelCheckpoint {
    fn check(&self) -> Result<()> {
        let endings: &[&str] = if self.save_weights_only { &[".weights.h5"] } else { &[".keras", ".h5"] };
        if endings.iter().any(|e| self.filepath.ends_with(e)) {
            return Ok(());
        }
        Err(Error::argument(
            "filepath",
            format!("{:?} does not end in {}", self.filepath, endings.join(" or ")),
            "end the path so, or change save_weights_only",
        ))
    }
}

impl Callback for ModelCheckpoint {
    fn on_train_begin(&mut self, _: &mut Run) -> Result<()> {
        self.check()?;
        // The best value is kept from one training to the next.
        if !self.state.began {
            self.state.watch.best = self.initial_value_threshold;
            self.state.began = true;
        }
        Ok(())
    }

    fn on_epoch_begin(&mut self, epoch: usize, _: &mut Run) -> Result<()> {
        self.state.epoch = epoch;
        Ok(())
    }

    fn on_train_batch_end(&mut self, batch: usize, logs: &Logs, run: &mut Run) -> Result<()> {
        if self.state.batches.is_due(self.save_freq, batch) {
            self.save(self.state.epoch, Some(batch), logs, run)
        } else {
            Ok(())
        }
    }

    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        monitor::resolve(CLASS, &self.monitor, self.mode)?;
        if self.save_freq == SaveFreq::Epoch { self.save(epoch, None, logs, run) } else { Ok(()) }
    }

    fn wants_batch_logs(&self) -> bool {
        self.save_freq != SaveFreq::Epoch
    }
}
