//! `dynamic_update_slice`: writes a box at a computed place.

use serde::{Deserialize, Serialize};

use super::dynamic_slice::{check_box, check_starts, clamped, without_operand};
use super::{Applied, DynamicSlice, Op, Primitive, Sample};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Operands: `x`, `update` (same rank), then one scalar integer start index an axis, clamped so that the box lies inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynamicUpdateSlice;

impl DynamicUpdateSlice {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([3, 4], (0..12).map(|i| f64::from(i) - 4.5).collect::<Vec<_>>());
        let sample = |x: &Array, update: Array, start: [i32; 2]| {
            let [i, j] = start.map(Array::scalar);
            Sample::new(DynamicUpdateSlice, [x.clone(), update, i, j])
        };
        let line = Array::new([3], vec![1i8, 2, 3]);
        vec![
            sample(&x, Array::new([2, 2], vec![0.5f64, -1.5, 2.5, 3.5]), [1, 0]),
            sample(&x, Array::new([1, 3], vec![0.5f64, -1.5, 2.5]), [9, -9]),
            sample(&x, Array::new([3, 4], vec![1.25f64; 12]), [1, 1]),
            sample(&x, Array::new([0, 4], Vec::<f64>::new()), [1, 1]),
            Sample::new(DynamicUpdateSlice, [line, Array::new([1], vec![9i8]), Array::scalar(u64::MAX)]),
            Sample::new(DynamicUpdateSlice, [Array::scalar(1.5f64), Array::scalar(-2.5f64)]),
        ]
    }
}

impl Primitive for DynamicUpdateSlice {
    fn name(&self) -> &'static str {
        "dynamic_update_slice"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, update, starts @ ..] = inputs else { return Err(without_operand(self)) };
        if x.dtype != update.dtype {
            return Err(Error::dtype(
                self.name(),
                format!("an update {update} of {x}"),
                "convert one of them to the other's dtype",
            ));
        }
        check_starts(self, x, starts)?;
        check_box(self, x, &update.shape)?;
        Ok(vec![(*x).clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn write<T: Element>(x: &[T], update: &[T], places: impl Iterator<Item = usize>) -> crate::Data {
            let mut out = x.to_vec();
            for (at, &value) in places.zip(update) {
                out[at] = value;
            }
            T::wrap(out)
        }
        let [x, update, starts @ ..] = inputs else { return Err(without_operand(self)) };
        let shape = super::binary::result_shape(self, inputs)?;
        let start = clamped(starts, &shape, update.shape());
        let places = super::indices(update.shape()).map(|index| {
            let place: Vec<usize> = start.iter().zip(index).map(|(s, i)| s + i).collect();
            super::slice::flat(&shape, &place)
        });
        let values = crate::with_data!(x.data(), v => write(v, super::binary::typed(self, update)?, places));
        Ok(vec![Array::from_data(shape, values)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let mut out = vec![None; node.inputs.len()];
        let Some(dy) = cotangents[0] else { return Ok(out) };
        let (update, starts) = (node.inputs[1], &node.inputs[2..]);
        if node.wanted[0] {
            let mut operands = vec![dy, b.zeros_like(update)];
            operands.extend(starts);
            out[0] = Some(b.push(DynamicUpdateSlice, &operands));
        }
        if node.wanted[1] {
            let mut operands = vec![dy];
            operands.extend(starts);
            let sizes = b.shape(update);
            out[1] = Some(b.push(DynamicSlice { sizes }, &operands));
        }
        Ok(out)
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(DynamicUpdateSlice.into())
    }
}
