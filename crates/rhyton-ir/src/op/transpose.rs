//! `transpose`: permuted axes.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// Axis `i` of the result is axis `permutation[i]` of the operand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transpose {
    /// A permutation of `0..rank`.
    pub permutation: Vec<usize>,
}

impl Transpose {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let sample = |permutation: &[usize], x| Sample::new(Transpose { permutation: permutation.to_vec() }, [x]);
        let x = Array::new([2, 3], vec![1.0f64, -2.0, 3.5, 4.0, 0.5, -6.0]);
        let cube = Array::new([2, 3, 4], (0..24).map(f64::from).collect::<Vec<_>>());
        vec![
            sample(&[1, 0], x.clone()),
            sample(&[0, 1], x),
            sample(&[2, 0, 1], cube.clone()),
            sample(&[0, 2, 1], cube),
            sample(&[], Array::scalar(3i32)),
            sample(&[1, 0], Array::new([0, 3], Vec::<bool>::new())),
        ]
    }

    /// The permutation that undoes this one.
    pub fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.permutation.len()];
        for (i, &p) in self.permutation.iter().enumerate() {
            inverse[p] = i;
        }
        inverse
    }
}

impl Primitive for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.rank()) {
            return Err(Error::argument(
                self.name(),
                format!("{:?} is no permutation of the axes of {x}", self.permutation),
                format!("name each of the axes below {} once", x.rank()),
            ));
        }
        Ok(vec![x.with_shape(self.permutation.iter().map(|&p| x.shape[p].clone()).collect::<Shape>())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x] = operands(self, inputs)?;
        let (shape, inverse) = (super::binary::result_shape(self, inputs)?, self.inverse());
        Ok(vec![super::slice::pick(x, &shape, |index| inverse.iter().map(|&i| index[i]).collect())])
    }

    fn vjp(&self, b: &mut Builder, _: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(vec![cotangents[0].map(|dy| b.transpose(dy, &self.inverse()))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
