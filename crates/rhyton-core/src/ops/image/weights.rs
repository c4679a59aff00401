//! How much each element of a line gives to each element of the line that it is resized to.

use std::f64::consts::PI;

use rhyton_ir::Array;

/// A function by whose value at the distance neighbours are weighted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kernel {
    /// `1 − |x|`.
    Triangle,
    /// Keys's cubic with `a = −1/2`.
    Cubic,
    /// `sinc(x)·sinc(x/r)` within `r`.
    Lanczos(f64),
}

impl Kernel {
    pub(super) fn of(interpolation: &str) -> Option<Kernel> {
        match interpolation {
            "bilinear" => Some(Kernel::Triangle),
            "bicubic" => Some(Kernel::Cubic),
            "lanczos3" => Some(Kernel::Lanczos(3.0)),
            "lanczos5" => Some(Kernel::Lanczos(5.0)),
            _ => None,
        }
    }

    fn radius(self) -> f64 {
        match self {
            Kernel::Triangle => 1.0,
            Kernel::Cubic => 2.0,
            Kernel::Lanczos(radius) => radius,
        }
    }

    fn value(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Kernel::Triangle => (1.0 - x).max(0.0),
            Kernel::Cubic if x <= 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Kernel::Cubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Kernel::Cubic => 0.0,
            Kernel::Lanczos(radius) if x > radius => 0.0,
            Kernel::Lanczos(_) if x < 1e-3 => 1.0,
            Kernel::Lanczos(radius) => radius * (PI * x).sin() * (PI * x / radius).sin() / (PI * PI * x * x),
        }
    }
}

/// The weights `(to, from)`, each row of sum 1: elements are the centres of equal intervals of both lines. With
/// `antialias`, the kernel is as wide as the elements of the shorter line.
pub(super) fn weights(kernel: Kernel, from: usize, to: usize, antialias: bool) -> Array {
    let scale = from as f64 / to as f64;
    let width = if antialias { scale.max(1.0) } else { 1.0 };
    let mut values = vec![0.0f64; to * from];
    for (i, row) in values.chunks_mut(from.max(1)).enumerate() {
        let mut centre = (i as f64 + 0.5) * scale;
        if kernel == Kernel::Cubic && !antialias {
            // TensorFlow looks the cubic up in a table of 1024 steps between two elements.
            let place = centre - 0.5;
            centre = place.floor() + ((place - place.floor()) * 1024.0).round_ties_even() / 1024.0 + 0.5;
        }
        let reach = kernel.radius() * width;
        let first = (centre - reach - 0.5).ceil().max(0.0) as usize;
        let last = ((centre + reach - 0.5).floor().max(0.0) as usize).min(from.saturating_sub(1));
        for (k, weight) in row.iter_mut().enumerate().take(last + 1).skip(first) {
            *weight = kernel.value((k as f64 + 0.5 - centre) / width);
        }
        let sum: f64 = row.iter().sum();
        if sum != 0.0 {
            row.iter_mut().for_each(|w| *w /= sum);
        }
    }
    Array::new([to, from], values)
}
