//! Initializers that keep the variance of signals: Glorot, He, LeCun.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::Initializer;
use crate::error::Result;
use crate::keras_object;
use crate::random;
use crate::tensor::Tensor;

/// Uniform in `±√(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GlorotUniform {
    seed: Option<u64>,
    input_axes: Option<Vec<i64>>,
    output_axes: Option<Vec<i64>>,
}
keras_object!(GlorotUniform);

impl Initializer for GlorotUniform {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let (fan_in, fan_out) = fans(shape);
        let limit = (6.0 / (fan_in + fan_out).max(1.0)).sqrt();
        random::uniform(shape, -limit, limit, dtype, self.seed.unwrap_or_else(random::next_seed))
    }
}

/// The inputs and outputs that one weight serves, by Keras's convention: the last two axes are in and out, those before
/// them the window.
pub(crate) fn fans(shape: &[usize]) -> (f64, f64) {
    match shape {
        [] => (1.0, 1.0),
        [n] => (*n as f64, *n as f64),
        [window @ .., fan_in, fan_out] => {
            let size: usize = window.iter().product();
            ((fan_in * size) as f64, (fan_out * size) as f64)
        }
    }
}
