//! Special functions of `f64` that neither the standard library nor `libm` has, accurate to a few units in the last
//! place.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// `1/(1 + e⁻ˣ)`, without losing the tiny values on the left.
pub(super) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        return 1.0 / (1.0 + libm::exp(-x));
    }
    let e = libm::exp(x);
    e / (1.0 + e)
}

/// The inverse of erf, by Halley's method from Winitzki's approximation (S. Winitzki, 2008, "A handy approximation
/// for the error function and its inverse"), which is right to three digits; each step triples them.
pub(super) fn erf_inv(x: f64) -> f64 {
    const A: f64 = 0.147; // Winitzki's constant
    let magnitude = x.abs();
    if x.is_nan() || magnitude > 1.0 {
        return f64::NAN;
    }
    if magnitude == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    let mut z = if magnitude < 0.1 {
        magnitude / FRAC_2_SQRT_PI
    } else {
        let log = libm::log((1.0 - magnitude) * (1.0 + magnitude));
        let t = 2.0 / (PI * A) + log / 2.0;
        ((t * t - log / A).sqrt() - t).sqrt()
    };
    for _ in 0..3 {
        // Where erf is near 1 its complement has the digits; 1 - magnitude is exact there.
        let excess = if magnitude < 0.5 { libm::erf(z) - magnitude } else { (1.0 - magnitude) - libm::erfc(z) };
        let newton = excess / (FRAC_2_SQRT_PI * libm::exp(-z * z));
        z -= newton / (1.0 + z * newton);
    }
    z.copysign(x)
}

/// The coefficients `B₂ₖ/2k`, `k = 1, 2, …` of the asymptotic series of digamma.
const SERIES: [f64; 8] =
    [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32760.0, 1.0 / 12.0, -3617.0 / 8160.0];

/// From here on the asymptotic series is exact to `f64`.
const LARGE: f64 = 10.0;

/// `Γ′(x)/Γ(x)`.
pub(super) fn digamma(x: f64) -> f64 {
    if x <= 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // Reflection; the tangent has period 1 in x, so that only the fraction matters.
        return digamma(1.0 - x) - PI / libm::tan(PI * (x - x.round()));
    }
    if (1.0..2.0).contains(&x) {
        return near_root(x);
    }
    // digamma(x) = digamma(x + 1) - 1/x.
    let (mut x, mut before) = (x, 0.0);
    while x < LARGE {
        before += 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let tail = SERIES.iter().rev().fold(0.0, |sum, c| (sum + c) * inverse);
    libm::log(x) - 0.5 / x - tail - before
}

/// `digamma(x) − digamma(root)`, every term of it proportional to `x − root`, so that digits are not lost at the root.
fn near_root(x: f64) -> f64 {
    // The positive root 1.46163214496836234126265954232572132846…, as the sum of two numbers.
    const ROOT: f64 = 1.461_632_144_968_362_2;
    const ROOT_LOW: f64 = 9.549_995_429_965_697e-17;
    let distance = (x - ROOT) - ROOT_LOW;
    let (mut at, mut root, mut sum) = (x, ROOT, 0.0);
    while at < LARGE + 1.0 {
        sum += distance / (at * root);
        at += 1.0;
        root += 1.0;
    }
    // log, and each power w⁻ᵐ as root⁻ᵐ·(e^(−m·log(w/root)) − 1).
    let log = libm::log1p(distance / root);
    let half = 0.5 * distance / (at * root);
    let inverse = 1.0 / (root * root);
    let (mut tail, mut power) = (0.0, 1.0);
    for (k, c) in SERIES.iter().enumerate() {
        power *= inverse;
        tail += c * power * libm::expm1(-2.0 * (k + 1) as f64 * log);
    }
    sum + log + half - tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 4e-15 * expected.abs(), "{actual:e} is not {expected:e}");
    }

    // Expected values: mpmath with 50 digits.
    #[test]
    fn digamma_is_accurate_at_its_root_and_on_both_sides_of_0() {
        for (x, expected) in [
            (1.0, -0.5772156649015329),
            (1.25, -0.22745353337626542),
            (1.4616, -3.110625123034165e-05),
            (1.4616321449683622, -9.241265521729427e-17),
            (1.461632144968364, 1.6265185562813842e-15),
            (1.75, 0.24747245354686118),
            (0.5, -1.9635100260214235),
            (0.001, -1000.5755719318103),
            (1e-12, -1000000000000.5773),
            (3.0, 0.9227843350984671),
            (7.5, 1.9467574842460869),
            (25.0, 3.198742512851974),
            (1000000.0, 13.815510057964191),
            (-0.7, -2.073952793628704),
            (-3.3, 3.620353460592126),
            (-20.5001, 3.0436346830342607),
        ] {
            assert_close(digamma(x), expected);
        }
        assert!([0.0, -1.0, -2.0, f64::NAN, f64::NEG_INFINITY].into_iter().all(|x| digamma(x).is_nan()));
        assert_eq!(digamma(f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn erf_inv_is_accurate_from_0_to_1() {
        for (x, expected) in [
            (1e-300, 8.86226925452758e-301),
            (1e-09, 8.86226925452758e-10),
            (0.01, 0.008862501280950598),
            (0.0999, 0.08876666603046285),
            (0.1, 0.08885599049425769),
            (0.3, 0.2724627147267543),
            (0.4999, 0.4768250236254278),
            (0.5, 0.4769362762044699),
            (0.75, 0.8134198475976185),
            (0.95, 1.3859038243496777),
            (0.999, 2.3267537655135246),
            (0.999999999, 4.320005388105362),
            (0.9999999999999999, 5.8635847487551676),
            (-0.25, -0.2253120550121781),
        ] {
            assert_close(erf_inv(x), expected);
        }
        assert_eq!([0.0, -0.0, 1.0, -1.0].map(erf_inv), [0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY]);
        assert!([1.5, -2.0, f64::NAN].into_iter().all(|x| erf_inv(x).is_nan()));
    }

    #[test]
    fn logistic_keeps_tiny_values_and_does_not_overflow() {
        assert_close(logistic(-40.0), libm::exp(-40.0));
        assert!(logistic(-740.0) > 0.0);
        assert_eq!([-1e4, 0.0, 1e4].map(logistic), [0.0, 0.5, 1.0]);
    }
}
