//! The derivatives of the elementwise functions of one operand.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

use super::UnaryKind;
use crate::build::Builder;
use crate::graph::Value;
use crate::op::Direction;

/// `dy · f′(x)`, where `y = f(x)`; `None` where `f′` is 0 or there is none.
pub(super) fn cotangent(kind: UnaryKind, b: &mut Builder, x: Value, y: Value, dy: Value) -> Option<Value> {
    let slope = match kind {
        UnaryKind::Neg => return Some(b.neg(dy)),
        UnaryKind::Log => return Some(b.div(dy, x)),
        UnaryKind::Log1p => {
            let denominator = b.shift(x, 1.0);
            return Some(b.div(dy, denominator));
        }
        UnaryKind::Sqrt => {
            let half = b.scale(dy, 0.5);
            return Some(b.div(half, y));
        }
        UnaryKind::Cbrt => {
            let square = b.mul(y, y);
            let denominator = b.scale(square, 3.0);
            return Some(b.div(dy, denominator));
        }
        UnaryKind::Atan => {
            let denominator = one_plus_square(b, x);
            return Some(b.div(dy, denominator));
        }
        // Of y, for the square of a large x would overflow.
        UnaryKind::Asinh => {
            let denominator = b.unary(UnaryKind::Cosh, y);
            return Some(b.div(dy, denominator));
        }
        UnaryKind::Acosh => {
            let denominator = b.unary(UnaryKind::Sinh, y);
            return Some(b.div(dy, denominator));
        }
        UnaryKind::Atanh => {
            let denominator = one_minus_square(b, x);
            return Some(b.div(dy, denominator));
        }
        UnaryKind::Abs => b.unary(UnaryKind::Sign, x),
        UnaryKind::Exp => y,
        UnaryKind::Expm1 => b.unary(UnaryKind::Exp, x),
        UnaryKind::Rsqrt => {
            let slope = b.div(y, x);
            b.scale(slope, -0.5)
        }
        UnaryKind::Sin => b.unary(UnaryKind::Cos, x),
        UnaryKind::Cos => {
            let sine = b.unary(UnaryKind::Sin, x);
            b.neg(sine)
        }
        UnaryKind::Tan => one_plus_square(b, y),
        UnaryKind::Asin => {
            let square = one_minus_square(b, x);
            b.unary(UnaryKind::Rsqrt, square)
        }
        UnaryKind::Acos => {
            let square = one_minus_square(b, x);
            let slope = b.unary(UnaryKind::Rsqrt, square);
            b.neg(slope)
        }
        UnaryKind::Sinh => b.unary(UnaryKind::Cosh, x),
        UnaryKind::Cosh => b.unary(UnaryKind::Sinh, x),
        UnaryKind::Tanh => {
            let square = b.mul(y, y);
            one_minus(b, square)
        }
        UnaryKind::Logistic => {
            let rest = one_minus(b, y);
            b.mul(y, rest)
        }
        UnaryKind::Erf => bell(b, x, FRAC_2_SQRT_PI),
        UnaryKind::Erfc => bell(b, x, -FRAC_2_SQRT_PI),
        UnaryKind::ErfInv => {
            let square = b.mul(y, y);
            let power = b.unary(UnaryKind::Exp, square);
            b.scale(power, 1.0 / FRAC_2_SQRT_PI)
        }
        UnaryKind::Lgamma => b.unary(UnaryKind::Digamma, x),
        UnaryKind::Digamma => trigamma(b, x),
        UnaryKind::Sign | UnaryKind::Floor | UnaryKind::Ceil | UnaryKind::RoundNearestEven => return None,
        UnaryKind::Trunc | UnaryKind::IsFinite | UnaryKind::IsNan => return None,
        UnaryKind::Not | UnaryKind::PopulationCount => return None,
    };
    Some(b.mul(dy, slope))
}

/// `1 − x`.
fn one_minus(b: &mut Builder, x: Value) -> Value {
    let one = b.full_like(x, 1.0);
    b.sub(one, x)
}

/// `1 − x²`, as `(1 − x)(1 + x)`, which keeps the digits near ±1.
fn one_minus_square(b: &mut Builder, x: Value) -> Value {
    let (minus, plus) = (one_minus(b, x), b.shift(x, 1.0));
    b.mul(minus, plus)
}

/// `1 + x²`.
fn one_plus_square(b: &mut Builder, x: Value) -> Value {
    let square = b.mul(x, x);
    b.shift(square, 1.0)
}

/// `height · exp(−x²)`.
fn bell(b: &mut Builder, x: Value, height: f64) -> Value {
    let square = b.mul(x, x);
    let negative = b.neg(square);
    let power = b.unary(UnaryKind::Exp, negative);
    b.scale(power, height)
}

/// The derivative of digamma: ten terms of `Σ 1/(x + n)²`, then the asymptotic series of the rest; from below ½ by
/// reflection, `π²/sin²(πx) − trigamma(1 − x)`.
fn trigamma(b: &mut Builder, x: Value) -> Value {
    // The Bernoulli numbers B₂, B₄, ….
    const SERIES: [f64; 7] = [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0];
    let (one, half) = (b.full_like(x, 1.0), b.full_like(x, 0.5));
    let left = b.compare(Direction::Lt, x, half);
    let mirrored = b.sub(one, x);
    let mut z = b.select(left, mirrored, x);

    let mut sum = b.zeros_like(x);
    for _ in 0..10 {
        let square = b.mul(z, z);
        let term = b.div(one, square);
        sum = b.add(sum, term);
        z = b.shift(z, 1.0);
    }
    // 1/z + 1/(2z²) + Σ B₂ₖ/z²ᵏ⁺¹ = (1 + 1/(2z) + Σ B₂ₖ/z²ᵏ)/z.
    let inverse = b.div(one, z);
    let square = b.mul(inverse, inverse);
    let mut series = b.zeros_like(x);
    for coefficient in SERIES.into_iter().rev() {
        let shifted = b.shift(series, coefficient);
        series = b.mul(shifted, square);
    }
    let halved = b.scale(inverse, 0.5);
    let series = b.add(series, halved);
    let series = b.shift(series, 1.0);
    let rest = b.mul(series, inverse);
    let right = b.add(sum, rest);

    // The sine has period 2 in x up to its sign, which the square loses: only the fraction matters.
    let whole = b.unary(UnaryKind::RoundNearestEven, x);
    let fraction = b.sub(x, whole);
    let angle = b.scale(fraction, PI);
    let sine = b.unary(UnaryKind::Sin, angle);
    // Not 0 where the reflection is not used, or its gradient would be NaN there.
    let sine = b.select(left, sine, one);
    let pi = b.full_like(x, PI);
    let quotient = b.div(pi, sine);
    let square = b.mul(quotient, quotient);
    let reflected = b.sub(square, right);
    b.select(left, reflected, right)
}
