//! `reduce`: sums, products, extremes and logical reductions over axes.

use serde::{Deserialize, Serialize};

use super::{Applied, Cumulative, Direction, Op, Pad, Primitive, Sample, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// Which reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReduceKind {
    /// Of nothing: 0.
    Sum,
    /// Of nothing: 1.
    Prod,
    /// Of nothing: the smallest value of the dtype (−∞ for floats). NaN wins. The gradient is shared equally by ties.
    Max,
    /// Of nothing: the largest value of the dtype (+∞ for floats). NaN wins. The gradient is shared equally by ties.
    Min,
    /// Logical and, of `bool`.
    And,
    /// Logical or, of `bool`.
    Or,
}

impl ReduceKind {
    /// Demands numbers for the arithmetic reductions and `bool` for the logical ones.
    pub(crate) fn check(self, op: &dyn Primitive, x: &TensorType) -> Result<()> {
        if matches!(self, ReduceKind::And | ReduceKind::Or) == (x.dtype == DType::Bool) {
            return Ok(());
        }
        let what = format!("the reduction {self:?} of {x}");
        Err(Error::dtype(op.name(), what, "use And and Or for bool, the others for numbers, or convert first"))
    }

    /// The reduction of nothing and one step of the reduction, for the dtype `T`. Floats are reduced as `f64`.
    pub(crate) fn floats(self) -> (f64, fn(f64, f64) -> f64) {
        fn max(a: f64, v: f64) -> f64 {
            if a.is_nan() || a > v { a } else { v }
        }
        fn min(a: f64, v: f64) -> f64 {
            if a.is_nan() || a < v { a } else { v }
        }
        match self {
            ReduceKind::Sum => (0.0, |a, v| a + v),
            ReduceKind::Prod => (1.0, |a, v| a * v),
            ReduceKind::Max => (f64::NEG_INFINITY, max),
            ReduceKind::Min => (f64::INFINITY, min),
            // Logical reductions take no floats; see `check`.
            ReduceKind::And => (1.0, |a, v| a * v),
            ReduceKind::Or => (0.0, max),
        }
    }

    /// The same for integers and `bool`, as wrapping `i128`: the low bits are those of arithmetic in the dtype.
    pub(crate) fn integers(self, dtype: DType) -> (i128, fn(i128, i128) -> i128) {
        let bits = 8 * dtype.size() as u32;
        let (smallest, largest) = if dtype.is_signed_int() {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, (1i128 << bits) - 1)
        };
        match self {
            ReduceKind::Sum => (0, i128::wrapping_add),
            ReduceKind::Prod => (1, i128::wrapping_mul),
            ReduceKind::Max => (smallest, i128::max),
            ReduceKind::Min => (largest, i128::min),
            ReduceKind::And => (1, |a, v| a & v),
            ReduceKind::Or => (0, |a, v| a | v),
        }
    }

    /// The reduction of `values`, rounded once.
    pub(crate) fn fold<T: Element>(self, values: impl Iterator<Item = T>) -> T {
        if T::DTYPE.is_float() {
            let (nothing, step) = self.floats();
            T::from_f64(values.fold(nothing, |a, v| step(a, v.to_f64())))
        } else {
            let (nothing, step) = self.integers(T::DTYPE);
            T::from_i128(values.fold(nothing, |a, v| step(a, v.to_i128())))
        }
    }
}

/// Reduces over `axes`, which the result lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// The reduction.
    pub kind: ReduceKind,
    /// The axes, ascending.
    pub axes: Vec<usize>,
}

impl Reduce {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 3, 2], vec![0.5f64, -1.5, 2.0, 0.25, -0.75, 1.25, 3.0, -2.0, 1.75, 0.6, -0.4, 1.1]);
        let n = Array::new([2, 3], vec![7i32, -3, 5, 11, 2, -13]);
        let p = Array::new([2, 2], vec![true, false, true, true]);
        let with_zeros = Array::new([2, 3], vec![2.0f64, 0.0, 3.0, 0.0, 5.0, 0.0]);
        let mut samples = Vec::new();
        for kind in [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min] {
            samples.push(Sample::new(Reduce { kind, axes: vec![1] }, [x.clone()]));
            samples.push(Sample::new(Reduce { kind, axes: vec![0, 2] }, [x.clone()]));
            samples.push(Sample::new(Reduce { kind, axes: vec![0] }, [n.clone()]));
        }
        samples.push(Sample::new(Reduce { kind: ReduceKind::Prod, axes: vec![1] }, [with_zeros]));
        samples.push(Sample::new(Reduce { kind: ReduceKind::Sum, axes: vec![0] }, [Array::zeros(DType::F64, [0, 2])]));
        samples.push(Sample::new(Reduce { kind: ReduceKind::And, axes: vec![0] }, [p.clone()]));
        samples.push(Sample::new(Reduce { kind: ReduceKind::Or, axes: vec![0, 1] }, [p]));
        samples
    }
}

impl Primitive for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        self.kind.check(self, x)?;
        checked::axes(self, "axes", &self.axes, x.rank())?;
        if !self.axes.is_sorted() {
            return Err(Error::argument(self.name(), format!("axes {:?} are not ascending", self.axes), "sort them"));
        }
        let kept = places::other_axes(x.rank(), &[&self.axes]);
        Ok(vec![x.with_shape(kept.iter().map(|&a| x.shape[a].clone()).collect::<Shape>())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn reduce<T: Element>(op: &Reduce, x: &[T], from: &[usize], to: &[usize]) -> Array {
            let kept = places::other_axes(from.len(), &[&op.axes]);
            let reduced: Vec<usize> = op.axes.iter().map(|&a| from[a]).collect();
            let mut index = vec![0; from.len()];
            let out = super::indices(to).map(|outer| {
                kept.iter().zip(&outer).for_each(|(&a, &i)| index[a] = i);
                op.kind.fold(super::indices(&reduced).map(|inner| {
                    op.axes.iter().zip(&inner).for_each(|(&a, &i)| index[a] = i);
                    x[places::offset(from, &index)]
                }))
            });
            Array::new(to, out.collect::<Vec<T>>())
        }
        let to = checked::shapes(self, inputs)?.remove(0);
        let x = inputs[0];
        Ok(vec![crate::with_data!(x.data(), v => reduce(self, v, x.shape(), &to))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let x = node.inputs[0];
        let Some(dy) = cotangents[0].filter(|_| b.dtype(x).is_float()) else { return Ok(vec![None]) };
        let shape = b.shape(x);
        let dx = match self.kind {
            ReduceKind::Sum => b.restore(dy, &shape, &self.axes),
            ReduceKind::Max | ReduceKind::Min => {
                let extreme = b.restore(node.outputs[0], &shape, &self.axes);
                let chosen = b.compare(Direction::Eq, x, extreme);
                let chosen = b.convert(chosen, b.dtype(x));
                let ties = b.sum(chosen, &self.axes);
                let share = b.div(dy, ties);
                let share = b.restore(share, &shape, &self.axes);
                b.mul(chosen, share)
            }
            ReduceKind::Prod => {
                let others = product_of_others(b, x, &self.axes);
                let dy = b.restore(dy, &shape, &self.axes);
                b.mul(dy, others)
            }
            ReduceKind::And | ReduceKind::Or => return Ok(vec![None]),
        };
        Ok(vec![Some(dx)])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

/// For every element of `x`, the product over `axes` of all elements but itself, without division: the product of
/// those before it times the product of those after it.
fn product_of_others(b: &mut Builder, x: Value, axes: &[usize]) -> Value {
    let (shape, kept) = (b.shape(x), places::other_axes(b.shape(x).rank(), &[axes]));
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let moved: Shape = order.iter().map(|&a| shape[a].clone()).collect();
    let reduced: Shape = axes.iter().map(|&a| shape[a].clone()).collect();
    let mut flat = kept.iter().map(|&a| shape[a].clone()).collect::<Shape>().into_vec();
    let axis = flat.len();
    flat.push(reduced.elements());
    let (dtype, rank) = (b.dtype(x), flat.len());
    let line = b.transpose(x, &order);
    let line = b.reshape(line, flat);
    let one = b.scalar(dtype, 1.0);
    let mut exclusive = |low: i64, reverse: bool| {
        let (mut lows, mut highs) = (vec![0; rank], vec![0; rank]);
        (lows[axis], highs[axis]) = (low, -low);
        let shifted = b.push(Pad { low: lows, high: highs, interior: vec![0; rank] }, &[line, one]);
        b.push(Cumulative { kind: ReduceKind::Prod, axis, reverse }, &[shifted])
    };
    let (before, after) = (exclusive(1, false), exclusive(-1, true));
    let others = b.mul(before, after);
    let others = b.reshape(others, moved);
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &a)| back[a] = i);
    b.transpose(others, &back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_wins_and_empty_reductions_have_their_value() {
        assert!(ReduceKind::Max.fold([1.0f32, f32::NAN, 2.0].into_iter()).is_nan());
        assert!(ReduceKind::Min.fold([f32::NAN, 2.0].into_iter()).is_nan());
        assert_eq!(ReduceKind::Max.fold(std::iter::empty::<i8>()), i8::MIN);
        assert_eq!(ReduceKind::Min.fold(std::iter::empty::<u64>()), u64::MAX);
        assert_eq!(ReduceKind::Prod.fold([200u8, 2].into_iter()), 144);
    }
}
