//! `select`: elementwise choice.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// `select(p, x, y) = p ? x : y` with `p` `bool` of the same shape.
///
/// The cotangent goes to the operand that was chosen; the other's is 0 there, whatever its value (NaN, infinity).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Select;

impl Select {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let p = Array::new([2, 2], vec![true, false, false, true]);
        let x = Array::new([2, 2], vec![1.5f64, -2.0, 0.5, 4.0]);
        let y = Array::new([2, 2], vec![-3.0f64, 2.5, 7.0, 0.25]);
        let none = Array::new([0], Vec::<f32>::new());
        vec![
            Sample::new(Select, [p.clone(), x, y]),
            Sample::new(Select, [p, Array::new([2, 2], vec![1i8, 2, 3, 4]), Array::new([2, 2], vec![5i8, 6, 7, 8])]),
            Sample::new(Select, [Array::scalar(false), Array::scalar(1.0f64), Array::scalar(2.0f64)]),
            Sample::new(Select, [Array::new([0], Vec::<bool>::new()), none.clone(), none]),
            Sample::new(Select, [Array::scalar(true), Array::scalar(false), Array::scalar(true)]),
        ]
    }
}

impl Primitive for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [p, x, y] = operands(self, inputs)?;
        if p.dtype != DType::Bool {
            return Err(Error::dtype(self.name(), format!("the predicate is {p}"), "pass bool, as compare gives"));
        }
        let ty = super::binary::common_type(self, x, y)?;
        if !p.shape.compatible(&ty.shape) {
            return Err(Error::shape(
                self.name(),
                format!("the predicate {p} chooses between {x} and {y}"),
                "broadcast all three to one shape",
            ));
        }
        Ok(vec![ty.with_shape(ty.shape.merge(&p.shape))])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn choose<T: Element>(p: &[bool], x: &[T], y: &[T]) -> crate::Data {
            T::wrap(p.iter().zip(x.iter().zip(y)).map(|(&p, (&x, &y))| if p { x } else { y }).collect())
        }
        let [p, x, y] = operands(self, inputs)?;
        let shape = super::binary::result_shape(self, inputs)?;
        let p = super::binary::typed(self, p)?;
        let values = crate::with_data!(x.data(), v => choose(p, v, super::binary::typed(self, y)?));
        Ok(vec![Array::from_data(shape, values)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dz) = cotangents[0] else { return Ok(vec![None; 3]) };
        let (p, zero) = (node.inputs[0], b.zeros_like(dz));
        let dx = node.wanted[1].then(|| b.select(p, dz, zero));
        let dy = node.wanted[2].then(|| b.select(p, zero, dz));
        Ok(vec![None, dx, dy])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(Select.into())
    }
}
