//! `TensorBoard`: curves for the dashboard of that name.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rhyton_formats::tfevents::EventWriter;
use serde::Deserialize;

use super::callback::{Callback, Logs, Run};
use super::{Checked, format_error};
use crate::error::{Error, Result};

/// How often curves over batches get a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateFreq {
    /// Never: there are curves over epochs only.
    #[default]
    Epoch,
    /// Every so many batches.
    Batches(usize),
}

impl<'de> Deserialize<'de> for UpdateFreq {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<UpdateFreq, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let batches = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        match (value.as_str(), batches) {
            (Some("epoch"), _) => Ok(UpdateFreq::Epoch),
            (Some("batch"), _) => Ok(UpdateFreq::Batches(1)),
            (_, Some(batches)) => Ok(UpdateFreq::Batches(batches)),
            _ => Err(serde::de::Error::custom(format!("update_freq {value} is no \"epoch\", \"batch\" or number"))),
        }
    }
}

/// Writes the logs as TensorBoard's scalars: `epoch_…` and, with `update_freq`, `batch_…` to the folder `train`,
/// those of validation to the folder `validation` beside it. Graphs, histograms, images and profiles are not written.
///
/// # Errors
/// If the files cannot be written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TensorBoard {
    log_dir: PathBuf,
    write_steps_per_second: bool,
    update_freq: UpdateFreq,
    #[serde(skip)]
    train: Option<EventWriter>,
    #[serde(skip)]
    validation: Option<EventWriter>,
    #[serde(skip)]
    batches: usize,
    #[serde(skip)]
    epoch_start: Option<(Instant, f64)>,
    #[serde(skip)]
    batch_start: Option<Instant>,
}

impl Default for TensorBoard {
    fn default() -> TensorBoard {
        TensorBoard {
            log_dir: PathBuf::from("logs"),
            write_steps_per_second: false,
            update_freq: UpdateFreq::Epoch,
            train: None,
            validation: None,
            batches: 0,
            epoch_start: None,
            batch_start: None,
        }
    }
}

impl TensorBoard {
    /// Writes to the folder `log_dir`.
    pub fn new(log_dir: impl AsRef<Path>) -> TensorBoard {
        TensorBoard { log_dir: log_dir.as_ref().to_owned(), ..TensorBoard::default() }
    }

    /// Whether there are curves of the speed; there are not unless said.
    pub fn write_steps_per_second(mut self, write: bool) -> TensorBoard {
        self.write_steps_per_second = write;
        self
    }

    /// How often curves over batches get a point; never unless said.
    pub fn update_freq(mut self, update_freq: UpdateFreq) -> TensorBoard {
        self.update_freq = update_freq;
        self
    }

    fn write(&mut self, validation: bool, step: i64, scalars: &[(String, f64)]) -> Result<()> {
        if scalars.is_empty() {
            return Ok(());
        }
        let directory = self.log_dir.join(if validation { "validation" } else { "train" });
        let writer = if validation { &mut self.validation } else { &mut self.train };
        let now = wall_time();
        let writer = match writer {
            Some(writer) => writer,
            None => writer
                .insert(EventWriter::in_directory(&directory, now, ".v2").map_err(|e| format_error(&directory, e))?),
        };
        let scalars: Vec<(&str, f32)> = scalars.iter().map(|(name, value)| (name.as_str(), *value as f32)).collect();
        writer.scalars(now, step, &scalars).map_err(|e| format_error(&directory, e))
    }

    fn is_due(&self) -> bool {
        matches!(self.update_freq, UpdateFreq::Batches(every) if self.batches.is_multiple_of(every))
    }
}

/// Seconds since 1970.
fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn iterations(run: &Run) -> Result<f64> {
    run.model.optimizer().map_or(Ok(0.0), |o| o.iterations().value().item())
}

impl Checked for TensorBoard {
    fn check(&self) -> Result<()> {
        if self.update_freq == UpdateFreq::Batches(0) {
            return Err(Error::argument("update_freq", "0 batches", "give at least 1"));
        }
        Ok(())
    }
}

impl Callback for TensorBoard {
    fn on_train_begin(&mut self, _: &mut Run) -> Result<()> {
        self.check()?;
        self.batches = 0;
        Ok(())
    }

    fn on_train_end(&mut self, _: &Logs, _: &mut Run) -> Result<()> {
        for writer in [self.train.take(), self.validation.take()].iter_mut().flatten() {
            writer.sync().map_err(|e| format_error(&self.log_dir, e))?;
        }
        Ok(())
    }

    fn on_test_end(&mut self, logs: &Logs, run: &mut Run) -> Result<()> {
        if run.model.optimizer().is_none() {
            return Ok(());
        }
        let step = iterations(run)? as i64;
        let scalars: Vec<(String, f64)> =
            logs.iter().map(|(name, value)| (format!("evaluation_{name}_vs_iterations"), *value)).collect();
        self.write(true, step, &scalars)
    }

    fn on_train_batch_begin(&mut self, _: usize, _: &mut Run) -> Result<()> {
        self.batches += 1;
        self.batch_start = Some(Instant::now());
        Ok(())
    }

    fn on_train_batch_end(&mut self, _: usize, logs: &Logs, _: &mut Run) -> Result<()> {
        if !self.is_due() {
            return Ok(());
        }
        let mut scalars: Vec<(String, f64)> = Vec::new();
        if let Some(start) = self.batch_start.filter(|_| self.write_steps_per_second) {
            scalars.push(("batch_steps_per_second".into(), 1.0 / start.elapsed().as_secs_f64()));
        }
        scalars.extend(logs.iter().map(|(name, value)| (format!("batch_{name}"), *value)));
        self.write(false, self.batches as i64, &scalars)
    }

    fn wants_batch_logs(&self) -> bool {
        self.update_freq != UpdateFreq::Epoch
    }

    fn on_epoch_begin(&mut self, _: usize, run: &mut Run) -> Result<()> {
        if self.write_steps_per_second {
            self.epoch_start = Some((Instant::now(), iterations(run)?));
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        if logs.is_empty() {
            return Ok(());
        }
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for (name, value) in logs.iter() {
            match name.strip_prefix("val_") {
                Some(name) => validation.push((format!("epoch_{name}"), *value)),
                None => train.push((format!("epoch_{name}"), *value)),
            }
        }
        if let Some(optimizer) = run.model.optimizer() {
            train.retain(|(name, _)| name != "epoch_learning_rate");
            train.push(("epoch_learning_rate".into(), optimizer.current_learning_rate()?.item()?));
        }
        if let Some((start, before)) = self.epoch_start {
            let steps = iterations(run)? - before;
            train.push(("epoch_steps_per_second".into(), steps / start.elapsed().as_secs_f64()));
        }
        self.write(false, epoch as i64, &train)?;
        self.write(true, epoch as i64, &validation)
    }
}
