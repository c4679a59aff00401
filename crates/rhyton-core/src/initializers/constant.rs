//! Initializers that draw nothing: `Zeros`, `Ones`, `Constant`, `Identity`.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Initializer;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::nest::Nest;
use crate::ops::Operand;
use crate::tensor::Tensor;

/// All zeros.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zeros {}

/// All ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ones {}

/// `value` everywhere; a nested list of numbers repeats to the shape as NumPy's broadcasting does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Constant {
    value: Value,
}

/// `gain` on the diagonal of a matrix, 0 elsewhere.
///
/// # Errors
/// If the shape has not two axes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Keras does not save it.
    #[serde(skip_serializing)]
    gain: f64,
}

keras_object!(Zeros, Ones, Constant, Identity);

impl Default for Constant {
    fn default() -> Constant {
        Constant { value: Value::from(0.0) }
    }
}

impl Constant {
    /// `value` everywhere: a number, or a nested list of numbers as JSON (`json!([1, 2])`).
    pub fn new(value: impl Into<Value>) -> Constant {
        Constant { value: value.into() }
    }
}

impl Default for Identity {
    fn default() -> Identity {
        Identity { gain: 1.0 }
    }
}

impl Identity {
    /// Ones on the diagonal.
    pub fn new() -> Identity {
        Identity::default()
    }

    /// What is on the diagonal.
    pub fn gain(mut self, gain: f64) -> Identity {
        self.gain = gain;
        self
    }
}

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

impl Initializer for Constant {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        // Keras writes arrays and tensors as objects with the values inside.
        let value = self.value.get("config").and_then(|c| c.get("value")).unwrap_or(&self.value);
        let value = Operand::from_nest(&Nest::Plain(value.clone()))?.to_tensor(dtype);
        let filled = value * Tensor::from(Array::full(dtype, shape, 1.0));
        let filled = filled.check()?;
        if filled.shape().iter().map(|d| d.known()).eq(shape.iter().map(|&d| Some(d))) {
            return Ok(filled.clone());
        }
        Err(Error::shape(
            "Constant",
            format!("the value repeats to {}, which is not {shape:?}", filled.shape()),
            "give a number, or values that broadcast to the shape of the weight",
        ))
    }
}

impl Initializer for Identity {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let &[rows, columns] = shape else {
            return Err(Error::shape("Identity", format!("the shape {shape:?} is no matrix"), "use it for two axes"));
        };
        let mut values = vec![0.0; rows * columns];
        values.iter_mut().step_by(columns + 1).take(rows.min(columns)).for_each(|v| *v = self.gain);
        Ok(Array::new(shape, values).cast(dtype).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        let error = Constant::new(vec![1.0, 2.0]).call(&[3], DType::F32).unwrap_err();
        assert!(matches!(error, Error::Shape(_)), "{error}");
        let error = Constant::new(vec![vec![1.0], vec![2.0]]).call(&[3], DType::F32).unwrap_err();
        assert!(matches!(error, Error::Shape(_)), "{error}");
        assert!(Identity::new().call(&[2, 2, 2], DType::F32).is_err());
    }
}
