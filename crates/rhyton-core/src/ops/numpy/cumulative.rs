//! Running sums and products, and differences of neighbours.

use rhyton_ir::DType;
use rhyton_ir::op::{BinaryKind, Cumulative, ReduceKind};

use super::MODULE;
use crate::error::Result;
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{float_of, operations};
use crate::ops::primitives::{binary, sliced};
use crate::ops::{Operand, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Cumsum { axis: Option<i64>, dtype: Option<DType> } (x) compute_cumsum;
    Cumprod { axis: Option<i64>, dtype: Option<DType> } (x) compute_cumprod;
    Diff { n: usize, axis: i64 } (a) compute_diff;
    Trapezoid { x: (), dx: f64, axis: i64 } (y) compute_trapezoid;
}

/// The sums of the first 1, 2, … elements along `axis`, in `dtype` if given; of the flattened tensor if `axis` is `None`.
#[track_caller]
pub fn cumsum(x: &Tensor, axis: Option<i64>, dtype: Option<DType>) -> Tensor {
    apply(Cumsum { axis, dtype }, Args::new(x))
}

/// The products of the first 1, 2, … elements along `axis`, in `dtype` if given; of the flattened tensor if `axis` is `None`.
#[track_caller]
pub fn cumprod(x: &Tensor, axis: Option<i64>, dtype: Option<DType>) -> Tensor {
    apply(Cumprod { axis, dtype }, Args::new(x))
}

pub(super) fn running(kind: ReduceKind, x: &Tensor, axis: Option<i64>, dtype: Option<DType>) -> Result<Tensor> {
    let x = match dtype.unwrap_or(x.dtype()) {
        DType::Bool => x.cast(DType::I32),
        dtype => x.cast(dtype),
    };
    let (x, axis) = match axis {
        Some(axis) => (x.clone(), axis_of(axis, x.rank())?),
        None => (super::ravel(&x), 0),
    };
    Ok(Tensor::apply(Cumulative { kind, axis, reverse: false }, &[&x]))
}

fn compute_cumsum(op: &Cumsum, x: Tensor) -> Result<Tensor> {
    running(ReduceKind::Sum, &x, op.axis, op.dtype)
}

fn compute_cumprod(op: &Cumprod, x: Tensor) -> Result<Tensor> {
    running(ReduceKind::Prod, &x, op.axis, op.dtype)
}

/// The differences of neighbours along `axis`, `n` times (Keras's defaults: 1, −1); of `bool` whether they differ.
#[track_caller]
pub fn diff(a: &Tensor, n: usize, axis: i64) -> Tensor {
    apply(Diff { n, axis }, Args::new(a))
}

fn compute_diff(op: &Diff, x: Tensor) -> Result<Tensor> {
    let axis = axis_of(op.axis, x.rank())?;
    let kind = if x.dtype() == DType::Bool { BinaryKind::Xor } else { BinaryKind::Sub };
    (0..op.n).try_fold(x, |x, _| {
        let size = x.check()?.shape()[axis].clone();
        if size.is(0) {
            return Ok(x);
        }
        let later = sliced(&x, axis, 1, size.clone());
        Ok(binary(kind, &later, &sliced(&x, axis, 0, size - 1.into())))
    })
}

/// The integral along `axis` by the trapezoidal rule over the points `x`, or points `dx` apart (Keras's defaults: 1, −1).
#[track_caller]
pub fn trapezoid(y: &Tensor, x: Option<&Tensor>, dx: f64, axis: i64) -> Tensor {
    match x {
        None => apply(Trapezoid { x: (), dx, axis }, Args::new(y)),
        // Keras's class takes points that are values only: with others, the parts are recorded.
        Some(x) => {
            integral(y, super::moveaxis(&super::diff(&x.cast(float_of(y.dtype())), 1, axis), axis, -1), axis).into()
        }
    }
}

fn compute_trapezoid(op: &Trapezoid, y: Tensor) -> Result<Tensor> {
    integral(&y, op.dx, op.axis)
}

fn integral(y: &Tensor, width: impl Into<Operand>, axis: i64) -> Result<Tensor> {
    let y = super::moveaxis(&y.cast(float_of(y.dtype())), axis, -1);
    let y = y.check()?;
    let end = crate::ops::Index::range(None, Some(-1));
    let later = crate::ops::get_item(y, (crate::ops::Index::Ellipsis, 1..));
    let heights = (later + crate::ops::get_item(y, (crate::ops::Index::Ellipsis, end))) * 0.5;
    Ok(super::sum(&(heights * width), -1, false))
}
