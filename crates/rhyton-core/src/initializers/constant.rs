//! `Zeros` and `Ones`.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};

use super::Initializer;
use crate::error::Result;
use crate::keras_object;
use crate::tensor::Tensor;

/// All zeros.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zeros {}

/// All ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ones {}

keras_object!(Zeros, Ones);

impl Initializer for Zeros {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        Ok(Array::zeros(dtype, shape).into())
    }
}

impl Initializer for Ones {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        Ok(Array::full(dtype, shape, 1.0).into())
    }
}
