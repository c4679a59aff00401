//! `"accuracy"`: the accuracy that the shapes of labels and predictions ask for.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{BinaryAccuracy, CategoricalAccuracy, Direction, Metric, MetricBase, SparseCategoricalAccuracy};
use crate::error::{Error, Result};
use crate::losses::is_binary_or_sparse_categorical;
use crate::saving::KerasObject;
use crate::tensor::Tensor;
use crate::variable::Variable;

/// Binary, sparse categorical or categorical accuracy, settled by the first batch.
#[derive(Clone, Debug)]
pub(super) struct AccuracyByShape {
    base: MetricBase,
    chosen: Arc<OnceLock<Arc<dyn Metric>>>,
}

impl AccuracyByShape {
    /// Called `name`.
    pub(super) fn new(name: &str) -> AccuracyByShape {
        let base = MetricBase::default();
        base.set_name(name);
        AccuracyByShape { base, chosen: Arc::default() }
    }

    fn choose(&self, y_true: &Tensor, y_pred: &Tensor) -> &dyn Metric {
        &**self.chosen.get_or_init(|| choose(y_true, y_pred, self.name()))
    }
}

/// Whether a name stands for the accuracy that the shapes ask for.
pub(super) fn is_by_shape(name: &str) -> bool {
    matches!(name.to_lowercase().as_str(), "accuracy" | "acc")
}

/// The accuracy that the shapes ask for, called `name`.
pub(super) fn choose(y_true: &Tensor, y_pred: &Tensor, name: &str) -> Arc<dyn Metric> {
    match is_binary_or_sparse_categorical(y_true, y_pred) {
        (true, _) => Arc::new(BinaryAccuracy::new().name(name)),
        (_, true) => Arc::new(SparseCategoricalAccuracy::new().name(name)),
        _ => Arc::new(CategoricalAccuracy::new().name(name)),
    }
}

impl KerasObject for AccuracyByShape {
    fn class_name(&self) -> &'static str {
        self.chosen.get().map_or("Accuracy", |m| m.class_name())
    }

    fn config(&self) -> Value {
        self.chosen.get().map_or(Value::Null, |m| m.config())
    }
}

impl Metric for AccuracyByShape {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.choose(y_true, y_pred).update_state(y_true, y_pred, sample_weight)
    }

    fn result(&self) -> Result<Tensor> {
        let chosen = self
            .chosen
            .get()
            .ok_or_else(|| Error::argument(self.name(), "no batch has been seen", "call update_state before result"))?;
        chosen.result()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }

    fn variables(&self) -> Vec<Variable> {
        self.chosen.get().map_or_else(Vec::new, |m| m.variables())
    }
}
