//! `stop_gradient`: the identity, through which no gradient flows.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::Result;
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopGradient;

impl StopGradient {
    /// Samples for tests; not `float64`, since the cotangent is not the derivative.
    pub fn samples() -> Vec<Sample> {
        vec![
            Sample::new(StopGradient, [Array::new([3], vec![1.0f32, -2.0, 0.5])]),
            Sample::new(StopGradient, [Array::scalar(7i64)]),
            Sample::new(StopGradient, [Array::new([2, 0], Vec::<bool>::new())]),
        ]
    }
}

impl Primitive for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        Ok(vec![(*x).clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x] = operands(self, inputs)?;
        Ok(vec![(*x).clone()])
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(StopGradient.into())
    }
}
