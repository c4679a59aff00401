//! Neighbourhoods: `extract_patches`, `extract_patches_3d`, `gaussian_blur` and `sobel_edges`.

use rhyton_ir::{Array, DType};

use super::{MODULE, axes, batched, data_format};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::numpy::repeated;
use crate::ops::primitives::{iota, permute, reshaped, scalar};
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
    SobelEdges { data_format: Option<String> } (images) compute_sobel;
}

/// The patches of `size` (height, width), `strides` apart (their size unless given), each as the channels of one pixel:
/// row by row, of each pixel its channels.
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

/// [`extract_patches`] of volumes: `size`, `strides` and `dilation_rate` are depth, height and width.
///
/// # Shapes
/// `(batch, depth, height, width, channels)` or one volume.
#[track_caller]
pub fn extract_patches_3d(
    volumes: &Tensor,
    size: impl Into<Sizes>,
    strides: Option<Sizes>,
    dilation_rate: impl Into<Sizes>,
    padding: &str,
    data_format: Option<&str>,
) -> Tensor {
    let size = match size.into() {
        Sizes::One(n) => Sizes::Many(vec![n; 3]),
        many => many,
    };
    let op = ExtractPatches {
        strides: Some(strides.unwrap_or_else(|| size.clone())),
        size,
        dilation_rate: dilation_rate.into(),
        padding: padding.to_owned(),
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(volumes))
}

fn compute_patches(op: &ExtractPatches, x: Tensor) -> Result<Tensor> {
    let spatial = if matches!(&op.size, Sizes::Many(sizes) if sizes.len() == 3) { 3 } else { 2 };
    let size = op.size.resolve(spatial, "size")?;
    let format = op.data_format.as_deref();
    let (rank, first) = (x.rank(), format == Some("channels_first"));
    if rank != spatial + 1 && rank != spatial + 2 {
        let what = format!("the input is {} for patches of {size:?}", x.ty());
        return Err(Error::shape("extract_patches", what, "give an image (volume), or a batch of these"));
    }
    let single = rank == spatial + 1;
    let channels = known_channels("extract_patches", &x, if first { rank - spatial - 1 } else { rank - 1 })?;
    let Some(count) = size.iter().try_fold(channels, |n, s| n.checked_mul(*s)).filter(|n| (1..=1 << 14).contains(n))
    else {
        let what = format!("patches of {size:?} with {channels} channels");
        return Err(Error::argument("extract_patches", what, "take patches of 1 to 16,384 numbers"));
    };
    let kernel_shape: Vec<usize> = size.iter().copied().chain([channels, count]).collect();
    let kernel = reshaped(&ops::eye(count, None, 0, Some(x.dtype())), kernel_shape);
    let strides = op.strides.clone().unwrap_or_else(|| op.size.clone());
    let images = if single { ops::expand_dims(&x, 0) } else { x };
    let patches = ops::conv(&images, &kernel, strides, &op.padding, format, op.dilation_rate.clone());
    Ok(if single { ops::squeeze(&patches, 0) } else { patches })
}

/// Images smoothed by a normal distribution of deviations `sigma` (vertical, horizontal) over `kernel_size` pixels;
/// Keras's defaults are `[3, 3]` and `[1.0, 1.0]`.
#[track_caller]
pub fn gaussian_blur(images: &Tensor, kernel_size: [usize; 2], sigma: [f64; 2], data_format: Option<&str>) -> Tensor {
    apply(GaussianBlur { kernel_size, sigma, data_format: self::data_format(data_format) }, Args::new(images))
}

fn compute_blur(op: &GaussianBlur, x: Tensor) -> Result<Tensor> {
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    let sigma = op.sigma.map(|sigma| scalar(DType::F32, sigma));
    let kernel = gaussian(op.kernel_size, [&sigma[0], &sigma[1]], None).cast(dtype);
    batched("gaussian_blur", &x, op.data_format.as_deref(), |images| blurred(&images, &kernel))
}

/// A kernel of `size` (height, width) in which weights fall off as a normal distribution of deviations `sigma` does; 0
/// beyond `radius`. Their sum is 1.
///
/// Keras gives the first size and deviation to the columns and the second to the rows, and reads the outer product of
/// rows and columns as (size 0, size 1): the same for square kernels.
pub(crate) fn gaussian(size: [usize; 2], sigma: [&Tensor; 2], radius: Option<&Tensor>) -> Tensor {
    let line = |k: usize| {
        let at = iota(DType::F32, vec![size[k]], 0) - (size[k] as f64 - 1.0) / 2.0;
        let mut weights = ops::exp(&(ops::square(&(&at / sigma[k])) * -0.5));
        if let Some(radius) = radius {
            weights = ops::r#where(ops::less_equal(ops::absolute(&at), radius), weights, 0.0);
        }
        &weights / ops::sum(&weights, 0, false)
    };
    let product = ops::expand_dims(&line(1), 1) * ops::expand_dims(&line(0), 0);
    reshaped(&product, size)
}

/// A batch of images, channels last, whose pixels are the sums of those around them with the weights of `kernel`.
pub(crate) fn blurred(images: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let channels = known_channels("gaussian_blur", images, 3)?;
    let kernel = kernel.check()?;
    let kernel = reshaped(kernel, vec![kernel.dim(0), kernel.dim(1), 1usize.into(), 1usize.into()]);
    let kernel = repeated(&kernel, channels, 2);
    ops::depthwise_conv(images, &kernel, 1, "same", None, 1).check().cloned()
}

/// The number of channels, on `axis`.
fn known_channels(op: &str, images: &Tensor, axis: usize) -> Result<usize> {
    images.shape()[axis].known().ok_or_else(|| {
        let what = format!("the channels of {} are not known", images.ty());
        Error::shape(op, what, "give a known number")
    })
}

/// The slope of images along the rows and along the columns, by Sobel's kernels, on a new last axis; images are
/// continued by their mirror image.
///
/// # Shapes
/// `(batch, height, width, channels)` gives `(batch, height, width, channels, 2)`.
#[track_caller]
pub fn sobel_edges(images: &Tensor, data_format: Option<&str>) -> Tensor {
    apply(SobelEdges { data_format: self::data_format(data_format) }, Args::new(images))
}

fn compute_sobel(op: &SobelEdges, x: Tensor) -> Result<Tensor> {
    let format = op.data_format.as_deref();
    if x.rank() != 4 {
        return Err(Error::shape("sobel_edges", format!("the input is {}", x.ty()), "give a batch of images"));
    }
    let first = axes("sobel_edges", &x, format)?[2] == 1;
    let x = if first { permute(&x, &[0, 2, 3, 1]) } else { x };
    let channels = known_channels("sobel_edges", &x, 3)?;
    // By rows of the kernel; of each place the slope along rows, then along columns.
    let kernels = vec![-1.0, -1.0, -2.0, 0.0, -1.0, 1.0, 0.0, -2.0, 0.0, 0.0, 0.0, 2.0, 1.0, -1.0, 2.0, 0.0, 1.0, 1.0];
    let kernels = Tensor::from(Array::new([3, 3, 1, 2], kernels).cast(x.dtype()));
    let kernels = repeated(&kernels, channels, 2);
    let continued = ops::pad(&x, [[0, 0], [1, 1], [1, 1], [0, 0]], "reflect", None);
    let edges = ops::depthwise_conv(&continued, &kernels, 1, "valid", None, 1);
    let mut shape = x.shape().to_vec();
    shape.push(2usize.into());
    let edges = reshaped(edges.check()?, shape);
    Ok(if first { permute(&edges, &[0, 3, 1, 2, 4]) } else { edges })
}
