//! Neighbourhoods: `extract_patches` and `gaussian_blur`.

use rhyton_ir::{Array, DType};

use super::{MODULE, axes, batched, data_format};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::primitives::reshaped;
use crate::ops::{self, Sizes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    ExtractPatches {
        size: Sizes,
        strides: Option<Sizes>,
        dilation_rate: Sizes,
        padding: String,
        data_format: Option<String>
    } (images) compute_patches;
    GaussianBlur { kernel_size: [usize; 2], sigma: [f64; 2], data_format: Option<String> } (images) compute_blur;
}

/// The patches of `size` (height, width), `strides` apart (their size unless given), each as the channels of one pixel: row
/// by row, of each pixel its channels.
#[track_caller]
pub fn extract_patches(
    images: &Tensor,
    size: impl Into<Sizes>,
    strides: Option<Sizes>,
    dilation_rate: impl Into<Sizes>,
    padding: &str,
    data_format: Option<&str>,
) -> Tensor {
    // Keras's class stores the size for two axes, and the strides that it makes of nothing.
    let size = size.into();
    let strides = Some(strides.unwrap_or_else(|| size.clone()));
    let size = if let Sizes::One(n) = size { Sizes::Many(vec![n, n]) } else { size };
    let op = ExtractPatches {
        size,
        strides,
        dilation_rate: dilation_rate.into(),
        padding: padding.to_owned(),
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(images))
}

fn compute_patches(op: &ExtractPatches, x: Tensor) -> Result<Tensor> {
    let format = op.data_format.as_deref();
    let [_, _, c] = axes("extract_patches", &x, format)?;
    let size = op.size.resolve(2, "size")?;
    let Some(channels) = x.shape()[c].known() else {
        let what = format!("the channels of {} are not known", x.ty());
        return Err(Error::shape("extract_patches", what, "give a known number"));
    };
    let count = size[0] * size[1] * channels;
    let kernel = reshaped(&ops::eye(count, None, 0, Some(x.dtype())), [size[0], size[1], channels, count]);
    let strides = op.strides.clone().unwrap_or_else(|| op.size.clone());
    batched("extract_patches", &x, format, |images| {
        Ok(ops::conv(&images, &kernel, strides, &op.padding, None, op.dilation_rate.clone()))
    })
}

/// Images smoothed by a normal distribution of deviations `sigma` (vertical, horizontal) over `kernel_size` pixels; Keras's
/// defaults are `[3, 3]` and `[1.0, 1.0]`.
#[track_caller]
pub fn gaussian_blur(images: &Tensor, kernel_size: [usize; 2], sigma: [f64; 2], data_format: Option<&str>) -> Tensor {
    apply(GaussianBlur { kernel_size, sigma, data_format: self::data_format(data_format) }, Args::new(images))
}

fn compute_blur(op: &GaussianBlur, x: Tensor) -> Result<Tensor> {
    let line = |size: usize, sigma: f64| -> Vec<f64> {
        let middle = (size as f64 - 1.0) / 2.0;
        let values: Vec<f64> = (0..size).map(|i| (-0.5 * ((i as f64 - middle) / sigma).powi(2)).exp()).collect();
        let sum: f64 = values.iter().sum();
        values.into_iter().map(|v| v / sum).collect()
    };
    // Keras gives the first size and deviation to the columns and the second to the rows, and reads the outer product of
    // rows and columns as (size 0, size 1): the same for square kernels.
    let (columns, rows) = (line(op.kernel_size[0], op.sigma[0]), line(op.kernel_size[1], op.sigma[1]));
    let values: Vec<f64> = rows.iter().flat_map(|r| columns.iter().map(move |c| r * c)).collect();
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    let kernel = Tensor::from(Array::new([op.kernel_size[0], op.kernel_size[1], 1, 1], values).cast(dtype));
    batched("gaussian_blur", &x, op.data_format.as_deref(), |images| {
        let Some(channels) = images.dim(3).known() else {
            let what = format!("the channels of {} are not known", x.ty());
            return Err(Error::shape("gaussian_blur", what, "give a known number"));
        };
        let kernel = crate::ops::numpy::repeated(&kernel, channels, 2);
        Ok(ops::depthwise_conv(&images, &kernel, 1, "same", None, 1))
    })
}
