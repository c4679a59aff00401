//! `BackupAndRestore`: lets a training that was cut off go on where it was.

use std::path::{Path, PathBuf};

use rhyton_formats::atomic::write_atomically;
use serde::{Deserialize, Serialize};

use super::callback::{Callback, Logs, Run};
use super::save_freq::{BatchCount, SaveFreq};
use super::{Checked, format_error, io_error};
use crate::error::{Error, Result};

/// Keeps the weights, the optimizer's state and the place in the training in a folder, and takes them up again when `fit` is
/// called the next time: after a crash, the same program goes on where it was.
///
/// With [`SaveFreq::Epoch`] training goes on with the epoch after the last complete one. With [`SaveFreq::Batches`] it goes
/// on with the step after the backup (Keras begins that epoch anew): the samples are those that were left if the order is
/// the same, that is without shuffling or with [`Fit::seed`](crate::trainer::Fit::seed), and the metrics of the epoch are those of
/// the steps that were left. The files are Keras's, and each is replaced at once: what is there is complete.
///
/// # Errors
/// If the model has no weights yet; if a backup cannot be read or written, or is of another model.
///
/// # Examples
/// ```
/// use rhyton_core::callbacks::{BackupAndRestore, SaveFreq};
///
/// let backup = BackupAndRestore::new("runs/backup").save_freq(SaveFreq::Batches(100)).double_checkpoint(true);
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupAndRestore {
    backup_dir: PathBuf,
    #[serde(default)]
    save_freq: SaveFreq,
    #[serde(default)]
    double_checkpoint: bool,
    #[serde(default = "yes")]
    delete_checkpoint: bool,
    #[serde(skip)]
    count: BatchCount,
    #[serde(skip)]
    at: Place,
}

fn yes() -> bool {
    true
}

/// How far the training is, as Keras writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    epoch: usize,
    /// The last batch of `epoch` that was trained on; also 0 before the first.
    batch: usize,
    /// How many steps of `epoch` are done. Keras writes no such number, and begins the epoch anew.
    #[serde(default)]
    steps: usize,
}

const CLASS: &str = "BackupAndRestore";
const WEIGHTS: &str = "latest.weights.h5";
const METADATA: &str = "training_metadata.json";

impl BackupAndRestore {
    /// Backs up after each epoch into `backup_dir`, which no other run and nothing else may use.
    pub fn new(backup_dir: impl AsRef<Path>) -> BackupAndRestore {
        BackupAndRestore {
            backup_dir: backup_dir.as_ref().to_owned(),
            save_freq: SaveFreq::Epoch,
            double_checkpoint: false,
            delete_checkpoint: true,
            count: BatchCount::default(),
            at: Place::default(),
        }
    }

    /// When it backs up; after each epoch unless said.
    pub fn save_freq(mut self, save_freq: SaveFreq) -> BackupAndRestore {
        self.save_freq = save_freq;
        self
    }

    /// Whether the backup before the last is kept, too, for the case that the last cannot be read; not unless said.
    pub fn double_checkpoint(mut self, double_checkpoint: bool) -> BackupAndRestore {
        self.double_checkpoint = double_checkpoint;
        self
    }

    /// Whether the backup is deleted when the training is complete; it is unless said. After an interruption it stays.
    pub fn delete_checkpoint(mut self, delete_checkpoint: bool) -> BackupAndRestore {
        self.delete_checkpoint = delete_checkpoint;
        self
    }

    fn file(&self, name: &str) -> PathBuf {
        self.backup_dir.join(name)
    }

    /// The copy of `name` that is kept of the backup before the last.
    fn previous(&self, name: &str) -> PathBuf {
        self.backup_dir.join(format!("{name}.bkp"))
    }

    /// Takes up what was backed up, if anything was.
    fn restore(&mut self, run: &mut Run) -> Result<()> {
        let weights = self.file(WEIGHTS);
        if weights.exists() {
            run.model.load_weights(&weights)?;
        }
        let metadata = self.file(METADATA);
        if !metadata.exists() {
            return Ok(());
        }
        let text = std::fs::read(&metadata).map_err(|e| io_error("read", &metadata, &e))?;
        self.at = serde_json::from_slice(&text).map_err(|error| {
            Error::content(metadata.to_string_lossy(), error.to_string(), "delete the backup folder to train anew")
        })?;
        let Place { epoch, steps, .. } = self.at;
        let is_complete = steps > 0 && run.steps.is_some_and(|all| steps >= all);
        if is_complete || steps == 0 {
            run.resume(epoch + usize::from(is_complete), 0);
        } else {
            self.count = BatchCount::resumed_after(steps - 1);
            run.resume(epoch, steps);
        }
        Ok(())
    }

    fn back_up(&self, run: &Run) -> Result<()> {
        std::fs::create_dir_all(&self.backup_dir).map_err(|e| io_error("make the folder", &self.backup_dir, &e))?;
        for name in [WEIGHTS, METADATA].into_iter().filter(|n| self.double_checkpoint && self.file(n).exists()) {
            copy(&self.file(name), &self.previous(name))?;
        }
        run.model.save_weights(self.file(WEIGHTS))?;
        let text = serde_json::to_vec(&self.at).expect("numbers are JSON");
        write(&self.file(METADATA), &text)
    }

    /// Deletes the files of the backup, and the folder if nothing else is in it.
    fn delete(&self) -> Result<()> {
        for name in [WEIGHTS, METADATA] {
            for path in [self.file(name), self.previous(name)].into_iter().filter(|p| p.exists()) {
                std::fs::remove_file(&path).map_err(|e| io_error("delete", &path, &e))?;
            }
        }
        // A folder that others have put files in stays.
        let _ = std::fs::remove_dir(&self.backup_dir);
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |out| std::io::Write::write_all(out, bytes)).map_err(|e| format_error(path, e))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).map_err(|e| io_error("read", from, &e))?;
    write(to, &bytes)
}

impl Checked for BackupAndRestore {
    fn check(&self) -> Result<()> {
        if self.backup_dir.as_os_str().is_empty() {
            return Err(Error::argument("backup_dir", "it is empty", "give the path of a folder for the backup"));
        }
        if self.save_freq == SaveFreq::Batches(0) {
            return Err(Error::argument("save_freq", "0 batches are none", "give at least 1"));
        }
        Ok(())
    }
}

impl Callback for BackupAndRestore {
    fn on_train_begin(&mut self, run: &mut Run) -> Result<()> {
        self.check()?;
        if !run.model.built() {
            return Err(Error::argument(
                CLASS,
                "the model has no weights yet",
                "give it an Input, call build, or predict a batch before fit",
            ));
        }
        let Err(error) = self.restore(run) else { return Ok(()) };
        if !self.previous(WEIGHTS).exists() {
            return Err(error);
        }
        copy(&self.previous(WEIGHTS), &self.file(WEIGHTS))?;
        if self.previous(METADATA).exists() {
            copy(&self.previous(METADATA), &self.file(METADATA))?;
        } else if self.file(METADATA).exists() {
            let metadata = self.file(METADATA);
            std::fs::remove_file(&metadata).map_err(|e| io_error("delete", &metadata, &e))?;
        }
        self.restore(run)
    }

    fn on_train_batch_end(&mut self, batch: usize, _: &Logs, run: &mut Run) -> Result<()> {
        (self.at.batch, self.at.steps) = (batch, batch + 1);
        if self.count.is_due(self.save_freq, batch) { self.back_up(run) } else { Ok(()) }
    }

    fn on_epoch_end(&mut self, epoch: usize, _: &mut Logs, run: &mut Run) -> Result<()> {
        self.at = Place { epoch: epoch + 1, ..Place::default() };
        if self.save_freq == SaveFreq::Epoch { self.back_up(run) } else { Ok(()) }
    }

    fn on_train_end(&mut self, _: &Logs, run: &mut Run) -> Result<()> {
        if self.delete_checkpoint && !run.interrupted() { self.delete() } else { Ok(()) }
    }
}
