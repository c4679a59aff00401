//! Operands that have been checked: what shape rules demand of them, and their values once they are accepted.

use super::{Primitive, known};
use crate::array::{Array, Element};
use crate::error::{Error, Result};
use crate::shape::TensorType;

/// The shapes of the outputs, after the shape rule has accepted the operands.
pub(crate) fn shapes(op: &dyn Primitive, inputs: &[&Array]) -> Result<Vec<Vec<usize>>> {
    let types: Vec<TensorType> = inputs.iter().map(|x| TensorType::new(x.dtype(), x.shape())).collect();
    let outputs = op.infer(&types.iter().collect::<Vec<_>>())?;
    outputs.iter().map(|ty| known(op, &ty.shape)).collect()
}

/// The elements of an operand whose dtype the shape rule has accepted.
pub(crate) fn values<T: Element>(x: &Array) -> &[T] {
    x.as_slice().expect("the shape rule has checked the dtype")
}

/// The elements of an integer operand; `uint64` beyond `i64::MAX` saturates.
pub(crate) fn integers(x: &Array) -> Vec<i64> {
    let saturate = |v: i128| v.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    crate::with_data!(x.data(), v => v.iter().map(|v| saturate(v.to_i128())).collect())
}

/// Demands a floating-point dtype.
pub(crate) fn float(op: &dyn Primitive, x: &TensorType) -> Result<()> {
    if x.dtype.is_float() {
        return Ok(());
    }
    Err(Error::dtype(op.name(), format!("the operand {x} is not floating-point"), "convert it first"))
}

/// Demands an integer dtype.
pub(crate) fn integer(op: &dyn Primitive, x: &TensorType) -> Result<()> {
    if x.dtype.is_int() {
        return Ok(());
    }
    Err(Error::dtype(op.name(), format!("the indices {x} are not integers"), "convert them first"))
}

/// Demands anything but `bool`.
pub(crate) fn number(op: &dyn Primitive, x: &TensorType) -> Result<()> {
    if x.dtype.is_float() || x.dtype.is_int() {
        return Ok(());
    }
    Err(Error::dtype(op.name(), format!("the operand {x} holds no numbers"), "convert it first"))
}

/// Demands equal dtypes.
pub(crate) fn same_dtype(op: &dyn Primitive, x: &TensorType, y: &TensorType) -> Result<()> {
    if x.dtype == y.dtype {
        return Ok(());
    }
    Err(Error::dtype(op.name(), format!("the dtypes of {x} and {y} differ"), "convert one of them"))
}

/// Demands an axis that the operand has.
pub(crate) fn axis(op: &dyn Primitive, x: &TensorType, axis: usize) -> Result<()> {
    if axis < x.rank() {
        return Ok(());
    }
    Err(Error::argument(op.name(), format!("axis {axis} of {x}"), format!("give one below {}", x.rank())))
}

/// Demands different axes below `rank`.
pub(crate) fn axes(op: &dyn Primitive, what: &str, axes: &[usize], rank: usize) -> Result<()> {
    if axes.iter().enumerate().all(|(i, a)| *a < rank && !axes[..i].contains(a)) {
        return Ok(());
    }
    Err(Error::argument(
        op.name(),
        format!("{what} {axes:?} repeats an axis or has one that rank {rank} lacks"),
        format!("give different axes below {rank}"),
    ))
}
