//! What training and evaluation report.

use indexmap::IndexMap;
use rhyton_ir::Array;
use serde::Serialize;

use crate::callbacks::Logs;

/// The value of a metric: a number, or several (such as the F-score of each class).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Score {
    /// One.
    Number(f64),
    /// Several.
    List(Vec<f64>),
}

impl Score {
    pub(crate) fn of(array: &Array) -> Score {
        let values = array.to_f64_vec();
        if array.rank() == 0 { Score::Number(values.first().copied().unwrap_or(f64::NAN)) } else { Score::List(values) }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Score::Number(value) => Some(*value),
            Score::List(_) => None,
        }
    }
}

/// Values by Keras's names.
pub type Scores = IndexMap<String, Score>;

/// The numbers among them, as callbacks see them.
pub(crate) fn numbers(scores: &Scores) -> Logs {
    scores.iter().filter_map(|(name, score)| Some((name.clone(), score.number()?))).collect()
}

/// What `fit` reports: every metric of every epoch, with Keras's names.
#[derive(Clone, Debug, Default, Serialize)]
pub struct History {
    /// The epochs that were run, from 0.
    #[serde(skip)]
    pub epoch: Vec<usize>,
    /// By name, one value an epoch.
    #[serde(flatten)]
    pub history: IndexMap<String, Vec<Score>>,
    /// Whether the run was interrupted; what was trained until then is in the model.
    #[serde(skip)]
    pub interrupted: bool,
}

impl History {
    /// The numbers of one metric, one an epoch; empty if there is none of that name.
    pub fn get(&self, name: &str) -> Vec<f64> {
        self.history.get(name).into_iter().flatten().filter_map(Score::number).collect()
    }

    pub(crate) fn push(&mut self, epoch: usize, scores: &Scores) {
        self.epoch.push(epoch);
        for (name, score) in scores {
            self.history.entry(name.clone()).or_default().push(score.clone());
        }
    }
}
