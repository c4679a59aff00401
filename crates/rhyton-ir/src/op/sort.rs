//! `sort`: several operands ordered together along an axis.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Applied, Combine, Iota, Op, Primitive, Sample, Scatter, checked, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// Stable sort of all operands (same shape) along `axis` by the first `keys` operands, lexicographically; NaN is largest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sort {
    /// The axis.
    pub axis: usize,
    /// How many operands are keys.
    pub keys: usize,
    /// Largest first (still stable).
    pub descending: bool,
}

impl Sort {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 4], vec![0.5f64, -1.5, 2.0, 0.25, 3.0, 1.0, -2.0, 0.75]);
        let y = Array::new([2, 4], vec![1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let key = Array::new([2, 4], vec![1i32, 0, 1, 0, 2, 2, -1, 2]);
        let nan = Array::new([4], vec![f32::NAN, 1.0, -0.0, f32::INFINITY]);
        vec![
            Sample::new(Sort { axis: 1, keys: 1, descending: false }, [x.clone()]),
            Sample::new(Sort { axis: 0, keys: 1, descending: true }, [x.clone(), y.clone()]),
            Sample::new(Sort { axis: 1, keys: 2, descending: false }, [key.clone(), x.clone(), y.clone()]),
            Sample::new(Sort { axis: 1, keys: 1, descending: true }, [key, y]),
            Sample::new(Sort { axis: 0, keys: 1, descending: false }, [nan]),
        ]
    }
}

/// The order of numbers with NaN as the largest; NaNs are equal, and so are both zeros.
pub(super) fn order<T: Element>(x: T, y: T) -> Ordering {
    let nan = |v: T| v.partial_cmp(&v).is_none();
    x.partial_cmp(&y).unwrap_or_else(|| nan(x).cmp(&nan(y)))
}

impl Primitive for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        if self.keys == 0 || inputs.len() < self.keys {
            return Err(Error::argument(
                self.name(),
                format!("{} keys among {} operands", self.keys, inputs.len()),
                "give at least one key, and no more keys than operands",
            ));
        }
        let mut shape: Shape = inputs[0].shape.clone();
        for x in inputs {
            checked::axis(self, x, self.axis)?;
            if !x.shape.compatible(&shape) {
                let what = format!("the shapes of {} and {x} differ", inputs[0]);
                return Err(Error::shape(self.name(), what, "give operands of one shape"));
            }
            shape = shape.merge(&x.shape);
        }
        Ok(inputs.iter().map(|x| x.with_shape(shape.clone())).collect())
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn permute<T: Element>(x: &[T], from: &[usize], shape: &[usize]) -> Array {
            Array::new(shape, from.iter().map(|&at| x[at]).collect::<Vec<T>>())
        }
        checked::shapes(self, inputs)?;
        let (shape, keys) = (inputs[0].shape(), &inputs[..self.keys]);
        let mut from: Vec<usize> = (0..inputs[0].len()).collect();
        for line in places::lines(shape, self.axis) {
            let mut sorted = line.clone();
            sorted.sort_by(|&i, &j| {
                let orders = keys.iter().map(|key| crate::with_data!(key.data(), v => order(v[i], v[j])));
                let order = orders.fold(Ordering::Equal, Ordering::then);
                if self.descending { order.reverse() } else { order }
            });
            line.iter().zip(sorted).for_each(|(&to, at)| from[to] = at);
        }
        Ok(inputs.iter().map(|x| crate::with_data!(x.data(), v => permute(v, &from, shape))).collect())
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        // Sorting the places along tells where each element came from, and so where its cotangent goes.
        let ty = b.ty(node.inputs[0]);
        let mut operands = node.inputs.clone();
        operands.push(b.push(Iota { ty: ty.with_dtype(DType::I32), axis: self.axis }, &[]));
        let from = b.push_all(self.clone(), &operands)[node.inputs.len()];
        let mut out = Vec::new();
        for (i, &x) in node.inputs.iter().enumerate() {
            let dy = cotangents[i].filter(|_| node.wanted[i] && b.dtype(x).is_float());
            out.push(dy.map(|dy| {
                let zero = b.zeros_like(x);
                b.push(Scatter::along_axis(ty.rank(), self.axis, Combine::Add), &[zero, from, dy])
            }));
        }
        Ok(out)
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
