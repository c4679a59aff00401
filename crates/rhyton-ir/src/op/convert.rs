//! `convert`: change of dtype.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Converts as [`Data::cast`](crate::Data::cast): float to integer truncates and saturates, NaN becomes 0.
///
/// Between floats the cotangent is converted back; nothing flows through integers and `bool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convert {
    /// The new dtype.
    pub dtype: DType,
}

impl Convert {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let floats = Array::new([2, 3], vec![-3.7f32, 0.5, 300.25, -0.0, 1e10, f32::NAN]);
        let integers = Array::new([4], vec![-1i32, 0, 300, 70_000]);
        let truths = Array::new([2], vec![true, false]);
        let every = |x: &Array| DType::ALL.map(|dtype| Sample::new(Convert { dtype }, [x.clone()]));
        let mut samples = vec![
            Sample::new(Convert { dtype: DType::F64 }, [Array::new([3], vec![0.1f64, -2.0, 5.5])]),
            Sample::new(Convert { dtype: DType::F16 }, [Array::new([0, 2], Vec::<f32>::new())]),
            Sample::new(Convert { dtype: DType::BF16 }, [Array::scalar(1.003f32)]),
        ];
        samples.extend([every(&floats), every(&integers), every(&truths)].into_iter().flatten());
        samples
    }
}

impl Primitive for Convert {
    fn name(&self) -> &'static str {
        "convert"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        Ok(vec![x.with_dtype(self.dtype)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x] = operands(self, inputs)?;
        Ok(vec![x.cast(self.dtype)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let from = b.dtype(node.inputs[0]);
        let flows = from.is_float() && self.dtype.is_float();
        Ok(vec![cotangents[0].filter(|_| flows).map(|dy| b.convert(dy, from))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
