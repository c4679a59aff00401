//! When callbacks that save do so.

use serde::Deserialize;

/// When a model is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFreq {
    /// After each epoch.
    #[default]
    Epoch,
    /// Each time this many batches have been trained on.
    Batches(usize),
}

impl<'de> Deserialize<'de> for SaveFreq {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<SaveFreq, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let batches = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        match (value.as_str(), batches) {
            (Some("epoch"), _) => Ok(SaveFreq::Epoch),
            (_, Some(batches)) => Ok(SaveFreq::Batches(batches)),
            _ => {
                Err(serde::de::Error::custom(format!("save_freq {value} is neither \"epoch\" nor a number of batches")))
            }
        }
    }
}

/// Counts batches since the last save.
#[derive(Debug, Default)]
pub(super) struct BatchCount {
    since: usize,
    last: Option<usize>,
}

impl BatchCount {
    /// Whether a save is due after batch `batch` of an epoch; if so, the count starts anew.
    pub(super) fn is_due(&mut self, save_freq: SaveFreq, batch: usize) -> bool {
        let SaveFreq::Batches(every) = save_freq else { return false };
        // Steps may come several at a time, and start anew with each epoch.
        self.since += match self.last {
            Some(last) if batch > last => batch - last,
            _ => batch + 1,
        };
        self.last = Some(batch);
        let due = self.since >= every;
        if due {
            self.since = 0;
        }
        due
    }

    /// The count, when training goes on after batch `last` of an epoch.
    pub(super) fn resumed_after(last: usize) -> BatchCount {
        BatchCount { since: 0, last: Some(last) }
    }
}
