//! Comparisons and logic: `equal`, `greater`, `logical_and`, `isclose`, …

use rhyton_ir::DType;
use rhyton_ir::op::{BinaryKind, Direction, UnaryKind};

use super::MODULE;
use super::arithmetic::{common, same, strongly};
use crate::error::Result;
use crate::nest::Args;
use crate::ops::class::{binary_operations, operations, strong};
use crate::ops::primitives::{binary, compare, filled, unary};
use crate::ops::{Operand, absolute, apply, isfinite, isnan};
use crate::tensor::Tensor;

fn compared(direction: Direction, x: &Operand, y: &Operand) -> Result<Tensor> {
    let (x, y) = strongly(x, y, same)?;
    Ok(compare(direction, &x, &y))
}

fn logical(kind: BinaryKind, x: &Operand, y: &Operand) -> Result<Tensor> {
    let (x, y) = common(&strong(x).cast(DType::Bool), &strong(y).cast(DType::Bool))?;
    Ok(binary(kind, &x, &y))
}

binary_operations! { MODULE;
    /// `x1 = x2`, as `bool`; NaN equals nothing.
    equal Equal |x, y| compared(Direction::Eq, x, y);
    /// `x1 ≠ x2`, as `bool`.
    not_equal NotEqual |x, y| compared(Direction::Ne, x, y);
    /// `x1 > x2`, as `bool`.
    greater Greater |x, y| compared(Direction::Gt, x, y);
    /// `x1 ≥ x2`, as `bool`.
    greater_equal GreaterEqual |x, y| compared(Direction::Ge, x, y);
    /// `x1 < x2`, as `bool`.
    less Less |x, y| compared(Direction::Lt, x, y);
    /// `x1 ≤ x2`, as `bool`.
    less_equal LessEqual |x, y| compared(Direction::Le, x, y);
    /// Whether both are true (not 0).
    logical_and LogicalAnd |x, y| logical(BinaryKind::And, x, y);
    /// Whether at least one is true (not 0).
    logical_or LogicalOr |x, y| logical(BinaryKind::Or, x, y);
    /// Whether exactly one is true (not 0).
    logical_xor LogicalXor |x, y| logical(BinaryKind::Xor, x, y);
}

operations! { MODULE;
    LogicalNot {} (x) compute_not;
    Isclose { equal_nan: bool } (x1, x2, rtol, atol) compute_isclose;
    AllClose { rtol: f64, atol: f64, equal_nan: bool } (x1, x2) compute_allclose;
}

/// Whether `x` is false (0).
#[track_caller]
pub fn logical_not(x: impl Into<Operand>) -> Tensor {
    apply(LogicalNot {}, Args::new(x.into().to_nest()))
}

fn compute_not(_: &LogicalNot, x: Tensor) -> Tensor {
    unary(UnaryKind::Not, &x.cast(DType::Bool))
}

/// `|x1 − x2| ≤ atol + rtol · |x2|`, elementwise; integers are compared exactly. With `equal_nan`, NaN is close to NaN.
/// Keras's defaults are `rtol` 1e-5, `atol` 1e-8, `equal_nan` false.
#[track_caller]
pub fn isclose(x1: impl Into<Operand>, x2: impl Into<Operand>, rtol: f64, atol: f64, equal_nan: bool) -> Tensor {
    let plain = |v: f64| serde_json::Value::from(v);
    let args = Args::new(x1.into().to_nest()).and(x2.into().to_nest()).and(plain(rtol)).and(plain(atol));
    apply(Isclose { equal_nan }, args)
}

fn compute_isclose(
    op: &Isclose,
    x: Operand,
    y: Operand,
    rtol: Option<Operand>,
    atol: Option<Operand>,
) -> Result<Tensor> {
    let (x, y) = strongly(&x, &y, same)?;
    if !x.dtype().is_float() {
        return Ok(compare(Direction::Eq, &x, &y));
    }
    let bound = absolute(&y) * rtol.unwrap_or(Operand::Float(1e-5)) + atol.unwrap_or(Operand::Float(1e-8));
    let close = less_equal(absolute(&(&x - &y)), &bound);
    Ok(with_nan(close, &x, &y, op.equal_nan))
}

fn with_nan(close: Tensor, x: &Tensor, y: &Tensor, equal_nan: bool) -> Tensor {
    if equal_nan { logical_or(&close, logical_and(isnan(x), isnan(y))) } else { close }
}

/// Whether all elements are close, as [`isclose`] says; equal infinities are. A scalar `bool`.
#[track_caller]
pub fn allclose(x1: impl Into<Operand>, x2: impl Into<Operand>, rtol: f64, atol: f64, equal_nan: bool) -> Tensor {
    apply(AllClose { rtol, atol, equal_nan }, Args::new(x1.into().to_nest()).and(x2.into().to_nest()))
}

fn compute_allclose(op: &AllClose, x: Operand, y: Operand) -> Result<Tensor> {
    let (x, y) = strongly(&x, &y, same)?;
    let equal = compare(Direction::Eq, &x, &y);
    if !x.dtype().is_float() {
        return Ok(super::all(&equal, None::<i64>, false));
    }
    let close = less_equal(absolute(&(&x - &y)), absolute(&y) * op.rtol + op.atol);
    let finite = logical_and(isfinite(&x), isfinite(&y));
    let close = with_nan(logical_or(logical_and(&finite, &close), &equal), &x, &y, op.equal_nan);
    Ok(super::all(&close, None::<i64>, false))
}

/// Whether the sign bit is set: negative numbers and −0.
pub(super) fn signbit_of(x: &Tensor) -> Tensor {
    match x.dtype() {
        DType::Bool => filled(DType::Bool, x.shape(), 0.0),
        dtype if dtype.is_int() => less(x, 0),
        _ => {
            let bits = Tensor::apply(rhyton_ir::op::BitcastConvert { dtype: DType::I32 }, &[&x.cast(DType::F32)]);
            less(&bits, 0)
        }
    }
}
