//! `reverse`: reversed axes.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Reverses the order along `axes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reverse {
    /// The axes, without repetition.
    pub axes: Vec<usize>,
}

impl Reverse {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let sample = |axes: &[usize], x| Sample::new(Reverse { axes: axes.to_vec() }, [x]);
        let x = Array::new([2, 3], vec![1.0f64, -2.0, 3.5, 4.0, 0.5, -6.0]);
        vec![
            sample(&[1], x.clone()),
            sample(&[1, 0], x),
            sample(&[], Array::scalar(1.5f64)),
            sample(&[0], Array::new([3], vec![true, false, false])),
            sample(&[0, 1], Array::new([2, 0], Vec::<i32>::new())),
        ]
    }
}

impl Primitive for Reverse {
    fn name(&self) -> &'static str {
        "reverse"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let repeated = |i: usize| self.axes[..i].contains(&self.axes[i]);
        if (0..self.axes.len()).any(|i| self.axes[i] >= x.rank() || repeated(i)) {
            return Err(Error::argument(
                self.name(),
                format!("axes {:?} of {x}", self.axes),
                format!("give different axes below {}", x.rank()),
            ));
        }
        Ok(vec![(*x).clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x] = operands(self, inputs)?;
        let shape = super::binary::result_shape(self, inputs)?;
        Ok(vec![super::slice::pick(x, &shape, |index| {
            let mirrored =
                |axis: usize| if self.axes.contains(&axis) { shape[axis] - 1 - index[axis] } else { index[axis] };
            (0..shape.len()).map(mirrored).collect()
        })])
    }

    fn vjp(&self, b: &mut Builder, _: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(vec![cotangents[0].map(|dy| b.push(self.clone(), &[dy]))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
