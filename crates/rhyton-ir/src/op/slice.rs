//! `slice`: a strided box with fixed bounds.

use serde::{Deserialize, Serialize};

use super::{Applied, DynamicUpdateSlice, Op, Pad, Primitive, Sample, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, Shape, TensorType};

/// Elements `start, start + stride, … < limit` of every axis.
///
/// `0 ≤ start ≤ limit ≤ size`, so the result has `⌈(limit − start) / stride⌉` elements along the axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// First index, one an axis.
    pub start: Vec<usize>,
    /// One past the last index; may be symbolic.
    pub limit: Vec<Dim>,
    /// Step, at least 1.
    pub stride: Vec<usize>,
}

impl Slice {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let sample = |start: &[usize], limit: &[usize], stride: &[usize], x: &Array| {
            let limit = limit.iter().copied().map(Dim::from).collect();
            Sample::new(Slice { start: start.to_vec(), limit, stride: stride.to_vec() }, [x.clone()])
        };
        let x = Array::new([3, 5], (0..15).map(|i| f64::from(i) - 4.5).collect::<Vec<_>>());
        vec![
            sample(&[1, 0], &[3, 5], &[1, 1], &x),
            sample(&[0, 1], &[3, 5], &[2, 2], &x),
            sample(&[0, 0], &[3, 5], &[2, 3], &x),
            sample(&[2, 0], &[3, 4], &[7, 3], &x),
            sample(&[1, 2], &[1, 5], &[1, 1], &x),
            sample(&[3, 5], &[3, 5], &[1, 2], &x),
            sample(&[], &[], &[], &Array::scalar(2.0f64)),
            sample(&[1], &[3], &[1], &Array::new([4], vec![1u8, 2, 3, 4])),
            sample(&[0, 1], &[0, 2], &[1, 1], &Array::new([0, 3], Vec::<f32>::new())),
        ]
    }

    /// How many elements to add after the last one taken from `axis`, so that as many are there as before; `None` if
    /// that is no number.
    fn high(&self, axis: usize, from: &Dim) -> Option<i64> {
        let (start, stride) = (self.start[axis], self.stride[axis]);
        if *from == self.limit[axis] && stride == 1 {
            return Some(0);
        }
        let (from, limit) = (from.known()?, self.limit[axis].known()?);
        let count = (limit - start).div_ceil(stride);
        let covered = if count == 0 { 0 } else { (count - 1) * stride + 1 };
        i64::try_from(from - start - covered).ok()
    }
}

impl Primitive for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        if [self.start.len(), self.limit.len(), self.stride.len()] != [x.rank(); 3] {
            return Err(Error::argument(
                self.name(),
                format!("start {:?}, limit {:?}, stride {:?} of {x}", self.start, self.limit, self.stride),
                format!("give {} of each, one an axis", x.rank()),
            ));
        }
        let mut shape = Shape::scalar().into_vec();
        for (axis, size) in x.shape.iter().enumerate() {
            let (start, limit, stride) = (self.start[axis], &self.limit[axis], self.stride[axis]);
            let within = |most: &Dim| most.known().is_none_or(|most| limit.known().unwrap_or(start) <= most);
            if stride == 0 || limit.known().is_some_and(|limit| limit < start) || !within(size) {
                return Err(Error::argument(
                    self.name(),
                    format!("{start}..{limit} by {stride} along axis {axis} of {x}"),
                    "keep start <= limit <= size and the stride at least 1",
                ));
            }
            shape.push((limit.clone() - Dim::Known(start) + Dim::Known(stride - 1)) / Dim::Known(stride));
        }
        Ok(vec![x.with_shape(shape)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x] = operands(self, inputs)?;
        let shape = super::binary::result_shape(self, inputs)?;
        Ok(vec![pick(x, &shape, |index| {
            (0..index.len()).map(|axis| self.start[axis] + index[axis] * self.stride[axis]).collect()
        })])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dy) = cotangents[0] else { return Ok(vec![None]) };
        let rank = self.start.len();
        let interior: Vec<usize> = self.stride.iter().map(|stride| stride - 1).collect();
        let (from, zero) = (b.shape(node.inputs[0]), b.scalar(b.dtype(dy), 0.0));
        let high: Option<Vec<i64>> = (0..rank).map(|axis| self.high(axis, &from[axis])).collect();
        if let Some(high) = high {
            let low = self.start.iter().map(|&start| start as i64).collect();
            return Ok(vec![Some(b.push(Pad { low, high, interior }, &[dy, zero]))]);
        }
        // How much is missing after the box depends on symbols: write the box into zeros of the operand's shape.
        let spread = Pad { low: vec![0; rank], high: vec![0; rank], interior };
        let spread = b.push(spread, &[dy, zero]);
        let zeros = b.zeros_like(node.inputs[0]);
        let mut operands = vec![zeros, spread];
        operands.extend(self.start.iter().map(|&start| b.scalar(DType::I64, start as f64)));
        Ok(vec![Some(b.push(DynamicUpdateSlice, &operands))])
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        let limit = self.limit.iter().map(|d| d.bind(bindings)).collect();
        Ok(Slice { start: self.start.clone(), limit, stride: self.stride.clone() }.into())
    }
}

/// `out[index] = x[place(index)]` for every index of `shape`.
pub(super) fn pick(x: &Array, shape: &[usize], place: impl Fn(&[usize]) -> Vec<usize>) -> Array {
    fn gather<T: Element>(values: &[T], places: impl Iterator<Item = usize>) -> crate::Data {
        T::wrap(places.map(|at| values[at]).collect())
    }
    let places = super::indices(shape).map(|index| flat(x.shape(), &place(&index)));
    Array::from_data(shape, crate::with_data!(x.data(), v => gather(v, places)))
}

/// The row-major place of `index` in `shape`.
pub(super) fn flat(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |at, (&d, &i)| at * d + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_along_symbolic_axes_are_expressions() {
        let x = TensorType::new(DType::F32, [Dim::symbol("b"), Dim::Known(5)]);
        let slice = |start, limit: Dim, stride| Slice { start: vec![start, 0], limit: vec![limit, 5.into()], stride };
        let b = Dim::symbol("b");
        let out = |op: Slice| op.infer(&[&x]).unwrap()[0].shape.to_string();
        assert_eq!(out(slice(0, b.clone(), vec![1, 1])), "[b,5]");
        assert_eq!(out(slice(2, b.clone(), vec![1, 2])), "[(b-2),3]");
        assert_eq!(out(slice(0, b.clone(), vec![2, 1])), "[((b+1)/2),5]");
        assert!(slice(3, 2.into(), vec![1, 1]).infer(&[&x]).is_err());
        assert!(slice(0, b, vec![1, 0]).infer(&[&x]).is_err());
    }

    #[test]
    fn what_lies_outside_the_operand_is_refused() {
        let x = TensorType::new(DType::F32, [4]);
        for (start, limit) in [(0, 5), (5, 5)] {
            let slice = Slice { start: vec![start], limit: vec![limit.into()], stride: vec![1] };
            assert!(matches!(slice.infer(&[&x]), Err(Error::Argument(_))));
        }
    }
}
