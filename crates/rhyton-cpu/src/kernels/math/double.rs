//! Functions of `f64`, element by element: from `std` and `libm`, and the few that neither has.

use rhyton_ir::op::{BinaryKind, UnaryKind};

use super::{map1, map2, next_after};

pub(crate) fn unary(kind: UnaryKind, x: &[f64], y: &mut [f64]) {
    match function(kind) {
        Some(f) => map1(x, y, f),
        None => panic!("{kind:?} is not a function of floats to floats"),
    }
}

pub(crate) fn binary(kind: BinaryKind, x: &[f64], y: &[f64], out: &mut [f64]) {
    match kind {
        BinaryKind::Add => map2(x, y, out, |x, y| x + y),
        BinaryKind::Sub => map2(x, y, out, |x, y| x - y),
        BinaryKind::Mul => map2(x, y, out, |x, y| x * y),
        BinaryKind::Div => map2(x, y, out, |x, y| x / y),
        BinaryKind::Rem => map2(x, y, out, |x, y| x % y),
        BinaryKind::Pow => map2(x, y, out, f64::powf),
        BinaryKind::Maximum => map2(x, y, out, |x, y| if x > y || x.is_nan() { x } else { y }),
        BinaryKind::Minimum => map2(x, y, out, |x, y| if x < y || x.is_nan() { x } else { y }),
        BinaryKind::Atan2 => map2(x, y, out, f64::atan2),
        BinaryKind::NextAfter => {
            map2(x, y, out, |x, y| next_after(x, y, f64::from_bits, f64::to_bits, |bits| bits ^ (1 << 63)));
        }
        BinaryKind::And
        | BinaryKind::Or
        | BinaryKind::Xor
        | BinaryKind::ShiftLeft
        | BinaryKind::ShiftRightArithmetic
        | BinaryKind::ShiftRightLogical => panic!("{kind:?} is not a function of floats"),
    }
}

/// The function of floats, if it is one.
pub(crate) fn function(kind: UnaryKind) -> Option<fn(f64) -> f64> {
    Some(match kind {
        UnaryKind::Abs => f64::abs,
        UnaryKind::Neg => |x| -x,
        UnaryKind::Sign => |x| if x == 0.0 || x.is_nan() { x } else { x.signum() },
        UnaryKind::Exp => f64::exp,
        UnaryKind::Expm1 => f64::exp_m1,
        UnaryKind::Log => f64::ln,
        UnaryKind::Log1p => f64::ln_1p,
        UnaryKind::Sqrt => f64::sqrt,
        UnaryKind::Rsqrt => |x| 1.0 / x.sqrt(),
        UnaryKind::Cbrt => f64::cbrt,
        UnaryKind::Sin => f64::sin,
        UnaryKind::Cos => f64::cos,
        UnaryKind::Tan => f64::tan,
        UnaryKind::Asin => f64::asin,
        UnaryKind::Acos => f64::acos,
        UnaryKind::Atan => f64::atan,
        UnaryKind::Sinh => f64::sinh,
        UnaryKind::Cosh => f64::cosh,
        UnaryKind::Tanh => f64::tanh,
        UnaryKind::Asinh => libm::asinh,
        UnaryKind::Acosh => libm::acosh,
        UnaryKind::Atanh => libm::atanh,
        UnaryKind::Logistic => |x| {
            let e = (-x.abs()).exp();
            if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
        },
        UnaryKind::Erf => libm::erf,
        UnaryKind::Erfc => libm::erfc,
        UnaryKind::ErfInv => erf_inv,
        UnaryKind::Lgamma => libm::lgamma,
        UnaryKind::Digamma => digamma,
        UnaryKind::Floor => f64::floor,
        UnaryKind::Ceil => f64::ceil,
        UnaryKind::RoundNearestEven => f64::round_ties_even,
        UnaryKind::Trunc => f64::trunc,
        UnaryKind::IsFinite | UnaryKind::IsNan | UnaryKind::Not | UnaryKind::PopulationCount => return None,
    })
}

/// The inverse of `erf`: Winitzki's approximation (2008), then steps of Halley's method, on `erfc` where `erf` is near 1.
fn erf_inv(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 1.0 {
        return f64::NAN;
    }
    if x.abs() == 1.0 {
        return x * f64::INFINITY;
    }
    if x == 0.0 {
        return x;
    }
    const A: f64 = 0.147;
    let size = x.abs();
    let log = (-size * size).ln_1p();
    let half = 2.0 / (std::f64::consts::PI * A) + log / 2.0;
    let mut y = ((half * half - log / A).sqrt() - half).sqrt();
    for _ in 0..3 {
        let error = if size < 0.5 { libm::erf(y) - size } else { (1.0 - size) - libm::erfc(y) };
        let step = error / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// The derivative of `lgamma`: reflection below 0, recurrence up to 10, then the asymptotic series.
fn digamma(x: f64) -> f64 {
    if x <= 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // The tangent of the fraction: large arguments lose nothing.
        let fraction = x - x.floor();
        return digamma(1.0 - x) - std::f64::consts::PI / (std::f64::consts::PI * fraction).tan();
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    // Bernoulli numbers over 2k: 1/12, 1/120, 1/252, 1/240, 1/132, 691/32760, 1/12.
    let z = 1.0 / (x * x);
    let series = 1.0 / 12.0
        - z * (1.0 / 120.0
            - z * (1.0 / 252.0 - z * (1.0 / 240.0 - z * (1.0 / 132.0 - z * (691.0 / 32760.0 - z / 12.0)))));
    sum + x.ln() - 0.5 / x - z * series
}
