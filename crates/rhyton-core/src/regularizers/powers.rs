//! Penalties on the sizes of weights: `L1`, `L2`, `L1L2`.

use serde::{Deserialize, Serialize, Serializer};

use super::Regularizer;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

/// `l1 · Σ |w|`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L1 {
    #[serde(serialize_with = "super::as_float32")]
    l1: f64,
}

/// `l2 · Σ w²`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L2 {
    l2: f64,
}

/// `l1 · Σ |w| + l2 · Σ w²`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L1L2 {
    l1: f64,
    l2: f64,
}

keras_object!(L1, L2, L1L2);

impl Default for L1 {
    fn default() -> L1 {
        L1 { l1: 0.01 }
    }
}

impl L1 {
    /// With factor `l1`; Keras's default is 0.01.
    pub fn new(l1: f64) -> L1 {
        L1 { l1 }
    }
}

impl Default for L2 {
    fn default() -> L2 {
        L2 { l2: 0.01 }
    }
}

impl L2 {
    /// With factor `l2`; Keras's default is 0.01.
    pub fn new(l2: f64) -> L2 {
        L2 { l2 }
    }
}

impl L1L2 {
    /// With both factors; Keras's defaults are 0.
    pub fn new(l1: f64, l2: f64) -> L1L2 {
        L1L2 { l1, l2 }
    }
}

/// `factor`, which must be finite and at least 0.
pub(super) fn factor(value: f64, name: &str) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(Error::argument("regularizer", format!("{name} is {value}"), "give a finite number of at least 0"))
}

fn absolute(w: &Tensor, l1: f64) -> Result<Tensor> {
    Ok(ops::sum(&ops::absolute(w), Axes::All, false) * factor(l1, "l1")?)
}

fn squares(w: &Tensor, l2: f64) -> Result<Tensor> {
    Ok(ops::sum(&ops::square(w), Axes::All, false) * factor(l2, "l2")?)
}

impl Regularizer for L1 {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        absolute(weight, self.l1)?.check().cloned()
    }
}

impl Regularizer for L2 {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        squares(weight, self.l2)?.check().cloned()
    }
}

impl Regularizer for L1L2 {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        let mut penalty = Tensor::from(rhyton_ir::Array::scalar_of(weight.dtype(), 0.0));
        if self.l1 != 0.0 {
            penalty = penalty + absolute(weight, self.l1)?;
        }
        if self.l2 != 0.0 {
            penalty = penalty + squares(weight, self.l2)?;
        }
        penalty.check().cloned()
    }
}

/// Keras holds some factors as `float32` and writes them as such.
pub(super) fn as_float32<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*value as f32))
}
