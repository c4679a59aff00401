//! Elementwise operations of two operands that broadcast: `add`, `subtract`, `power`, …

use rhyton_ir::op::{BinaryKind, BroadcastInDim, Direction, UnaryKind};
use rhyton_ir::{DType, Dim, Shape};

use super::MODULE;
use crate::error::{Error, Result};
use crate::ops::class::{binary_operations, float_of, strong};
use crate::ops::primitives::{binary, compare, filled, select, unary};
use crate::ops::{Operand, absolute, isnan};
use crate::promotion::{promote, result_type};
use crate::tensor::Tensor;

/// The common shape of operands, by NumPy's rules: aligned at the last axis, sizes of 1 repeat.
///
/// # Errors
/// If two sizes differ and neither is 1; the message has all shapes.
pub fn broadcast_shapes(shapes: &[&Shape]) -> Result<Shape> {
    let rank = shapes.iter().map(|s| s.rank()).max().unwrap_or(0);
    let mut out = vec![Dim::Known(1); rank];
    for shape in shapes {
        for (d, o) in shape.iter().rev().zip(out.iter_mut().rev()) {
            if o.is(1) {
                *o = d.clone();
            } else if !d.is(1) && !d.compatible(o) {
                let listed: Vec<String> = shapes.iter().map(|s| s.to_string()).collect();
                return Err(Error::shape(
                    "broadcast",
                    format!("the shapes {} do not broadcast", listed.join(" and ")),
                    "make the sizes equal, or 1 where they shall repeat",
                ));
            } else if d.known().is_some() && !d.is(1) {
                *o = d.clone();
            }
        }
    }
    Ok(Shape::from(out))
}

/// `x` repeated to `shape` by NumPy's rules.
#[track_caller]
pub(crate) fn broadcast(x: &Tensor, shape: &Shape) -> Tensor {
    if x.shape() == shape || x.error().is_some() {
        return x.clone();
    }
    let offset = shape.rank().saturating_sub(x.rank());
    let axes = (offset..shape.rank()).collect();
    Tensor::apply(BroadcastInDim { shape: shape.clone(), axes }, &[x])
}

/// Both tensors in their common shape.
pub(crate) fn common(x: &Tensor, y: &Tensor) -> Result<(Tensor, Tensor)> {
    let shape = broadcast_shapes(&[x.check()?.shape(), y.check()?.shape()])?;
    Ok((broadcast(x, &shape), broadcast(y, &shape)))
}

/// Both operands as tensors of one dtype and shape.
pub(crate) fn align(x: &Operand, y: &Operand, dtype: DType) -> Result<(Tensor, Tensor)> {
    common(&x.to_tensor(dtype), &y.to_tensor(dtype))
}

/// Both operands in the dtype that plain numbers take on from tensors.
pub(crate) fn weakly(x: &Operand, y: &Operand, dtype: fn(DType) -> DType) -> Result<(Tensor, Tensor)> {
    align(x, y, dtype(result_type(&[x, y])))
}

/// Both operands in the dtype to which they promote as tensors: plain numbers are `int32` or `float32`.
pub(crate) fn strongly(x: &Operand, y: &Operand, dtype: fn(DType) -> DType) -> Result<(Tensor, Tensor)> {
    let (x, y) = (strong(x), strong(y));
    let dtype = dtype(promote(x.dtype(), y.dtype()));
    common(&x.cast(dtype), &y.cast(dtype))
}

pub(super) fn same(dtype: DType) -> DType {
    dtype
}

fn bool_as_int(dtype: DType) -> DType {
    if dtype == DType::Bool { DType::I32 } else { dtype }
}

/// Small integers as `float32`, 64-bit ones as `float64`.
pub(super) fn wide_float(dtype: DType) -> DType {
    if dtype == DType::I64 { DType::F64 } else { float_of(dtype) }
}

fn plain(kind: BinaryKind, x: &Operand, y: &Operand, dtype: fn(DType) -> DType) -> Result<Tensor> {
    let (x, y) = weakly(x, y, dtype)?;
    Ok(binary(kind, &x, &y))
}

binary_operations! { MODULE;
    /// `x1 + x2`, elementwise with broadcasting.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::{Tensor, ops};
    ///
    /// let x = Tensor::new([2, 1], vec![1.0f32, 2.0]);
    /// let y = ops::add(&x, Tensor::new([3], vec![10.0f32, 20.0, 30.0]));
    /// assert_eq!(y.to_vec::<f32>()?, [11.0, 21.0, 31.0, 12.0, 22.0, 32.0]);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    add Add |x, y| plain(BinaryKind::Add, x, y, same);
    /// `x1 − x2`, elementwise with broadcasting.
    subtract Subtract |x, y| plain(BinaryKind::Sub, x, y, same);
    /// `x1 · x2`, elementwise with broadcasting.
    multiply Multiply |x, y| plain(BinaryKind::Mul, x, y, same);
    /// `x1 / x2`, elementwise with broadcasting; integers give `float32`.
    true_divide TrueDivide |x, y| plain(BinaryKind::Div, x, y, float_of);
    /// `x1 / x2`, elementwise with broadcasting; integers give `float32`. The same as [`true_divide`].
    divide Divide |x, y| plain(BinaryKind::Div, x, y, float_of);
    /// `x1 / x2`, but 0 where `x2` is 0, and without a gradient there.
    divide_no_nan DivideNoNan |x, y| {
        let (x, y) = weakly(x, y, float_of)?;
        let (zeros, ones) = (filled(x.dtype(), x.shape(), 0.0), filled(x.dtype(), x.shape(), 1.0));
        let divides = compare(Direction::Ne, &y, &zeros);
        // The divisor is replaced, too, so that no infinity enters the gradient.
        Ok(select(&divides, &binary(BinaryKind::Div, &x, &select(&divides, &y, &ones)), &zeros))
    };
    /// `x1` to the power of `x2`. The gradient to `x2` is 0 where `x1` is not positive.
    power Power |x, y| plain(BinaryKind::Pow, x, y, same);
    /// `⌊x1 / x2⌋`; integers stay integers, and give 0 (or −1) divided by 0. It has no gradient.
    floor_divide FloorDivide |x, y| {
        let (x, y) = weakly(x, y, same)?;
        let quotient = binary(BinaryKind::Div, &x, &y);
        if x.dtype().is_float() {
            return Ok(unary(UnaryKind::Floor, &quotient));
        }
        if x.dtype().is_unsigned_int() {
            return Ok(quotient);
        }
        let rounded_up = remainder_of_other_sign(&x, &y);
        Ok(binary(BinaryKind::Sub, &quotient, &rounded_up.cast(quotient.dtype())))
    };
    /// `x1 − ⌊x1 / x2⌋ · x2`: the remainder with the sign of `x2`, as Python's `%`.
    r#mod Mod |x, y| {
        let (x, y) = strongly(x, y, bool_as_int)?;
        let remainder = binary(BinaryKind::Rem, &x, &y);
        if x.dtype().is_unsigned_int() {
            return Ok(remainder);
        }
        let other_sign = remainder_of_other_sign(&x, &y);
        Ok(select(&other_sign, &binary(BinaryKind::Add, &remainder, &y), &remainder))
    };
    /// `x1 − trunc(x1 / x2) · x2`: the remainder with the sign of `x1`, as C's `fmod`.
    fmod Fmod |x, y| {
        let (x, y) = strongly(x, y, bool_as_int)?;
        Ok(binary(BinaryKind::Rem, &x, &y))
    };
    /// The larger of each two elements; NaN if either is. The gradient at a tie goes to `x1`.
    maximum Maximum |x, y| plain(BinaryKind::Maximum, x, y, same);
    /// The smaller of each two elements; NaN if either is. The gradient at a tie goes to `x1`.
    minimum Minimum |x, y| plain(BinaryKind::Minimum, x, y, same);
    /// The larger of each two elements; the other one if one is NaN.
    fmax Fmax |x, y| without_nan(BinaryKind::Maximum, x, y);
    /// The smaller of each two elements; the other one if one is NaN.
    fmin Fmin |x, y| without_nan(BinaryKind::Minimum, x, y);
    /// The angle of the point `(x2, x1)` in radians within `[−π, π]`.
    arctan2 Arctan2 |x, y| {
        let (x, y) = strongly(x, y, float_of)?;
        Ok(binary(BinaryKind::Atan2, &x, &y))
    };
    /// `√(x1² + x2²)` without overflow.
    hypot Hypot |x, y| {
        let (x, y) = strongly(x, y, wide_float)?;
        let (x, y) = (absolute(&x), absolute(&y));
        let (large, small) = (maximum(&x, &y), minimum(&x, &y));
        let ratio = divide_no_nan(&small, &large);
        Ok(large * super::sqrt(&(super::square(&ratio) + 1.0)))
    };
    /// `log(exp(x1) + exp(x2))` without overflow.
    logaddexp Logaddexp |x, y| log_sum(x, y, 1.0);
    /// `log₂(2^x1 + 2^x2)` without overflow.
    logaddexp2 Logaddexp2 |x, y| log_sum(x, y, std::f64::consts::LN_2);
    /// 0 where `x1` is negative, `x2` where it is 0, 1 where it is positive.
    heaviside Heaviside |x, y| {
        let (x, y) = strongly(x, y, wide_float)?;
        let (zeros, ones) = (filled(x.dtype(), x.shape(), 0.0), filled(x.dtype(), x.shape(), 1.0));
        let positive = select(&compare(Direction::Gt, &x, &zeros), &ones, &y);
        Ok(select(&compare(Direction::Lt, &x, &zeros), &zeros, &positive))
    };
    /// `x1 · 2^x2`; `x2` are integers.
    ldexp Ldexp |x, y| {
        let (x, exponent) = (strong(x), strong(y));
        if !exponent.dtype().is_int() {
            return Err(Error::dtype("ldexp", format!("the exponent is {}", exponent.ty()), "give integers"));
        }
        let dtype = float_of(promote(x.dtype(), exponent.dtype()));
        let (x, exponent) = common(&x.cast(dtype), &exponent.cast(dtype))?;
        let scaled = &x * power(2.0, &exponent);
        let stays = super::logical_or(super::isinf(&x), super::equal(&x, 0.0));
        Ok(select(&stays, &x, &scaled))
    };
    /// The value of the dtype that follows `x1` towards `x2`.
    nextafter Nextafter |x, y| {
        let (x, y) = (strong(x), strong(y));
        let dtype = float_of(promote(x.dtype(), y.dtype()));
        // Keras on TensorFlow steps in float64 and rounds.
        let (x, y) = common(&x.cast(DType::F64), &y.cast(DType::F64))?;
        Ok(binary(BinaryKind::NextAfter, &x, &y).cast(dtype))
    };
}

/// Whether the truncated remainder of `x / y` is neither 0 nor of the sign of `y`.
fn remainder_of_other_sign(x: &Tensor, y: &Tensor) -> Tensor {
    let remainder = binary(BinaryKind::Rem, x, y);
    let zeros = filled(x.dtype(), x.shape(), 0.0);
    let negative = |t: &Tensor| compare(Direction::Lt, t, &zeros);
    let other = binary(BinaryKind::Xor, &negative(&remainder), &negative(y));
    binary(BinaryKind::And, &other, &compare(Direction::Ne, &remainder, &zeros))
}

fn without_nan(kind: BinaryKind, x: &Operand, y: &Operand) -> Result<Tensor> {
    let (x, y) = weakly(x, y, same)?;
    let extreme = binary(kind, &x, &y);
    if !x.dtype().is_float() {
        return Ok(extreme);
    }
    let extreme = select(&isnan(&x), &y, &extreme);
    Ok(select(&isnan(&y), &x, &extreme))
}

/// `log_b(b^x + b^y)` for the base `b` whose natural logarithm is `ln`.
fn log_sum(x: &Operand, y: &Operand, ln: f64) -> Result<Tensor> {
    let (x, y) = strongly(x, y, float_of)?;
    let delta = &x - &y;
    let small = super::log1p(&super::exp(&(super::negative(&absolute(&delta)) * ln))) / ln;
    // The difference of equal infinities is NaN.
    Ok(select(&isnan(&delta), &(&x + &y), &(maximum(&x, &y) + small)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_do_not_broadcast_are_both_named() {
        let error = add(Tensor::new([2], vec![1.0f32; 2]), Tensor::new([3], vec![1.0f32; 3])).eval().unwrap_err();
        assert!(error.to_string().contains("[2] and [3]"), "{error}");
    }

    #[test]
    fn plain_numbers_take_on_the_dtype() {
        let x = Tensor::new([1], vec![rhyton_ir::bf16::from_f32(1.5)]);
        assert_eq!(multiply(&x, 2.0).dtype(), DType::BF16);
        assert_eq!(multiply(Tensor::from(3i32), 2.0).dtype(), DType::F32);
        assert_eq!(true_divide(Tensor::from(3i32), 2).item().unwrap(), 1.5);
    }
}
