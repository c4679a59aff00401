//! `fft`: discrete Fourier transforms.

use serde::{Deserialize, Serialize};

/// Which transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FftKind {
    /// `(re, im)` to `(re, im)`, unscaled, `exp(-2πi·jk/n)`.
    Fft,
    /// Its inverse, scaled by `1/n`.
    Ifft,
    /// Real `x` of `n` to `(re, im)` of `n/2 + 1`.
    Rfft,
    /// `(re, im)` of `n/2 + 1` to real of `length`, scaled by `1/length`.
    Irfft,
}
/// A transform over the last axis; complex values are two operands or two outputs, real part first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fft {
    /// The transform.
    pub kind: FftKind,
    /// The length of the real side for `Rfft` and `Irfft`, of both for the others.
    pub length: usize,
}
