//! Windows by which signals are multiplied, and the Bessel function that one of them is made of.

use std::f64::consts::{PI, TAU};

use rhyton_ir::{Array, DType};

use crate::tensor::Tensor;

fn window(n: usize, factor: impl Fn(f64, f64) -> f64) -> Tensor {
    let last = n.saturating_sub(1) as f64;
    let value = |i: usize| if n == 1 { 1.0 } else { factor(i as f64, last) };
    Tensor::from(Array::new([n], (0..n).map(value).collect::<Vec<f64>>()).cast(DType::F32))
}

/// The triangular window of `x` elements, 0 at both ends.
pub fn bartlett(x: usize) -> Tensor {
    window(x, |i, last| 1.0 - (2.0 * i / last - 1.0).abs())
}

/// The window `0.54 − 0.46·cos(2πi/(n − 1))` of `x` elements.
pub fn hamming(x: usize) -> Tensor {
    window(x, |i, last| 0.54 - 0.46 * (TAU * i / last).cos())
}

/// The window `0.5 − 0.5·cos(2πi/(n − 1))` of `x` elements.
pub fn hanning(x: usize) -> Tensor {
    window(x, |i, last| 0.5 - 0.5 * (TAU * i / last).cos())
}

/// The window `0.42 − 0.5·cos(2πi/(n − 1)) + 0.08·cos(4πi/(n − 1))` of `x` elements.
pub fn blackman(x: usize) -> Tensor {
    window(x, |i, last| 0.42 - 0.5 * (TAU * i / last).cos() + 0.08 * (2.0 * TAU * i / last).cos())
}

/// The Kaiser window of `x` elements, `I₀(beta·√(1 − r²))/I₀(beta)` with `r` from −1 to 1.
pub fn kaiser(x: usize, beta: f64) -> Tensor {
    window(x, |i, last| {
        let r = 2.0 * i / last - 1.0;
        bessel_i0(beta * (1.0 - r * r).max(0.0).sqrt()) / bessel_i0(beta)
    })
}

/// The modified Bessel function of order 0, `1/π ∫₀^π exp(x·cos t) dt`. The trapezoidal rule converges faster than any power
/// on a periodic function; 8 points for each unit of `x` leave no error in `f64`.
fn bessel_i0(x: f64) -> f64 {
    let steps = 64 + (8.0 * x.abs()).min(1e6) as usize;
    let value = |k: usize| (x.abs() * ((PI * k as f64 / steps as f64).cos() - 1.0)).exp();
    let ends = (value(0) + value(steps)) / 2.0;
    (ends + (1..steps).map(value).sum::<f64>()) / steps as f64 * x.abs().exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(window: Tensor, expected: &[f32]) {
        let values = window.to_vec::<f32>().unwrap();
        assert_eq!(values.len(), expected.len());
        assert!(values.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-6), "{values:?}");
    }

    #[test]
    fn windows_are_keras_windows() {
        // keras.ops of 3.15.1.
        assert_close(bartlett(5), &[0.0, 0.5, 1.0, 0.5, 0.0]);
        assert_close(hamming(4), &[0.08, 0.77, 0.77, 0.08]);
        assert_close(hanning(5), &[0.0, 0.5, 1.0, 0.5, 0.0]);
        assert_close(blackman(5), &[0.0, 0.34, 1.0, 0.34, 0.0]);
        assert_close(kaiser(5, 14.0), &[7.726_867e-6, 0.164_932_18, 1.0, 0.164_932_18, 7.726_867e-6]);
        assert_close(hanning(1), &[1.0]);
    }
}
