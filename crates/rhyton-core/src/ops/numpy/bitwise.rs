//! Bits and divisors of integers: `bitwise_and`, `left_shift`, `gcd`, …

use rhyton_ir::DType;
use rhyton_ir::op::{BinaryKind, BitcastConvert, UnaryKind};

use super::MODULE;
use super::arithmetic::{same, strongly};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{binary_operations, operations, unary_operations};
use crate::ops::primitives::{binary, select, unary};
use crate::ops::{self, Operand, apply};
use crate::tensor::Tensor;

fn bits(kind: BinaryKind, x: &Operand, y: &Operand) -> Result<Tensor> {
    let (x, y) = strongly(x, y, same)?;
    Ok(binary(kind, &x, &y))
}

fn shift_right(x: &Operand, y: &Operand) -> Result<Tensor> {
    let (x, y) = strongly(x, y, same)?;
    let unsigned = x.dtype().is_unsigned_int();
    let kind = if unsigned { BinaryKind::ShiftRightLogical } else { BinaryKind::ShiftRightArithmetic };
    Ok(binary(kind, &x, &y))
}

/// Both as integers of one dtype, without sign.
fn magnitudes(op: &str, x: &Operand, y: &Operand) -> Result<(Tensor, Tensor)> {
    let (x, y) = strongly(x, y, same)?;
    if !x.dtype().is_int() {
        return Err(Error::dtype(op, format!("the operands are {}", x.dtype()), "give integers"));
    }
    Ok((ops::absolute(&x), ops::absolute(&y)))
}

/// Euclid's algorithm on magnitudes, as often as the longest run takes.
fn greatest_divisor(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let still = |s: &[Tensor]| Ok(ops::any(&ops::not_equal(&s[1], 0), ops::Axes::All, false));
    let step = |s: &[Tensor]| {
        let goes_on = ops::not_equal(&s[1], 0);
        let rest = binary(BinaryKind::Rem, &s[0], &s[1]);
        Ok(vec![select(&goes_on, &s[1], &s[0]), select(&goes_on, &rest, &s[1])])
    };
    Ok(ops::while_loop(still, step, &[x.clone(), y.clone()], None)?.swap_remove(0))
}

binary_operations! { MODULE;
    /// The bits that both have.
    bitwise_and BitwiseAnd |x, y| bits(BinaryKind::And, x, y);
    /// The bits that at least one has.
    bitwise_or BitwiseOr |x, y| bits(BinaryKind::Or, x, y);
    /// The bits that exactly one has.
    bitwise_xor BitwiseXor |x, y| bits(BinaryKind::Xor, x, y);
    /// `x · 2^y`.
    bitwise_left_shift BitwiseLeftShift |x, y| bits(BinaryKind::ShiftLeft, x, y);
    /// `x · 2^y`; the same as [`bitwise_left_shift`].
    left_shift LeftShift |x, y| bits(BinaryKind::ShiftLeft, x, y);
    /// `⌊x / 2^y⌋`.
    bitwise_right_shift BitwiseRightShift shift_right;
    /// `⌊x / 2^y⌋`; the same as [`bitwise_right_shift`].
    right_shift RightShift shift_right;
    /// The greatest common divisor of integers; at least 0.
    gcd Gcd |x, y| {
        let (x, y) = magnitudes("gcd", x, y)?;
        greatest_divisor(&x, &y)
    };
    /// The least common multiple of integers; 0 if one is 0.
    lcm Lcm |x, y| {
        let (x, y) = magnitudes("lcm", x, y)?;
        let divisor = greatest_divisor(&x, &y)?;
        // Of two zeros the quotient is 0 as well: the engine divides by 0 to 0.
        Ok(&x * binary(BinaryKind::Div, &y, &divisor))
    };
}

unary_operations! { MODULE;
    /// All bits turned around.
    bitwise_invert BitwiseInvert |x| unary(UnaryKind::Not, x);
    /// All bits turned around; the same as [`bitwise_invert`].
    bitwise_not BitwiseNot |x| unary(UnaryKind::Not, x);
}

operations! { MODULE;
    View { dtype: Option<DType> } (x) compute_view;
}

/// The same bits read as `dtype`, which has the same size.
#[track_caller]
pub fn view(x: &Tensor, dtype: Option<DType>) -> Tensor {
    apply(View { dtype }, Args::new(x))
}

fn compute_view(op: &View, x: Tensor) -> Result<Tensor> {
    let to = op.dtype.unwrap_or(x.dtype());
    if to == x.dtype() {
        return Ok(x);
    }
    if to.size() == x.dtype().size() && to != DType::Bool && x.dtype() != DType::Bool {
        return Ok(Tensor::apply(BitcastConvert { dtype: to }, &[&x]));
    }
    Err(Error::unsupported(
        "view",
        format!("{} as {to}, of another size", x.ty()),
        "view it as a dtype of the same size, none of them bool",
    ))
}
