//! `broadcast_in_dim`: repetition along new or unit axes.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// Operand axis `i` becomes axis `axes[i]` of `shape` (ascending); operand sizes are 1 or the size there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BroadcastInDim {
    /// The shape of the result.
    pub shape: Shape,
    /// Where each operand axis goes.
    pub axes: Vec<usize>,
}

impl BroadcastInDim {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 1], vec![1.5f64, -2.0]);
        vec![
            Sample::new(BroadcastInDim { shape: [2, 3].into(), axes: vec![0, 1] }, [x.clone()]),
            Sample::new(BroadcastInDim { shape: [4, 2, 2, 3].into(), axes: vec![1, 3] }, [x]),
            Sample::new(BroadcastInDim { shape: [2, 2].into(), axes: vec![] }, [Array::scalar(3.0f64)]),
            Sample::new(BroadcastInDim { shape: [2, 3].into(), axes: vec![1] }, [Array::new([3], vec![1i32, 2, 3])]),
        ]
    }
}

impl Primitive for BroadcastInDim {
    fn name(&self) -> &'static str {
        "broadcast_in_dim"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let ascending = self.axes.windows(2).all(|w| w[0] < w[1]);
        if self.axes.len() != x.rank() || !ascending || self.axes.last().is_some_and(|&a| a >= self.shape.rank()) {
            return Err(Error::argument(
                self.name(),
                format!("axes {:?} do not place {x} in {}", self.axes, self.shape),
                "give ascending axes of the result, one an operand axis",
            ));
        }
        for (d, &axis) in x.shape.iter().zip(&self.axes) {
            if !d.is(1) && !d.compatible(&self.shape[axis]) {
                return Err(Error::shape(
                    self.name(),
                    format!("{x} does not broadcast to {} along axes {:?}", self.shape, self.axes),
                    "make the sizes equal, or 1 in the operand",
                ));
            }
        }
        Ok(vec![x.with_shape(self.shape.clone())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn repeat<T: Element>(values: &[T], from: &[usize], to: &[usize], axes: &[usize]) -> Array {
            let out = super::indices(to).map(|index| {
                let at = from.iter().zip(axes).fold(0, |at, (&d, &axis)| at * d + if d == 1 { 0 } else { index[axis] });
                values[at]
            });
            Array::new(to, out.collect::<Vec<T>>())
        }
        let [x] = operands(self, inputs)?;
        let shape = super::known(self, &self.shape)?;
        Ok(vec![crate::with_data!(x.data(), v => repeat(v, x.shape(), &shape, &self.axes))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dy) = cotangents[0] else { return Ok(vec![None]) };
        let from = b.shape(node.inputs[0]);
        // Sum over the axes that are new and over those that were 1, then give the latter back.
        let repeated = |axis: &usize| match self.axes.iter().position(|a| a == axis) {
            Some(i) => from[i].is(1) && !self.shape[*axis].is(1),
            None => true,
        };
        let summed: Vec<usize> = (0..self.shape.rank()).filter(repeated).collect();
        let sum = b.sum(dy, &summed);
        Ok(vec![Some(b.reshape(sum, from))])
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(BroadcastInDim { shape: self.shape.bind(bindings), axes: self.axes.clone() }.into())
    }
}
