//! `History`: keeps the logs of all epochs.

use std::sync::{Arc, Mutex};

use indexmap::IndexMap;

use super::callback::{Callback, Logs, Run};
use crate::error::Result;

/// Keeps the logs of all epochs. A clone has the same record: keep one and give the other to the run.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    epochs: Vec<usize>,
    logs: IndexMap<String, Vec<f64>>,
}

impl History {
    /// No epochs yet.
    pub fn new() -> History {
        History::default()
    }

    /// The epochs of the last run, counted from 0.
    pub fn epochs(&self) -> Vec<usize> {
        self.lock().epochs.clone()
    }

    /// The logs by name, one value an epoch.
    pub fn logs(&self) -> IndexMap<String, Vec<f64>> {
        self.lock().logs.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Callback for History {
    fn on_train_begin(&mut self, _: &mut Run) -> Result<()> {
        self.lock().epochs.clear();
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: usize, logs: &mut Logs, _: &mut Run) -> Result<()> {
        let mut record = self.lock();
        record.epochs.push(epoch);
        for (name, value) in logs {
            record.logs.entry(name.clone()).or_default().push(*value);
        }
        Ok(())
    }
}
