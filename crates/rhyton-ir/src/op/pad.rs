//! `pad`: padding before, after and between elements.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, Slice, operands};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, TensorType};

/// Operands: `x` and the scalar padding value. Negative `low`/`high` remove elements; `interior` elements go between.
///
/// Removal comes after the padding between elements: an axis of size `n` gets
/// `low + n + (n − 1) · interior + high` elements (`low + high` if `n` is 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad {
    /// Before the first element, one an axis.
    pub low: Vec<i64>,
    /// After the last.
    pub high: Vec<i64>,
    /// Between neighbours.
    pub interior: Vec<usize>,
}

impl Pad {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let sample = |low: &[i64], high: &[i64], interior: &[usize], x: &Array, value: Array| {
            let op = Pad { low: low.to_vec(), high: high.to_vec(), interior: interior.to_vec() };
            Sample::new(op, [x.clone(), value])
        };
        let x = Array::new([2, 3], vec![1.0f64, -2.0, 3.5, 4.0, 0.5, -6.0]);
        let value = || Array::scalar(0.75f64);
        vec![
            sample(&[1, 0], &[0, 2], &[0, 0], &x, value()),
            sample(&[0, 1], &[1, 0], &[2, 1], &x, value()),
            sample(&[-1, 0], &[0, -1], &[0, 0], &x, value()),
            sample(&[0, -1], &[0, -2], &[1, 1], &x, value()),
            sample(&[-3, 2], &[2, -4], &[0, 0], &x, value()),
            sample(&[0, 0], &[-2, 0], &[0, 0], &x, value()),
            sample(&[], &[], &[], &Array::scalar(1.5f64), value()),
            sample(&[1, 0], &[1, 0], &[3, 1], &Array::new([0, 2], Vec::<f64>::new()), value()),
            sample(&[1], &[1], &[0], &Array::new([2], vec![true, true]), Array::scalar(false)),
            sample(&[1], &[0], &[1], &Array::new([2], vec![1i32, 2]), Array::scalar(-7i32)),
        ]
    }

    /// The size of an axis; `None` if it would be negative or beyond any memory.
    fn size(&self, axis: usize, from: &Dim) -> Option<Dim> {
        let (interior, net) = (self.interior[axis], i128::from(self.low[axis]) + i128::from(self.high[axis]));
        if let Some(n) = from.known() {
            let size = spread(n, interior)? as i128 + net;
            return usize::try_from(size).ok().filter(|&size| size <= isize::MAX as usize).map(Dim::Known);
        }
        let spread = from.clone() * Dim::Known(interior.checked_add(1)?) - Dim::Known(interior);
        let change = Dim::Known(usize::try_from(net.unsigned_abs()).ok()?);
        Some(if net < 0 { spread - change } else { spread + change })
    }
}

impl Primitive for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, value] = operands(self, inputs)?;
        if value.rank() != 0 || value.dtype != x.dtype {
            return Err(Error::dtype(
                self.name(),
                format!("padding {x} with {value}"),
                "pass a scalar of the operand's dtype",
            ));
        }
        let amounts = || format!("low {:?}, high {:?}, interior {:?}", self.low, self.high, self.interior);
        if [self.low.len(), self.high.len(), self.interior.len()] != [x.rank(); 3] {
            return Err(Error::argument(
                self.name(),
                format!("{} of {x}", amounts()),
                format!("give {} of each, one an axis", x.rank()),
            ));
        }
        let size = |(axis, from)| {
            self.size(axis, from).ok_or_else(|| {
                Error::argument(
                    self.name(),
                    format!("{} of {x} give no valid size along axis {axis}", amounts()),
                    "remove no more elements than there are",
                )
            })
        };
        Ok(vec![x.with_shape(x.shape.iter().enumerate().map(size).collect::<Result<Vec<Dim>>>()?)])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn fill<T: Element>(x: &[T], value: T, places: impl Iterator<Item = Option<usize>>) -> crate::Data {
            T::wrap(places.map(|at| at.map_or(value, |at| x[at])).collect())
        }
        let [x, value] = operands(self, inputs)?;
        let shape = super::binary::result_shape(self, inputs)?;
        // Where element `i` of the result comes from along an axis; `None` for padding.
        let source = |axis: usize, i: usize| {
            let at = i as i128 - i128::from(self.low[axis]);
            let step = self.interior[axis] as i128 + 1;
            (at >= 0 && at % step == 0 && at / step < x.shape()[axis] as i128).then(|| (at / step) as usize)
        };
        let places = super::indices(&shape).map(|index| {
            let place: Option<Vec<usize>> = index.iter().enumerate().map(|(axis, &i)| source(axis, i)).collect();
            place.map(|place| super::slice::flat(x.shape(), &place))
        });
        let values = crate::with_data!(x.data(), v => fill(v, super::binary::typed(self, value)?[0], places));
        Ok(vec![Array::from_data(shape, values)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dy) = cotangents[0] else { return Ok(vec![None; 2]) };
        let rank = self.low.len();
        let dx = node.wanted[0].then(|| {
            // Undo the padding at the ends (what had been removed gets 0), then drop what lies between elements.
            let zero = b.scalar(b.dtype(dy), 0.0);
            let opposite = |amounts: &[i64]| amounts.iter().map(|amount| amount.saturating_neg()).collect();
            let ends = Pad { low: opposite(&self.low), high: opposite(&self.high), interior: vec![0; rank] };
            let spread = b.push(ends, &[dy, zero]);
            let stride: Vec<usize> = self.interior.iter().map(|interior| interior + 1).collect();
            if stride.iter().all(|&stride| stride == 1) {
                return spread;
            }
            let limit = b.shape(spread).into_vec();
            b.push(Slice { start: vec![0; rank], limit, stride }, &[spread])
        });
        let dvalue = node.wanted[1].then(|| {
            let inside = b.full(&b.ty(node.inputs[0]).with_dtype(DType::Bool), 0.0);
            let outside = b.scalar(DType::Bool, 1.0);
            let (padding, zeros) = (b.push(self.clone(), &[inside, outside]), b.zeros_like(dy));
            let kept = b.select(padding, dy, zeros);
            b.sum(kept, &(0..rank).collect::<Vec<_>>())
        });
        Ok(vec![dx, dvalue])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

/// The size of an axis of `n` with `interior` elements between neighbours.
fn spread(n: usize, interior: usize) -> Option<usize> {
    if n == 0 { Some(0) } else { (n - 1).checked_mul(interior)?.checked_add(n) }
}
