//! `cumulative`: running sums, products and extremes.

use serde::{Deserialize, Serialize};

use super::{Applied, Combine, Direction, Iota, Op, Primitive, ReduceKind, Sample, Scatter, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// `out[i] = reduce(x[0..=i])` along `axis`, or of `x[i..]` if `reverse`. The gradient of a running extreme goes to
/// the element that set it, of equals to the one nearest to `i`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cumulative {
    /// `Sum`, `Prod`, `Max` or `Min`.
    pub kind: ReduceKind,
    /// The axis.
    pub axis: usize,
    /// From the end.
    pub reverse: bool,
}

impl Cumulative {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([2, 4], vec![0.5f64, 1.5, -0.75, 2.0, -1.25, 0.0, 0.8, -0.6]);
        let n = Array::new([4], vec![3i32, -1, 7, 2]);
        let mut samples = Vec::new();
        for kind in [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min] {
            for reverse in [false, true] {
                samples.push(Sample::new(Cumulative { kind, axis: 1, reverse }, [x.clone()]));
                samples.push(Sample::new(Cumulative { kind, axis: 0, reverse }, [x.clone()]));
                samples.push(Sample::new(Cumulative { kind, axis: 0, reverse }, [n.clone()]));
            }
        }
        samples
    }

    /// `Σ_i dy[i] · ∂out[i]/∂x[k]`, where the derivative is the product of all factors of `out[i]` but `x[k]`: running
    /// products of `x` with a 1 in place `k`, one for every `k`. Without division, at the price of `n²` products.
    fn product_gradient(&self, b: &mut Builder, x: Value, dy: Value) -> Value {
        let (ty, axis) = (b.ty(x), self.axis);
        // Axis `axis` is k, the next one runs along the line.
        let mut square = ty.shape.clone().into_vec();
        square.insert(axis, ty.shape[axis].clone());
        let square = Shape::from(square);
        let kept = places::other_axes(square.rank(), &[&[axis]]);
        let positions = TensorType::new(DType::I32, square.clone());
        let k = b.push(Iota { ty: positions.clone(), axis }, &[]);
        let i = b.push(Iota { ty: positions, axis: axis + 1 }, &[]);
        let itself = b.compare(Direction::Eq, i, k);
        let repeated = b.broadcast(x, square.clone(), &kept);
        let one = b.full_like(repeated, 1.0);
        let without = b.select(itself, one, repeated);
        let others = b.push(Cumulative { kind: ReduceKind::Prod, axis: axis + 1, reverse: self.reverse }, &[without]);
        let contains = b.compare(if self.reverse { Direction::Le } else { Direction::Ge }, i, k);
        let dy = b.broadcast(dy, square, &kept);
        let terms = b.mul(others, dy);
        let zero = b.zeros_like(terms);
        let terms = b.select(contains, terms, zero);
        b.sum(terms, &[axis + 1])
    }

    /// Sends each `dy[i]` to the last place up to `i` whose element equalled the running extreme.
    fn extreme_gradient(&self, b: &mut Builder, x: Value, out: Value, dy: Value) -> Value {
        let ty = b.ty(x);
        let place = b.push(Iota { ty: ty.with_dtype(DType::I32), axis: self.axis }, &[]);
        let sets = b.compare(Direction::Eq, x, out);
        let never = b.full_like(place, if self.reverse { f64::from(i32::MAX) } else { -1.0 });
        let place = b.select(sets, place, never);
        let kind = if self.reverse { ReduceKind::Min } else { ReduceKind::Max };
        let place = b.push(Cumulative { kind, axis: self.axis, reverse: self.reverse }, &[place]);
        let zero = b.zeros_like(x);
        b.push(Scatter::along_axis(ty.rank(), self.axis, Combine::Add), &[zero, place, dy])
    }
}

impl Primitive for Cumulative {
    fn name(&self) -> &'static str {
        "cumulative"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        if matches!(self.kind, ReduceKind::And | ReduceKind::Or) {
            let what = format!("the running reduction {:?}", self.kind);
            return Err(Error::argument(self.name(), what, "use Sum, Prod, Max or Min"));
        }
        checked::number(self, x)?;
        checked::axis(self, x, self.axis)?;
        Ok(vec![(*x).clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn run<T: Element>(op: &Cumulative, x: &[T], shape: &[usize]) -> Array {
            let mut out = x.to_vec();
            for mut line in places::lines(shape, op.axis) {
                if op.reverse {
                    line.reverse();
                }
                if T::DTYPE.is_float() {
                    let (mut running, step) = op.kind.floats();
                    for at in line {
                        running = step(running, x[at].to_f64());
                        out[at] = T::from_f64(running);
                    }
                } else {
                    let (mut running, step) = op.kind.integers(T::DTYPE);
                    for at in line {
                        running = step(running, x[at].to_i128());
                        out[at] = T::from_i128(running);
                    }
                }
            }
            Array::new(shape, out)
        }
        checked::shapes(self, inputs)?;
        let x = inputs[0];
        Ok(vec![crate::with_data!(x.data(), v => run(self, v, x.shape()))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let x = node.inputs[0];
        let Some(dy) = cotangents[0].filter(|_| b.dtype(x).is_float()) else { return Ok(vec![None]) };
        Ok(vec![Some(match self.kind {
            ReduceKind::Prod => self.product_gradient(b, x, dy),
            ReduceKind::Max | ReduceKind::Min => self.extreme_gradient(b, x, node.outputs[0], dy),
            ReduceKind::Sum | ReduceKind::And | ReduceKind::Or => {
                b.push(Cumulative { reverse: !self.reverse, ..self.clone() }, &[dy])
            }
        })])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
