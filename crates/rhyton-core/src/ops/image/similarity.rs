//! How alike images are: `ssim`.

use rhyton_ir::{Array, DType};

use super::{MODULE, axes, data_format};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{float_of, operations};
use crate::ops::numpy::repeated;
use crate::ops::primitives::permute;
use crate::ops::{self, Axes, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    SSIM {
        max_val: f64,
        filter_size: usize,
        filter_sigma: f64,
        k1: f64,
        k2: f64,
        data_format: Option<String>
    } (image1, image2) compute_ssim;
}

/// How [`ssim`] compares; the defaults are Keras's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// The range of values, from 0: 1.0.
    pub max_val: f64,
    /// The height and width of the neighbourhoods that are compared: 11.
    pub filter_size: usize,
    /// The deviation of the normal distribution by which pixels of a neighbourhood count: 1.5.
    pub filter_sigma: f64,
    /// Keeps means of 0 from counting too much: 0.01.
    pub k1: f64,
    /// Keeps variances of 0 from counting too much: 0.03.
    pub k2: f64,
}

impl Default for Similarity {
    fn default() -> Similarity {
        Similarity { max_val: 1.0, filter_size: 11, filter_sigma: 1.5, k1: 0.01, k2: 0.03 }
    }
}

/// The structural similarity of two images, at most 1: over all neighbourhoods, the mean of
/// `(2 μ₁μ₂ + c₁)(2 σ₁₂ + c₂) / ((μ₁² + μ₂² + c₁)(σ₁² + σ₂² + c₂))` with `cᵢ = (kᵢ · max_val)²`.
///
/// # Shapes
/// `(batch, height, width, channels)` gives `(batch)`, one image a scalar. Images are at least `filter_size` high and
/// wide.
///
/// # References
/// Wang et al., *Image quality assessment: from error visibility to structural similarity*, 2004,
/// <https://doi.org/10.1109/TIP.2003.819861>.
#[track_caller]
pub fn ssim(image1: &Tensor, image2: &Tensor, how: Similarity, data_format: Option<&str>) -> Tensor {
    let Similarity { max_val, filter_size, filter_sigma, k1, k2 } = how;
    let op = SSIM { max_val, filter_size, filter_sigma, k1, k2, data_format: self::data_format(data_format) };
    apply(op, Args::new(image1).and(image2))
}

fn compute_ssim(op: &SSIM, x: Tensor, y: Tensor) -> Result<Tensor> {
    let channel_axis = axes("ssim", &x, op.data_format.as_deref())?[2];
    let dtype = x.dtype();
    let single = x.rank() == 3;
    let float = promote(float_of(dtype), DType::F32);
    let given = |image: &Tensor| {
        let image = image.cast(if dtype.is_float() { dtype } else { float });
        let image = if single { ops::expand_dims(&image, 0) } else { image };
        if channel_axis == x.rank() - 1 { image } else { permute(&image, &[0, 2, 3, 1]) }
    };
    if !x.shape().compatible(y.shape()) {
        return Err(Error::shape("ssim", format!("images {} and {}", x.ty(), y.ty()), "give images of one shape"));
    }
    let (x, y) = (given(&x), given(&y));
    let fits = |axis: usize| x.shape()[axis].known().is_none_or(|n| n >= op.filter_size);
    let Some(channels) = x.dim(3).known().filter(|_| fits(1) && fits(2) && op.filter_size > 0) else {
        let what = format!("neighbourhoods of {} in {}", op.filter_size, x.ty());
        return Err(Error::shape("ssim", what, "give a known number of channels and a filter that fits"));
    };
    let middle = (op.filter_size as f64 - 1.0) / 2.0;
    let line: Vec<f64> =
        (0..op.filter_size).map(|i| (-((i as f64 - middle) / op.filter_sigma).powi(2) / 2.0).exp()).collect();
    let sum: f64 = line.iter().sum();
    let kernel: Vec<f64> = line.iter().flat_map(|a| line.iter().map(move |b| a * b / (sum * sum))).collect();
    let kernel = Array::new([op.filter_size, op.filter_size, 1, 1], kernel).cast(x.dtype());
    let kernel = repeated(&Tensor::from(kernel), channels, 2);
    let mean = |t: &Tensor| ops::depthwise_conv(t, &kernel, 1, "valid", None, 1);

    let [c1, c2] = [op.k1, op.k2].map(|k| (k * op.max_val).powi(2));
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let (square_x, square_y, product) = (ops::square(&mean_x), ops::square(&mean_y), &mean_x * &mean_y);
    let variances = mean(&ops::square(&x)) - &square_x + mean(&ops::square(&y)) - &square_y;
    let covariance = mean(&(&x * &y)) - &product;
    let alike = (product * 2.0 + c1) * (covariance * 2.0 + c2) / ((square_x + square_y + c1) * (variances + c2));
    let alike = ops::mean(&alike, Axes::Many(vec![1, 2, 3]), false);
    Ok(if single { ops::squeeze(&alike, 0) } else { alike }.cast(dtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_most_like_itself() {
        let x = crate::random::uniform([2, 12, 12, 3], 0.0, 1.0, DType::F32, 1).unwrap();
        let same = ssim(&x, &x, Similarity::default(), None).to_vec::<f32>().unwrap();
        assert!(same.iter().all(|s| (s - 1.0).abs() < 1e-5), "{same:?}");
        let other = ssim(&x, &(1.0 - &x), Similarity::default(), None).to_vec::<f32>().unwrap();
        assert!(other.iter().all(|s| *s < 0.0), "{other:?}");
        let small = ops::zeros([5, 5, 1], None);
        assert!(ssim(&small, &small, Similarity::default(), None).eval().is_err());
    }
}
