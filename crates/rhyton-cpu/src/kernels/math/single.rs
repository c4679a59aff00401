//! Functions of `f32`, branch-free, for loops that the compiler vectorises.
//!
//! `exp`, `log` and what builds on them use the polynomials of Cephes (S. L. Moshier, 1989, `expf.c` and `logf.c`); `erf`
//! those of N. Juffa ("Implementing the error function erff", 2014). `sin`, `cos`, `tan` and `pow` are computed in
//! `f64`, where Taylor's polynomials are short and exact enough: half as many lanes, but no care is needed for the last
//! bit. Accuracy over all sweeps of the tests, in units in the last place: see [`apply_unary`](super::apply_unary).
//!
//! Integers are read from the bits after adding 1.5 · 2^23 (2^52), which rounds to nearest; conversions that saturate
//! would cost comparisons.

use rhyton_ir::op::{BinaryKind, UnaryKind};

use super::{double, map1, map2, next_after, per_isa};

/// 1.5 · 2^23: adding it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 = 355 / 512 - this; the first is exact times any exponent.
pub(crate) const LN_2_HIGH: f32 = 355.0 / 512.0;
pub(crate) const LN_2_REST: f32 = 2.121_944_4e-4;
/// 1.5 · 2^52, likewise.
const ROUND64: f64 = 6_755_399_441_055_744.0;

per_isa! {
    /// See [`apply_unary`](super::apply_unary).
    pub(crate) fn unary(kind: UnaryKind, x: &[f32], y: &mut [f32]) = unary_loops
}

per_isa! {
    /// See [`apply_binary`](super::apply_binary).
    pub(crate) fn binary(kind: BinaryKind, x: &[f32], y: &[f32], out: &mut [f32]) = binary_loops
}

#[inline(always)]
fn unary_loops<const FMA: bool>(kind: UnaryKind, x: &[f32], y: &mut [f32]) {
    match kind {
        UnaryKind::Abs => map1(x, y, f32::abs),
        UnaryKind::Neg => map1(x, y, |x| -x),
        UnaryKind::Sign => map1(x, y, |x| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        }),
        UnaryKind::Exp => map1(x, y, exp::<FMA>),
        UnaryKind::Expm1 => map1(x, y, expm1::<FMA>),
        UnaryKind::Log => map1(x, y, log::<FMA>),
        UnaryKind::Log1p => map1(x, y, log1p::<FMA>),
        UnaryKind::Sqrt => map1(x, y, f32::sqrt),
        UnaryKind::Rsqrt => map1(x, y, |x| 1.0 / x.sqrt()),
        UnaryKind::Sin => periodic(x, y, f64::sin, |x| if x == 0.0 { x } else { sin_cos::<FMA>(x).0 }),
        UnaryKind::Cos => periodic(x, y, f64::cos, |x| sin_cos::<FMA>(x).1),
        UnaryKind::Tan => periodic(x, y, f64::tan, |x| {
            let (sin, cos) = sin_cos::<FMA>(x);
            if x == 0.0 { x } else { sin / cos }
        }),
        UnaryKind::Tanh => map1(x, y, tanh::<FMA>),
        UnaryKind::Logistic => map1(x, y, logistic::<FMA>),
        UnaryKind::Erf => map1(x, y, erf::<FMA>),
        UnaryKind::Floor => map1(x, y, f32::floor),
        UnaryKind::Ceil => map1(x, y, f32::ceil),
        UnaryKind::RoundNearestEven => map1(x, y, f32::round_ties_even),
        UnaryKind::Trunc => map1(x, y, f32::trunc),
        UnaryKind::Cbrt
        | UnaryKind::Asin
        | UnaryKind::Acos
        | UnaryKind::Atan
        | UnaryKind::Sinh
        | UnaryKind::Cosh
        | UnaryKind::Asinh
        | UnaryKind::Acosh
        | UnaryKind::Atanh
        | UnaryKind::Erfc
        | UnaryKind::ErfInv
        | UnaryKind::Lgamma
        | UnaryKind::Digamma
        | UnaryKind::IsFinite
        | UnaryKind::IsNan
        | UnaryKind::Not
        | UnaryKind::PopulationCount => match double::function(kind) {
            Some(f) => map1(x, y, |x| f(f64::from(x)) as f32),
            None => panic!("{kind:?} is not a function of floats to floats"),
        },
    }
}

#[inline(always)]
fn binary_loops<const FMA: bool>(kind: BinaryKind, x: &[f32], y: &[f32], out: &mut [f32]) {
    match kind {
        BinaryKind::Add => map2(x, y, out, |x, y| x + y),
        BinaryKind::Sub => map2(x, y, out, |x, y| x - y),
        BinaryKind::Mul => map2(x, y, out, |x, y| x * y),
        BinaryKind::Div => map2(x, y, out, |x, y| x / y),
        BinaryKind::Rem => map2(x, y, out, |x, y| x % y),
        BinaryKind::Pow => {
            map2(x, y, out, pow::<FMA>);
            let special = |i: usize| !x[i].is_finite() | !y[i].is_finite();
            let finite = |x: &[f32]| x.iter().fold(true, |all, x| all & x.is_finite());
            if !finite(x) || !finite(y) {
                for i in (0..out.len()).filter(|&i| special(i)) {
                    // The library's is NaN for some NaN to the power of 0.
                    out[i] = if y[i] == 0.0 { 1.0 } else { x[i].powf(y[i]) };
                }
            }
        }
        BinaryKind::Maximum => map2(x, y, out, |x, y| if x > y || x.is_nan() { x } else { y }),
        BinaryKind::Minimum => map2(x, y, out, |x, y| if x < y || x.is_nan() { x } else { y }),
        BinaryKind::Atan2 => map2(x, y, out, |x, y| f64::from(x).atan2(f64::from(y)) as f32),
        BinaryKind::NextAfter => {
            map2(x, y, out, |x, y| next_after(x, y, f32::from_bits, f32::to_bits, |bits| bits ^ (1 << 31)));
        }
        BinaryKind::And
        | BinaryKind::Or
        | BinaryKind::Xor
        | BinaryKind::ShiftLeft
        | BinaryKind::ShiftRightArithmetic
        | BinaryKind::ShiftRightLogical => panic!("{kind:?} is not a function of floats"),
    }
}

/// `a · b + c`: rounded once if the instruction set has that, else the function would be a slow call.
#[inline(always)]
fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn fma64<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// 2^n for -126 ≤ n ≤ 127.
#[inline(always)]
fn exp2_int(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// The polynomial `(e^r - 1 - r) / r²` for |r| ≤ ln 2 / 2, from the highest power.
pub(crate) const EXP: [f32; 6] = [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// `x = n · ln 2 + r` with |r| ≤ ln 2 / 2; gives n and e^r - 1. Sensible for |x| < 2^20.
#[inline(always)]
fn exp_parts<const FMA: bool>(x: f32) -> (i32, f32) {
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN_2_HIGH, x);
    let r = fma::<FMA>(n, LN_2_REST, r);
    let mut p = EXP[0];
    for &term in &EXP[1..] {
        p = fma::<FMA>(p, r, term);
    }
    (shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32, fma::<FMA>(p, r * r, r))
}

#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    // Beyond these the result is 0 or ∞; NaN passes both comparisons.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let (n, e) = exp_parts::<FMA>(x);
    // In two factors: n may lie outside the exponents of one.
    let half = n >> 1;
    (1.0 + e) * exp2_int(half) * exp2_int(n.wrapping_sub(half))
}

#[inline(always)]
fn expm1<const FMA: bool>(x: f32) -> f32 {
    let limited = if x > 89.0 { 89.0 } else { x };
    let limited = if limited < -30.0 { -30.0 } else { limited };
    let (n, e) = exp_parts::<FMA>(limited);
    // Half of everything: 2^128 is not a number.
    let scale = exp2_int(n.wrapping_sub(1));
    let result = 2.0 * fma::<FMA>(scale, e, scale - 0.5);
    if x == 0.0 { x } else { result }
}

#[inline(always)]
fn log<const FMA: bool>(x: f32) -> f32 {
    let small = x < f32::MIN_POSITIVE;
    let scaled = if small { x * 8_388_608.0 } else { x };
    // The mantissa between √½ and √2.
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let bits = scaled.to_bits().wrapping_sub(SQRT_HALF);
    let exponent = (bits as i32 >> 23) - if small { 23 } else { 0 };
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF)) - 1.0;
    let e = exponent as f32;
    let mut p = 7.037_683_6e-2;
    p = fma::<FMA>(p, m, -1.151_461e-1);
    p = fma::<FMA>(p, m, 1.167_699_9e-1);
    p = fma::<FMA>(p, m, -1.242_014_1e-1);
    p = fma::<FMA>(p, m, 1.424_932_3e-1);
    p = fma::<FMA>(p, m, -1.666_805_8e-1);
    p = fma::<FMA>(p, m, 2.000_071_5e-1);
    p = fma::<FMA>(p, m, -2.499_999_4e-1);
    p = fma::<FMA>(p, m, 0.333_333_3);
    let square = m * m;
    let mut y = p * m * square;
    y = fma::<FMA>(e, -LN_2_REST, y);
    y = fma::<FMA>(-0.5, square, y);
    let result = fma::<FMA>(e, LN_2_HIGH, m + y);
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    let result = if x < 0.0 { f32::NAN } else { result };
    if x < f32::INFINITY { result } else { x }
}

#[inline(always)]
fn log1p<const FMA: bool>(x: f32) -> f32 {
    let u = 1.0 + x;
    // What the sum has lost, to first order.
    let lost = (x - (u - 1.0)) / u;
    let result = log::<FMA>(u) + lost;
    let result = if u == 0.0 { f32::NEG_INFINITY } else { result };
    if x == 0.0 || x == f32::INFINITY { x } else { result }
}

#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    let size = x.abs();
    let size = if size > 10.0 { 10.0 } else { size };
    let e = expm1::<FMA>(2.0 * size);
    // Near 1, `e / (e + 2)` would lose the last place of its sum: there the smaller complement is divided.
    let near_one = size > 0.55;
    let quotient = if near_one { 2.0 } else { e } / (e + 2.0);
    let result = if near_one { 1.0 - quotient } else { quotient };
    result.copysign(x)
}

#[inline(always)]
pub(crate) fn logistic<const FMA: bool>(x: f32) -> f32 {
    let e = exp::<FMA>(-x.abs());
    // The smaller of the result and its complement: near 1, `1 / (1 + e)` would lose the last place of its sum.
    let smaller = e * (1.0 / (1.0 + e));
    if x < 0.0 { smaller } else { 1.0 - smaller }
}

#[inline(always)]
fn erf<const FMA: bool>(x: f32) -> f32 {
    let t = x.abs();
    let t = if t > 4.0 { 4.0 } else { t };
    let s = t * t;
    let mut far = fma::<FMA>(-1.728_534_7e-5, t, 3.831_971_3e-4);
    far = fma::<FMA>(far, s, fma::<FMA>(-3.883_964_4e-3, t, 2.425_462_2e-2));
    far = fma::<FMA>(far, t, -1.067_778_8e-1);
    far = fma::<FMA>(far, t, -6.348_467e-1);
    far = fma::<FMA>(far, t, -1.287_175_1e-1);
    far = fma::<FMA>(far, t, -t);
    let far = (1.0 - exp::<FMA>(far)).copysign(x);
    let mut near = -5.967_617e-4;
    near = fma::<FMA>(near, s, 4.991_194_2e-3);
    near = fma::<FMA>(near, s, -2.676_813_5e-2);
    near = fma::<FMA>(near, s, 1.128_199_25e-1);
    near = fma::<FMA>(near, s, -3.761_253_4e-1);
    near = fma::<FMA>(near, s, 1.283_791_7e-1);
    let near = fma::<FMA>(near, x, x);
    if t > 0.921_875 { far } else { near }
}

/// Up to here `sin_cos` reduces its argument without loss.
const PERIODIC: f32 = 1e5;

/// `fast` for all, then, if any is out of its range, `slow` for those.
#[inline(always)]
fn periodic(x: &[f32], y: &mut [f32], slow: fn(f64) -> f64, fast: impl Fn(f64) -> f64) {
    let far = |x: f32| x.is_nan() | (x.abs() > PERIODIC);
    map1(x, y, |x| fast(f64::from(x)) as f32);
    if x.iter().fold(false, |any, &x| any | far(x)) {
        for (y, &x) in y.iter_mut().zip(x).filter(|(_, x)| far(**x)) {
            *y = slow(f64::from(x)) as f32;
        }
    }
}

/// Sine and cosine to 1e-9.
#[inline(always)]
fn sin_cos<const FMA: bool>(x: f64) -> (f64, f64) {
    let shifted = fma64::<FMA>(x, std::f64::consts::FRAC_2_PI, ROUND64);
    let n = shifted - ROUND64;
    // π/2 in two parts, the first of 33 bits.
    let r = fma64::<FMA>(n, -1.570_796_326_734_125_6, x);
    let r = fma64::<FMA>(n, -6.077_100_506_506_192e-11, r);
    let z = r * r;
    let mut sin = -1.0 / 39_916_800.0;
    sin = fma64::<FMA>(sin, z, 1.0 / 362_880.0);
    sin = fma64::<FMA>(sin, z, -1.0 / 5040.0);
    sin = fma64::<FMA>(sin, z, 1.0 / 120.0);
    sin = fma64::<FMA>(sin, z, -1.0 / 6.0);
    let sin = fma64::<FMA>(sin * z, r, r);
    let mut cos = -1.0 / 3_628_800.0;
    cos = fma64::<FMA>(cos, z, 1.0 / 40_320.0);
    cos = fma64::<FMA>(cos, z, -1.0 / 720.0);
    cos = fma64::<FMA>(cos, z, 1.0 / 24.0);
    cos = fma64::<FMA>(cos, z, -0.5);
    let cos = fma64::<FMA>(cos, z, 1.0);
    let quadrant = shifted.to_bits();
    let (a, b) = if quadrant & 1 == 0 { (sin, cos) } else { (cos, sin) };
    let sin = if quadrant & 2 == 0 { a } else { -a };
    let cos = if quadrant.wrapping_add(1) & 2 == 0 { b } else { -b };
    (sin, cos)
}

/// x^y for finite operands.
#[inline(always)]
fn pow<const FMA: bool>(x: f32, y: f32) -> f32 {
    let (base, power) = (f64::from(x.abs()), f64::from(y));
    // log2 of the mantissa between √½ and √2: the series of artanh.
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = base.to_bits().wrapping_sub(SQRT_HALF);
    // The exponent through the bits of 1.5 · 2^52.
    let e = f64::from_bits(((bits as i64 >> 52) as u64).wrapping_add(ROUND64.to_bits())) - ROUND64;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 1.0 / 13.0;
    p = fma64::<FMA>(p, z, 1.0 / 11.0);
    p = fma64::<FMA>(p, z, 1.0 / 9.0);
    p = fma64::<FMA>(p, z, 1.0 / 7.0);
    p = fma64::<FMA>(p, z, 1.0 / 5.0);
    p = fma64::<FMA>(p, z, 1.0 / 3.0);
    let log = fma64::<FMA>(p * z, s, s) * (2.0 * std::f64::consts::LOG2_E) + e;
    // 2^t, t limited to what f32 can hold.
    let t = power * log;
    let t = if t > 200.0 { 200.0 } else { t };
    let t = if t < -200.0 { -200.0 } else { t };
    let shifted = t + ROUND64;
    let f = (t - (shifted - ROUND64)) * std::f64::consts::LN_2;
    let mut q = 1.0 / 40_320.0;
    q = fma64::<FMA>(q, f, 1.0 / 5040.0);
    q = fma64::<FMA>(q, f, 1.0 / 720.0);
    q = fma64::<FMA>(q, f, 1.0 / 120.0);
    q = fma64::<FMA>(q, f, 1.0 / 24.0);
    q = fma64::<FMA>(q, f, 1.0 / 6.0);
    q = fma64::<FMA>(q, f, 0.5);
    q = fma64::<FMA>(q, f, 1.0);
    q = fma64::<FMA>(q, f, 1.0);
    let n = shifted.to_bits().wrapping_sub(ROUND64.to_bits());
    let size = (q * f64::from_bits(n.wrapping_add(1023) << 52)) as f32;
    let at_zero = if y > 0.0 { 0.0 } else { f32::INFINITY };
    let size = if x == 0.0 { at_zero } else { size };
    let whole = y.floor() == y;
    let odd = whole && (y * 0.5).floor() != y * 0.5;
    let signed = if x.is_sign_negative() && odd { -size } else { size };
    let result = if x < 0.0 && !whole { f32::NAN } else { signed };
    if y == 0.0 { 1.0 } else { result }
}
