//! Primitive operations on scalars and tensors that update rules and schedules are written with.

use rhyton_ir::DType;
use rhyton_ir::op::{Binary, BinaryKind, Compare, Direction, Select, Unary, UnaryKind};

use crate::ops::Operand;
use crate::ops::numpy::{align, broadcast};
use crate::tensor::Tensor;

/// A number as a scalar of `dtype`.
pub(super) fn scalar(value: f64, dtype: DType) -> Tensor {
    Tensor::from(rhyton_ir::Array::scalar_of(dtype, value))
}

/// `x <kind> y` in the dtype of `x`, with broadcasting.
pub(super) fn binary(kind: BinaryKind, x: &Tensor, y: impl Into<Operand>) -> Tensor {
    match align(&x.into(), &y.into(), x.dtype()) {
        Ok((x, y)) => Tensor::apply(Binary { kind }, &[&x, &y]),
        Err(error) => Tensor::invalid(error),
    }
}

/// `xʸ`.
pub(super) fn power(x: &Tensor, y: impl Into<Operand>) -> Tensor {
    binary(BinaryKind::Pow, x, y)
}

/// `x <relation> y`, with `y` in the dtype of `x`.
pub(super) fn compare(x: &Tensor, direction: Direction, y: impl Into<Operand>) -> Tensor {
    match align(&x.into(), &y.into(), x.dtype()) {
        Ok((x, y)) => Tensor::apply(Compare { direction }, &[&x, &y]),
        Err(error) => Tensor::invalid(error),
    }
}

/// `x` where the scalar `condition` is true, else `y`; the result has the dtype and shape of `y`.
pub(super) fn select(condition: &Tensor, x: impl Into<Operand>, y: &Tensor) -> Tensor {
    if let Some(error) = condition.error().or(y.error()) {
        return Tensor::invalid(error.clone());
    }
    let x = broadcast(&x.into().to_tensor(y.dtype()), y.shape());
    Tensor::apply(Select, &[&broadcast(condition, y.shape()), &x, y])
}

/// A function of one operand, in its own dtype.
pub(super) fn unary(kind: UnaryKind, x: &Tensor) -> Tensor {
    Tensor::apply(Unary { kind }, &[x])
}
