//! `iota`: counting along an axis.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// `out[…, i, …] = i` along `axis`. Not `bool`; integers wrap, floats round to nearest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Iota {
    /// The type of the result.
    pub ty: TensorType,
    /// The axis that counts.
    pub axis: usize,
}

impl Iota {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let sample = |ty, axis| Sample::new(Iota { ty, axis }, []);
        vec![
            sample(TensorType::new(DType::I32, [4]), 0),
            sample(TensorType::new(DType::F64, [2, 3]), 0),
            sample(TensorType::new(DType::F32, [2, 3, 2]), 1),
            sample(TensorType::new(DType::U8, [300]), 0),
            sample(TensorType::new(DType::I64, [0, 3]), 1),
        ]
    }
}

impl Primitive for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [] = operands(self, inputs)?;
        if self.axis >= self.ty.rank() {
            return Err(Error::argument(
                self.name(),
                format!("axis {} of a result {} of rank {}", self.axis, self.ty, self.ty.rank()),
                "give an axis below the rank",
            ));
        }
        if self.ty.dtype == DType::Bool {
            return Err(Error::dtype(self.name(), "bool does not count", "use an integer or float dtype"));
        }
        Ok(vec![self.ty.clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn count<T: Element>(shape: &[usize], axis: usize) -> Array {
            let values = super::indices(shape).map(|index| T::from_i128(index[axis] as i128));
            Array::new(shape, values.collect::<Vec<T>>())
        }
        let shape = super::binary::result_shape(self, inputs)?;
        Ok(vec![crate::with_element!(self.ty.dtype, T => count::<T>(&shape, self.axis))])
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(Iota { ty: self.ty.with_shape(self.ty.shape.bind(bindings)), axis: self.axis }.into())
    }
}
