//! `OrthogonalRegularizer`: rows or columns of a matrix shall be orthogonal.

use serde::{Deserialize, Serialize};

use super::Regularizer;
use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

/// What shall be orthogonal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrthogonalMode {
    /// The rows.
    #[default]
    Rows,
    /// The columns.
    Columns,
}

/// `factor` times the mean of `|cos|` of the angles between each two rows (or columns) of a matrix.
///
/// # Errors
/// If the weight has not two axes of known size, or `factor` is negative or not finite.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrthogonalRegularizer {
    #[serde(serialize_with = "super::as_float32")]
    factor: f64,
    mode: OrthogonalMode,
}
keras_object!(OrthogonalRegularizer);

impl Default for OrthogonalRegularizer {
    fn default() -> OrthogonalRegularizer {
        OrthogonalRegularizer { factor: 0.01, mode: OrthogonalMode::Rows }
    }
}

impl OrthogonalRegularizer {
    /// Factor 0.01, over rows.
    pub fn new() -> OrthogonalRegularizer {
        OrthogonalRegularizer::default()
    }

    /// Multiplies the penalty.
    pub fn factor(mut self, factor: f64) -> OrthogonalRegularizer {
        self.factor = factor;
        self
    }

    /// Whether rows or columns.
    pub fn mode(mut self, mode: OrthogonalMode) -> OrthogonalRegularizer {
        self.mode = mode;
        self
    }
}

impl Regularizer for OrthogonalRegularizer {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        let factor = super::factor(self.factor, "factor")?;
        let along = match self.mode {
            OrthogonalMode::Rows => 0,
            OrthogonalMode::Columns => 1,
        };
        let size = weight.dim(along).known().filter(|_| weight.rank() == 2).ok_or_else(|| {
            let what = format!("the weight has shape {}", weight.shape());
            Error::shape("OrthogonalRegularizer", what, "use it for matrices of known size")
        })?;
        let unit = ops::normalize(weight, 1 - along as i64, 2, Some(epsilon()));
        let transposed = ops::transpose(&unit, Axes::All);
        let cosines = if along == 0 { unit.matmul(transposed) } else { transposed.matmul(unit) };
        let others = 1.0 - ops::eye(size, None, 0, Some(weight.dtype()));
        let pairs = size as f64 * (size as f64 - 1.0) / 2.0;
        let penalty = ops::sum(&ops::absolute(&(cosines * others)), Axes::All, false);
        (penalty * (factor * 0.5) / pairs).check().cloned()
    }
}
