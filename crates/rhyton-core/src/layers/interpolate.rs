//! Images in another size: what TensorFlow's resizing kernels compute, as a product with a matrix for each axis.

use rhyton_ir::op::{DotGeneral, Transpose};
use rhyton_ir::{Array, DType};

use super::Interpolation;
use crate::error::{Error, Result};
use crate::promotion::promote;
use crate::tensor::Tensor;

/// `x` resized along the axes `axes[0]` (height) and `axes[1]` (width) to `size`; in at least `float32`. With `antialias`,
/// kernels widen when the image shrinks.
///
/// # Errors
/// If a size is not known, or 0.
pub(crate) fn resize(
    x: &Tensor,
    axes: [usize; 2],
    size: [usize; 2],
    interpolation: Interpolation,
    antialias: bool,
) -> Result<Tensor> {
    let mut y = x.cast(promote(x.dtype(), DType::F32));
    for (axis, to) in axes.into_iter().zip(size) {
        let from = x.shape().get(axis).and_then(|d| d.known()).filter(|&n| n > 0 && to > 0).ok_or_else(|| {
            Error::shape(
                "resize",
                format!("the image {} cannot be resized to {size:?}", x.shape()),
                "give the full height and width, and sizes of at least 1",
            )
        })?;
        y = along(&y, axis, &weights(from, to, interpolation, antialias), from, to)?;
    }
    Ok(y)
}

/// The product of the `to × from` matrix `weights` with `x` along `axis`.
fn along(x: &Tensor, axis: usize, weights: &[f64], from: usize, to: usize) -> Result<Tensor> {
    let matrix = Tensor::from(Array::new([to, from], weights.to_vec()).cast(x.dtype()));
    let dims = DotGeneral { lhs_batch: vec![], rhs_batch: vec![], lhs_contract: vec![axis], rhs_contract: vec![1] };
    let product = Tensor::apply(dims, &[x, &matrix]);
    // The new axis is the last: back to its place.
    let last = x.rank() - 1;
    let mut permutation: Vec<usize> = (0..last).collect();
    permutation.insert(axis, last);
    Tensor::apply(Transpose { permutation }, &[&product]).check().cloned()
}

/// The weight of each input for each output, `to × from`, row by row.
fn weights(from: usize, to: usize, interpolation: Interpolation, antialias: bool) -> Vec<f64> {
    let mut matrix = vec![0.0; to * from];
    for (o, row) in matrix.chunks_exact_mut(from).enumerate() {
        let center = (o as f64 + 0.5) * from as f64 / to as f64;
        match interpolation {
            Interpolation::Nearest => row[(center as usize).min(from - 1)] = 1.0,
            Interpolation::Bilinear if !antialias => bilinear(row, center - 0.5),
            Interpolation::Bicubic if !antialias => bicubic(row, center - 0.5),
            _ => spread(row, center, if antialias { (from as f64 / to as f64).max(1.0) } else { 1.0 }, interpolation),
        }
    }
    matrix
}

/// The two neighbours of `at`, those outside replaced by the edge.
fn bilinear(row: &mut [f64], at: f64) {
    let last = row.len() - 1;
    let (low, share) = (at.floor(), at - at.floor());
    row[low.max(0.0) as usize] += 1.0 - share;
    row[((low + 1.0).max(0.0) as usize).min(last)] += share;
}

/// The four neighbours of `at` by Keys's kernel; those outside do not count. The position between two elements is rounded
/// to 1/1024, as TensorFlow's table does.
fn bicubic(row: &mut [f64], at: f64) {
    let low = at.floor();
    let share = ((at - low) * 1024.0).round_ties_even() / 1024.0;
    for k in -1..=2i64 {
        let index = low as i64 + k;
        if let Some(weight) = usize::try_from(index).ok().and_then(|i| row.get_mut(i)) {
            *weight = keys(share - k as f64);
        }
    }
    normalize(row);
}

/// All inputs under the kernel around `center`, which is `scale` times as wide; those outside do not count.
fn spread(row: &mut [f64], center: f64, scale: f64, interpolation: Interpolation) {
    let (radius, kernel): (f64, fn(f64) -> f64) = match interpolation {
        Interpolation::Bicubic => (2.0, keys),
        Interpolation::Lanczos3 => (3.0, |x| lanczos(x, 3.0)),
        Interpolation::Lanczos5 => (5.0, |x| lanczos(x, 5.0)),
        Interpolation::Bilinear | Interpolation::Nearest => (1.0, |x| (1.0 - x.abs()).max(0.0)),
    };
    let first = (center - radius * scale - 0.5).ceil().max(0.0) as usize;
    let end = ((center + radius * scale - 0.5).floor() as usize + 1).min(row.len());
    for (i, weight) in row.iter_mut().enumerate().take(end).skip(first) {
        *weight = kernel((i as f64 + 0.5 - center) / scale);
    }
    normalize(row);
}

fn normalize(row: &mut [f64]) {
    let sum: f64 = row.iter().sum();
    if sum.abs() >= 1000.0 * f64::from(f32::MIN_POSITIVE) {
        row.iter_mut().for_each(|w| *w /= sum);
    }
}

/// Keys's cubic with a = −0.5 (Keys, 1981).
fn keys(x: f64) -> f64 {
    let x = x.abs();
    if x >= 2.0 {
        0.0
    } else if x >= 1.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        (1.5 * x - 2.5) * x * x + 1.0
    }
}

/// `sinc(x) · sinc(x / radius)` within the radius.
fn lanczos(x: f64, radius: f64) -> f64 {
    use std::f64::consts::PI;
    let x = x.abs();
    if x > radius {
        0.0
    } else if x <= 1e-3 {
        1.0
    } else {
        radius * (PI * x).sin() * (PI * x / radius).sin() / (PI * PI * x * x)
    }
}
