//! Elementwise functions of one operand: `absolute`, `exp`, `sin`, …

use std::f64::consts::{LN_2, LN_10, PI};

use rhyton_ir::DType;
use rhyton_ir::op::{Direction, UnaryKind};

use super::MODULE;
use super::arithmetic::wide_float;
use super::comparison::signbit_of;
use crate::error::Result;
use crate::nest::Args;
use crate::ops::apply;
use crate::ops::class::{float_of, operations, unary_operations};
use crate::ops::primitives::{compare, filled, select, unary};
use crate::tensor::Tensor;

/// The function in the operand's floating-point dtype, of integers in `float32`.
pub(crate) fn float(kind: UnaryKind, x: &Tensor) -> Tensor {
    unary(kind, &x.cast(float_of(x.dtype())))
}

/// The function in the operand's own dtype; of `bool` and unsigned integers, where it changes nothing, the operand.
fn signed(kind: UnaryKind, x: &Tensor) -> Tensor {
    if x.dtype() == DType::Bool || x.dtype().is_unsigned_int() { x.without_mask() } else { unary(kind, x) }
}

/// A predicate that is constant but for floats.
fn predicate(x: &Tensor, otherwise: bool, of_float: fn(&Tensor) -> Tensor) -> Tensor {
    if x.dtype().is_float() { of_float(x) } else { filled(DType::Bool, x.shape(), f64::from(u8::from(otherwise))) }
}

fn equals(x: &Tensor, value: f64) -> Tensor {
    compare(Direction::Eq, x, &filled(x.dtype(), x.shape(), value))
}

unary_operations! { MODULE;
    /// `|x|`.
    absolute Absolute |x| signed(UnaryKind::Abs, x);
    /// `|x|`; the same as [`absolute`].
    abs Abs |x| signed(UnaryKind::Abs, x);
    /// `|x|`, of integers as `float32`.
    fabs Fabs |x| float(UnaryKind::Abs, x);
    /// `−x`.
    negative Negative |x| unary(UnaryKind::Neg, x);
    /// `1/x`.
    reciprocal Reciprocal |x| super::divide(1.0, x);
    /// `x²`.
    square Square |x| {
        let x = if x.dtype() == DType::Bool { x.cast(DType::I32) } else { x.clone() };
        super::multiply(&x, &x)
    };
    /// `√x`; NaN below 0.
    sqrt Sqrt |x| float(UnaryKind::Sqrt, x);
    /// `∛x`.
    cbrt Cbrt |x| unary(UnaryKind::Cbrt, &x.cast(wide_float(x.dtype())));
    /// `eˣ`.
    exp Exp |x| float(UnaryKind::Exp, x);
    /// `2ˣ`.
    exp2 Exp2 |x| super::power(2.0, x.cast(float_of(x.dtype())));
    /// `eˣ − 1`, exact near 0.
    expm1 Expm1 |x| float(UnaryKind::Expm1, x);
    /// `ln x`; −∞ at 0, NaN below.
    log Log |x| float(UnaryKind::Log, x);
    /// `ln(1 + x)`, exact near 0.
    log1p Log1p |x| float(UnaryKind::Log1p, x);
    /// The logarithm to base 2.
    log2 Log2 |x| float(UnaryKind::Log, x) / LN_2;
    /// The logarithm to base 10.
    log10 Log10 |x| float(UnaryKind::Log, x) / LN_10;
    /// The sine of radians.
    sin Sin |x| float(UnaryKind::Sin, x);
    /// The cosine of radians.
    cos Cos |x| float(UnaryKind::Cos, x);
    /// The tangent of radians.
    tan Tan |x| float(UnaryKind::Tan, x);
    /// The arcsine, within `[−π/2, π/2]`.
    arcsin Arcsin |x| float(UnaryKind::Asin, x);
    /// The arccosine, within `[0, π]`.
    arccos Arccos |x| float(UnaryKind::Acos, x);
    /// The arctangent, within `[−π/2, π/2]`.
    arctan Arctan |x| float(UnaryKind::Atan, x);
    /// `(eˣ − e⁻ˣ)/2`.
    sinh Sinh |x| float(UnaryKind::Sinh, x);
    /// `(eˣ + e⁻ˣ)/2`.
    cosh Cosh |x| float(UnaryKind::Cosh, x);
    /// `tanh x`.
    tanh Tanh |x| float(UnaryKind::Tanh, x);
    /// The inverse of [`sinh`].
    arcsinh Arcsinh |x| float(UnaryKind::Asinh, x);
    /// The inverse of [`cosh`], at least 0.
    arccosh Arccosh |x| float(UnaryKind::Acosh, x);
    /// The inverse of [`tanh`].
    arctanh Arctanh |x| float(UnaryKind::Atanh, x);
    /// `sin(πx)/(πx)`; 1 at 0.
    sinc Sinc |x| {
        let x = x.cast(float_of(x.dtype())) * PI;
        let (zero, ones) = (equals(&x, 0.0), filled(x.dtype(), x.shape(), 1.0));
        // The divisor is replaced, too, so that no NaN enters the gradient.
        select(&zero, &ones, &(unary(UnaryKind::Sin, &x) / select(&zero, &ones, &x)))
    };
    /// The largest whole number that is at most `x`, as a float. It has no gradient.
    floor Floor |x| float(UnaryKind::Floor, x);
    /// The smallest whole number that is at least `x`, as a float. It has no gradient.
    ceil Ceil |x| float(UnaryKind::Ceil, x);
    /// The whole number next to `x` towards 0. It has no gradient.
    trunc Trunc |x| if x.dtype().is_float() { unary(UnaryKind::Trunc, x) } else { x.without_mask() };
    /// −1, 0 or 1 by the sign; NaN of NaN. It has no gradient.
    sign Sign |x| unary(UnaryKind::Sign, x);
    /// Whether the sign bit is set: negative numbers and −0.
    signbit Signbit signbit_of;
    /// Whether `x` is neither infinite nor NaN.
    isfinite Isfinite |x| predicate(x, true, |x| unary(UnaryKind::IsFinite, x));
    /// Whether `x` is NaN.
    isnan Isnan |x| predicate(x, false, |x| unary(UnaryKind::IsNan, x));
    /// Whether `x` is +∞ or −∞.
    isinf Isinf |x| predicate(x, false, |x| equals(&unary(UnaryKind::Abs, x), f64::INFINITY));
    /// Whether `x` is +∞.
    isposinf Isposinf |x| predicate(x, false, |x| equals(x, f64::INFINITY));
    /// Whether `x` is −∞.
    isneginf Isneginf |x| predicate(x, false, |x| equals(x, f64::NEG_INFINITY));
    /// Whether `x` is a real number: always, for there are no complex tensors.
    isreal Isreal |x| filled(DType::Bool, x.shape(), 1.0);
    /// The complex conjugate: `x` itself.
    conj Conj |x| x.without_mask();
    /// The complex conjugate: `x` itself.
    conjugate Conjugate |x| x.without_mask();
    /// `x`.
    copy Copy |x| x.without_mask();
    /// The real part: `x` itself.
    real Real |x| x.without_mask();
    /// The imaginary part of real numbers: 0.
    imag Imag |x| filled(x.dtype(), x.shape(), 0.0);
    /// The angle of a real number as one of the complex plane: 0, or π below 0.
    angle Angle |x| {
        let x = x.cast(float_of(x.dtype()));
        super::arctan2(filled(x.dtype(), x.shape(), 0.0), &x)
    };
    /// Degrees as radians: `x · π/180`.
    deg2rad Deg2rad |x| x.cast(wide_float(x.dtype())) * (PI / 180.0);
    /// Radians as degrees: `x · 180/π`.
    rad2deg Rad2deg |x| x.cast(wide_float(x.dtype())) * (180.0 / PI);
}

operations! { MODULE;
    Round { decimals: i64 } (x) compute_round;
    NanToNum { nan: f64, posinf: Option<f64>, neginf: Option<f64> } (x) compute_nan_to_num;
}

/// `x` rounded to `decimals` digits after the point (before it, if negative); of two nearest the even one. It has no
/// gradient.
#[track_caller]
pub fn round(x: &Tensor, decimals: i64) -> Tensor {
    apply(Round { decimals }, Args::new(x))
}

fn compute_round(op: &Round, x: Tensor) -> Tensor {
    if op.decimals >= 0 && !x.dtype().is_float() {
        return x;
    }
    let dtype = x.dtype();
    let x = x.cast(float_of(dtype));
    if op.decimals == 0 {
        return unary(UnaryKind::RoundNearestEven, &x);
    }
    let factor = 10f64.powi(op.decimals.clamp(-400, 400) as i32);
    (unary(UnaryKind::RoundNearestEven, &(x * factor)) / factor).cast(dtype)
}

/// `x` with numbers for NaN, +∞ and −∞: `nan` (Keras's default is 0), and the largest and smallest of the dtype unless given.
#[track_caller]
pub fn nan_to_num(x: &Tensor, nan: f64, posinf: Option<f64>, neginf: Option<f64>) -> Tensor {
    apply(NanToNum { nan, posinf, neginf }, Args::new(x))
}

fn compute_nan_to_num(op: &NanToNum, x: Tensor) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Ok(x);
    }
    let largest = crate::ops::largest(x.dtype());
    let full = |v: f64| filled(x.dtype(), x.shape(), v);
    let out = select(&isnan(&x), &full(op.nan), &x);
    let out = select(&isposinf(&x), &full(op.posinf.unwrap_or(largest)), &out);
    Ok(select(&isneginf(&x), &full(op.neginf.unwrap_or(-largest)), &out))
}
