//! `concatenate`: operands one after the other along an axis.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Reverse, Sample};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, TensorType};

/// At least one operand; all sizes but that of `axis` are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concatenate {
    /// The axis.
    pub axis: usize,
}

impl Concatenate {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 2], vec![1.0f64, -2.0, 3.5, 4.0]);
        let y = Array::new([2, 1], vec![0.5f64, -6.0]);
        let z = Array::new([1, 2], vec![7.5f64, 8.5]);
        let none = Array::new([2, 0], Vec::<f64>::new());
        vec![
            Sample::new(Concatenate { axis: 1 }, [x.clone(), y.clone(), x.clone()]),
            Sample::new(Concatenate { axis: 0 }, [z, x.clone()]),
            Sample::new(Concatenate { axis: 1 }, [none, y]),
            Sample::new(Concatenate { axis: 0 }, [x]),
            Sample::new(Concatenate { axis: 0 }, [Array::new([1], vec![true]), Array::new([2], vec![false, true])]),
            Sample::new(Concatenate { axis: 0 }, [Array::new([2], vec![1i32, 2]), Array::new([1], vec![3i32])]),
        ]
    }

    fn without_operand(&self) -> Error {
        Error::argument(self.name(), "no operands", "pass at least one")
    }
}

impl Primitive for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [first, rest @ ..] = inputs else { return Err(self.without_operand()) };
        if self.axis >= first.rank() {
            return Err(Error::argument(
                self.name(),
                format!("axis {} of {first}", self.axis),
                "give an axis below the rank; reshape scalars to [1] first",
            ));
        }
        let mut shape = first.shape.clone();
        for x in rest {
            if x.dtype != first.dtype {
                return Err(Error::dtype(self.name(), format!("{first} with {x}"), "convert all to one dtype"));
            }
            let fits = |(axis, d): (usize, &Dim)| axis == self.axis || d.compatible(&x.shape[axis]);
            if x.rank() != shape.rank() || !shape.iter().enumerate().all(fits) {
                return Err(Error::shape(
                    self.name(),
                    format!("{first} with {x} along axis {}", self.axis),
                    "make all sizes but that of the axis equal",
                ));
            }
            let length = shape[self.axis].clone() + x.shape[self.axis].clone();
            shape = shape.merge(&x.shape);
            shape[self.axis] = length;
        }
        Ok(vec![first.with_shape(shape)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn join<T: Element>(op: &Concatenate, inputs: &[&Array], outer: usize) -> Result<crate::Data> {
            let mut out = Vec::new();
            for i in 0..outer {
                for x in inputs {
                    let run: usize = x.shape()[op.axis..].iter().product();
                    out.extend_from_slice(&super::binary::typed::<T>(op, x)?[i * run..(i + 1) * run]);
                }
            }
            Ok(T::wrap(out))
        }
        let shape = super::binary::result_shape(self, inputs)?;
        let first = inputs.first().ok_or_else(|| self.without_operand())?;
        let outer = shape[..self.axis].iter().product();
        let values = crate::with_element!(first.dtype(), T => join::<T>(self, inputs, outer))?;
        Ok(vec![Array::from_data(shape, values)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let mut out = vec![None; node.inputs.len()];
        let Some(dy) = cotangents[0] else { return Ok(out) };
        let lengths: Vec<Dim> = node.inputs.iter().map(|&x| b.shape(x)[self.axis].clone()).collect();
        let total = |lengths: &[Dim]| lengths.iter().cloned().fold(Dim::Known(0), |sum, d| sum + d);
        for i in (0..lengths.len()).filter(|&i| node.wanted[i]) {
            let start = total(&lengths[..i]);
            out[i] = Some(match start.known() {
                Some(start) => b.slice_axis(dy, self.axis, start, Dim::Known(start) + lengths[i].clone()),
                None => {
                    // A slice starts at a number: drop the operands before this one from the end of the reverse.
                    let reverse = Reverse { axes: vec![self.axis] };
                    let reversed = b.push(reverse.clone(), &[dy]);
                    let kept = b.slice_axis(reversed, self.axis, 0, total(&lengths[i..]));
                    let kept = b.push(reverse, &[kept]);
                    b.slice_axis(kept, self.axis, 0, lengths[i].clone())
                }
            });
        }
        Ok(out)
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
