//! `bitcast_convert`: the same bits as another dtype of the same size.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::{Array, Data};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Reinterprets the bits; the sizes of both dtypes are equal and neither is `bool`. It has no gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BitcastConvert {
    /// The new dtype.
    pub dtype: DType,
}

impl BitcastConvert {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let sample = |dtype, x: Array| Sample::new(BitcastConvert { dtype }, [x]);
        vec![
            sample(DType::U32, Array::new([3], vec![1.0f32, -0.0, f32::INFINITY])),
            sample(DType::F32, Array::new([2, 1], vec![0x3f80_0001u32, 0xbf00_0000])),
            sample(DType::I8, Array::new([3], vec![0u8, 127, 255])),
            sample(DType::BF16, Array::new([2], vec![0x3f80u16, 0xc000])),
            sample(DType::F64, Array::scalar(0x3ff8_0000_0000_0000u64)),
            sample(DType::I64, Array::new([0], Vec::<u64>::new())),
        ]
    }
}

impl Primitive for BitcastConvert {
    fn name(&self) -> &'static str {
        "bitcast_convert"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        if x.dtype == DType::Bool || self.dtype == DType::Bool {
            return Err(Error::dtype(
                self.name(),
                format!("from {x} to {}: not every bit pattern is a bool", self.dtype),
                "convert or compare instead",
            ));
        }
        if x.dtype.size() != self.dtype.size() {
            return Err(Error::dtype(
                self.name(),
                format!("{x} has elements of {} bytes, {} of {}", x.dtype.size(), self.dtype, self.dtype.size()),
                "choose a dtype of the same size",
            ));
        }
        Ok(vec![x.with_dtype(self.dtype)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x] = operands(self, inputs)?;
        let shape = super::binary::result_shape(self, inputs)?;
        let out = Data::from_bytes(self.dtype, x.data().bytes()).and_then(|data| Array::try_new(shape, data));
        Ok(vec![out.expect("infer has checked that the sizes of the dtypes are equal")])
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
