//! `NonNeg`: weights of at least 0.

use serde::{Deserialize, Serialize};

use super::Constraint;
use crate::error::Result;
use crate::keras_object;
use crate::ops;
use crate::tensor::Tensor;

/// `max(w, 0)`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonNeg {}
keras_object!(NonNeg);

impl NonNeg {
    /// The constraint.
    pub fn new() -> NonNeg {
        NonNeg {}
    }
}

impl Constraint for NonNeg {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        ops::maximum(weight, 0).check().cloned()
    }
}
