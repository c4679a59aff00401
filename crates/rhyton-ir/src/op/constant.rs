//! `constant`: a value known when the graph is built.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::Result;
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// An array.
///
/// Its notation is `(shape: [2], values: float32([1.0, 2.0]))`; every value is kept exactly, but NaNs are all one NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// The value.
    #[serde(with = "notation")]
    pub value: Array,
}

impl Constant {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let values = [
            Array::scalar(2.5f64),
            Array::new([2, 3], vec![1i32, -2, 3, -4, 5, -6]),
            Array::new([3], vec![true, false, true]),
            Array::new([2, 0], Vec::<f32>::new()),
        ];
        values.into_iter().map(|value| Sample::new(Constant { value }, [])).collect()
    }
}

impl Primitive for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [] = operands(self, inputs)?;
        Ok(vec![TensorType::new(self.value.dtype(), self.value.shape())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [] = operands(self, inputs)?;
        Ok(vec![self.value.clone()])
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

mod notation {
    use half::{bf16, f16};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::array::{Array, Data};

    #[derive(Serialize, Deserialize)]
    struct Notation {
        shape: Vec<usize>,
        #[serde(with = "Values")]
        values: Data,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "Data")]
    enum Values {
        #[serde(rename = "bool")]
        Bool(Vec<bool>),
        #[serde(rename = "uint8")]
        U8(Vec<u8>),
        #[serde(rename = "uint16")]
        U16(Vec<u16>),
        #[serde(rename = "uint32")]
        U32(Vec<u32>),
        #[serde(rename = "uint64")]
        U64(Vec<u64>),
        #[serde(rename = "int8")]
        I8(Vec<i8>),
        #[serde(rename = "int16")]
        I16(Vec<i16>),
        #[serde(rename = "int32")]
        I32(Vec<i32>),
        #[serde(rename = "int64")]
        I64(Vec<i64>),
        #[serde(rename = "float16", with = "decimal")]
        F16(Vec<f16>),
        #[serde(rename = "bfloat16", with = "decimal")]
        BF16(Vec<bf16>),
        #[serde(rename = "float32")]
        F32(Vec<f32>),
        #[serde(rename = "float64")]
        F64(Vec<f64>),
    }

    /// 16-bit floats as `f32`, which holds them exactly; by themselves they would be written as their bits.
    mod decimal {
        use serde::{Deserialize, Deserializer, Serializer};

        use crate::array::Element;

        pub fn serialize<T: Element, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(values.iter().map(|v| v.to_f64() as f32))
        }

        pub fn deserialize<'de, T: Element, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
            let values = Vec::<f32>::deserialize(deserializer)?;
            Ok(values.into_iter().map(|v| T::from_f64(f64::from(v))).collect())
        }
    }

    pub fn serialize<S: Serializer>(value: &Array, serializer: S) -> Result<S::Ok, S::Error> {
        Notation { shape: value.shape().to_vec(), values: value.data().clone() }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Array, D::Error> {
        let Notation { shape, values } = Notation::deserialize(deserializer)?;
        let what = format!("{} values do not fill the shape {shape:?}", values.len());
        Array::try_new(shape, values).ok_or_else(|| D::Error::custom(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;

    #[test]
    fn the_notation_keeps_values_of_every_dtype() {
        for dtype in DType::ALL {
            let value = Array::new([2, 2], vec![0.1f64, 1.0, 0.0, 100.3]).cast(dtype);
            let constant = Constant { value };
            let text = ron::to_string(&constant).unwrap();
            assert!(text.contains(dtype.name()), "{text}");
            assert_eq!(ron::from_str::<Constant>(&text).unwrap(), constant);
        }
        let infinite = Constant { value: Array::new([2], vec![f32::INFINITY, f32::NEG_INFINITY]) };
        assert_eq!(ron::from_str::<Constant>(&ron::to_string(&infinite).unwrap()).unwrap(), infinite);
        assert!(ron::from_str::<Constant>("(value:(shape:[3],values:int8([1])))").is_err());
    }
}
