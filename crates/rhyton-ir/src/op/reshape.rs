//! `reshape`: the same elements in another shape.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// Row-major elements are kept; the element counts are equal (not provable for every symbolic shape, then trusted).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// The new shape.
    pub shape: Shape,
}

impl Reshape {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 3], vec![1.0f64, -2.0, 3.5, 4.0, 0.5, -6.0]);
        vec![
            Sample::new(Reshape { shape: [3, 2].into() }, [x.clone()]),
            Sample::new(Reshape { shape: [1, 6, 1].into() }, [x]),
            Sample::new(Reshape { shape: Shape::scalar() }, [Array::new([1, 1], vec![2.0f64])]),
            Sample::new(Reshape { shape: [1].into() }, [Array::scalar(true)]),
            Sample::new(Reshape { shape: [5, 0].into() }, [Array::new([0, 3], Vec::<i32>::new())]),
        ]
    }

    fn mismatch(&self, x: &dyn std::fmt::Display) -> Error {
        Error::shape(
            self.name(),
            format!("{x} does not have as many elements as {}", self.shape),
            "choose sizes with the same product",
        )
    }
}

impl Primitive for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        if !x.shape.elements().compatible(&self.shape.elements()) {
            return Err(self.mismatch(x));
        }
        Ok(vec![x.with_shape(self.shape.clone())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x] = operands(self, inputs)?;
        let shape = super::known(self, &self.shape)?;
        x.reshape(shape).map(|y| vec![y]).ok_or_else(|| self.mismatch(&Shape::from(x.shape())))
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let shape = b.shape(node.inputs[0]);
        Ok(vec![cotangents[0].map(|dy| b.reshape(dy, shape))])
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(Reshape { shape: self.shape.bind(bindings) }.into())
    }
}
