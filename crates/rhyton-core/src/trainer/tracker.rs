//! The mean of a loss over an epoch, each batch counting by its samples.

use rhyton_ir::{Array, DType};

use crate::error::Result;
use crate::ops;
use crate::tensor::Tensor;
use crate::variable::Variable;

/// A running mean (Keras's `Mean` metric of a loss).
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    name: String,
    total: Variable,
    count: Variable,
}

impl Tracker {
    pub(crate) fn new(name: &str) -> Tracker {
        let zero = || Array::zeros(DType::F32, []);
        Tracker {
            name: name.to_owned(),
            total: Variable::state(&format!("{name}/total"), zero()),
            count: Variable::state(&format!("{name}/count"), zero()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Counts `value` once for every sample of `batch`.
    pub(crate) fn update(&self, value: &Tensor, batch: &Tensor) -> Result<()> {
        let samples = batch.dim(0).known().unwrap_or(1) as f64;
        self.total.assign(self.total.value() + value.cast(DType::F32) * samples)?;
        self.count.assign(self.count.value() + samples)
    }

    /// The mean; 0 of nothing.
    pub(crate) fn result(&self) -> Tensor {
        self.total.value() / ops::maximum(self.count.value(), 1.0)
    }

    pub(crate) fn reset(&self) -> Result<()> {
        self.total.assign(0.0f32)?;
        self.count.assign(0.0f32)
    }
}
