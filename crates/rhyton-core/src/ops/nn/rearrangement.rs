//! Patches as columns and blocks as channels: `unfold`, `fold`, `depth_to_space`, `space_to_depth`; and `psnr`.

use rhyton_ir::Dim;
use rhyton_ir::op::{Pad, Slice};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::primitives::{permute, reshaped, scalar, sliced};
use crate::ops::{self, Axes, Sizes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Unfold { kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes } (x) compute_unfold;
    Fold { output_size: Sizes, kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes } (x) compute_fold;
    DepthToSpace { block_size: usize, data_format: String } (x) compute_depth_to_space;
    SpaceToDepth { block_size: usize, data_format: String } (x) compute_space_to_depth;
    PSNR { max_val: f64 } (x1, x2) compute_psnr;
}

/// How a window slides over two axes.
struct Windows {
    kernel: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
    stride: [usize; 2],
}

impl Windows {
    fn of(kernel: &Sizes, dilation: &Sizes, padding: &Sizes, stride: &Sizes) -> Result<Windows> {
        let two = |sizes: &Sizes, what: &str| -> Result<[usize; 2]> {
            let sizes = sizes.resolve(2, what)?;
            Ok([sizes[0], sizes[1]])
        };
        let windows = Windows {
            kernel: two(kernel, "kernel_size")?,
            dilation: two(dilation, "dilation")?,
            padding: two(padding, "padding")?,
            stride: two(stride, "stride")?,
        };
        if windows.kernel.iter().chain(&windows.dilation).chain(&windows.stride).any(|&n| n == 0) {
            return Err(Error::argument("unfold", "a kernel size, dilation or stride of 0", "make them positive"));
        }
        Ok(windows)
    }

    /// How many windows there are along axis `a` of `size`.
    fn count(&self, a: usize, size: usize) -> Result<usize> {
        let (line, extent) = (size + 2 * self.padding[a], self.dilation[a] * (self.kernel[a] - 1) + 1);
        match line.checked_sub(extent) {
            Some(room) => Ok(room / self.stride[a] + 1),
            None => {
                let what = format!("windows that reach over {extent} of {line}");
                Err(Error::shape("unfold", what, "give larger images or smaller kernels"))
            }
        }
    }

    /// The elements of a window, in order.
    fn elements(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [h, w] = self.kernel;
        (0..h).flat_map(move |i| (0..w).map(move |j| [i, j]))
    }
}

fn known(op: &str, x: &Tensor, axes: &[usize]) -> Result<Vec<usize>> {
    axes.iter()
        .map(|&a| x.shape()[a].known())
        .collect::<Option<_>>()
        .ok_or_else(|| Error::shape(op, format!("{} has unknown sizes", x.ty()), "give known ones"))
}

/// The windows over the last two axes as columns.
///
/// # Shapes
/// `(batch, channels, height, width)` gives `(batch, channels · kernel elements, windows)`.
#[track_caller]
pub fn unfold(
    x: &Tensor,
    kernel_size: impl Into<Sizes>,
    dilation: impl Into<Sizes>,
    padding: impl Into<Sizes>,
    stride: impl Into<Sizes>,
) -> Tensor {
    let (kernel_size, dilation, padding, stride) = (kernel_size.into(), dilation.into(), padding.into(), stride.into());
    apply(Unfold { kernel_size, dilation, padding, stride }, Args::new(x))
}

fn compute_unfold(op: &Unfold, x: Tensor) -> Result<Tensor> {
    let windows = Windows::of(&op.kernel_size, &op.dilation, &op.padding, &op.stride)?;
    if x.rank() != 4 {
        let what = format!("the input is {}", x.ty());
        return Err(Error::shape("unfold", what, "give (batch, channels, height, width)"));
    }
    let sizes = known("unfold", &x, &[1, 2, 3])?;
    let counts = [windows.count(0, sizes[1])?, windows.count(1, sizes[2])?];
    let [ph, pw] = windows.padding.map(|p| p as i64);
    let padded = crate::ops::numpy::padded(&x, &[(0, 0), (0, 0), (ph, ph), (pw, pw)], 0.0)?;
    let part = |[i, j]: [usize; 2]| {
        let start = [i * windows.dilation[0], j * windows.dilation[1]];
        let end = |a: usize| Dim::Known(start[a] + (counts[a] - 1) * windows.stride[a] + 1);
        let slice = Slice {
            start: vec![0, 0, start[0], start[1]],
            limit: vec![x.dim(0), x.dim(1), end(0), end(1)],
            stride: vec![1, 1, windows.stride[0], windows.stride[1]],
        };
        Tensor::apply(slice, &[&padded])
    };
    let parts: Vec<Tensor> = windows.elements().map(part).collect();
    let rows = sizes[0] * windows.kernel[0] * windows.kernel[1];
    let shape = vec![x.dim(0), rows.into(), (counts[0] * counts[1]).into()];
    Ok(reshaped(ops::stack(&parts, 2).check()?, shape))
}

/// The inverse of [`unfold`] but for what overlaps, which is added up.
///
/// # Shapes
/// `(batch, channels · kernel elements, windows)` gives `(batch, channels, height, width)`.
#[track_caller]
pub fn fold(
    x: &Tensor,
    output_size: impl Into<Sizes>,
    kernel_size: impl Into<Sizes>,
    dilation: impl Into<Sizes>,
    padding: impl Into<Sizes>,
    stride: impl Into<Sizes>,
) -> Tensor {
    let (kernel_size, dilation, padding, stride) = (kernel_size.into(), dilation.into(), padding.into(), stride.into());
    apply(Fold { output_size: output_size.into(), kernel_size, dilation, padding, stride }, Args::new(x))
}

fn compute_fold(op: &Fold, x: Tensor) -> Result<Tensor> {
    let windows = Windows::of(&op.kernel_size, &op.dilation, &op.padding, &op.stride)?;
    let out = op.output_size.resolve(2, "output_size")?;
    let counts = [windows.count(0, out[0])?, windows.count(1, out[1])?];
    let elements = windows.kernel[0] * windows.kernel[1];
    let fits = x.rank() == 3 && x.dim(2).compatible(&(counts[0] * counts[1]).into());
    let Some(channels) = x.dim(1).known().filter(|c| fits && c % elements == 0).map(|c| c / elements) else {
        let what = format!("{} for {} windows of {elements} elements", x.ty(), counts[0] * counts[1]);
        return Err(Error::shape("fold", what, "give (batch, channels · kernel elements, windows)"));
    };
    let shape = vec![x.dim(0), channels.into(), elements.into(), counts[0].into(), counts[1].into()];
    let columns = reshaped(&x, shape);
    let size = [0, 1].map(|a| out[a] + 2 * windows.padding[a]);
    let zero = scalar(x.dtype(), 0.0);
    let mut sum: Option<Tensor> = None;
    for (k, [i, j]) in windows.elements().enumerate() {
        let part = sliced(&columns, 2, k, k + 1);
        let part = reshaped(&part, vec![x.dim(0), channels.into(), counts[0].into(), counts[1].into()]);
        let low = [i * windows.dilation[0], j * windows.dilation[1]].map(|n| n as i64);
        let high = [0, 1].map(|a| size[a] as i64 - low[a] - ((counts[a] - 1) * windows.stride[a] + 1) as i64);
        let pad = Pad {
            low: vec![0, 0, low[0], low[1]],
            high: vec![0, 0, high[0], high[1]],
            interior: vec![0, 0, windows.stride[0] - 1, windows.stride[1] - 1],
        };
        let placed = Tensor::apply(pad, &[&part, &zero]);
        sum = Some(sum.map_or_else(|| placed.clone(), |s| s + &placed));
    }
    let sum = sum.ok_or_else(|| Error::argument("fold", "a kernel without elements", "make it larger"))?;
    let [ph, pw] = windows.padding;
    Ok(sliced(&sliced(sum.check()?, 2, ph, ph + out[0]), 3, pw, pw + out[1]))
}

/// Images with the channels last, and the way back.
fn with_channels_last(x: Tensor, format: &str, f: impl FnOnce(Tensor) -> Result<Tensor>) -> Result<Tensor> {
    if x.rank() != 4 {
        return Err(Error::shape("depth_to_space", format!("the input is {}", x.ty()), "give a batch of images"));
    }
    match format {
        "channels_last" => f(x),
        "channels_first" => Ok(permute(f(permute(&x, &[0, 2, 3, 1]))?.check()?, &[0, 3, 1, 2])),
        other => {
            let what = format!("the data format {other:?}");
            Err(Error::argument("depth_to_space", what, "use channels_last or channels_first"))
        }
    }
}

/// Blocks of `block_size²` channels as squares of the image.
///
/// # Shapes
/// `(batch, h, w, c)` gives `(batch, h · block, w · block, c / block²)`.
#[track_caller]
pub fn depth_to_space(x: &Tensor, block_size: usize, data_format: &str) -> Tensor {
    apply(DepthToSpace { block_size, data_format: data_format.to_owned() }, Args::new(x))
}

fn compute_depth_to_space(op: &DepthToSpace, x: Tensor) -> Result<Tensor> {
    let b = op.block_size;
    with_channels_last(x, &op.data_format, |x| {
        let Some(c) = x.dim(3).known().filter(|c| b >= 2 && c % (b * b) == 0).map(|c| c / (b * b)) else {
            let what = format!("blocks of {b} in {}", x.ty());
            return Err(Error::shape(
                "depth_to_space",
                what,
                "give a block of at least 2 whose square divides the channels",
            ));
        };
        let (n, h, w, block) = (x.dim(0), x.dim(1), x.dim(2), Dim::Known(b));
        let apart = reshaped(&x, vec![n.clone(), h.clone(), w.clone(), block.clone(), block.clone(), c.into()]);
        let shape = vec![n, h * block.clone(), w * block, c.into()];
        Ok(reshaped(&permute(&apart, &[0, 1, 3, 2, 4, 5]), shape))
    })
}

/// Squares of the image as blocks of channels: the inverse of [`depth_to_space`].
#[track_caller]
pub fn space_to_depth(x: &Tensor, block_size: usize, data_format: &str) -> Tensor {
    apply(SpaceToDepth { block_size, data_format: data_format.to_owned() }, Args::new(x))
}

fn compute_space_to_depth(op: &SpaceToDepth, x: Tensor) -> Result<Tensor> {
    let b = op.block_size;
    with_channels_last(x, &op.data_format, |x| {
        let divides = |d: Dim| d.known().is_none_or(|n| n % b.max(1) == 0);
        if b < 2 || !divides(x.dim(1)) || !divides(x.dim(2)) {
            let what = format!("blocks of {b} in {}", x.ty());
            return Err(Error::shape("space_to_depth", what, "give a block of at least 2 that divides both sizes"));
        }
        let block = Dim::Known(b);
        let (n, h, w, c) = (x.dim(0), x.dim(1) / block.clone(), x.dim(2) / block.clone(), x.dim(3));
        let apart = vec![n.clone(), h.clone(), block.clone(), w.clone(), block.clone(), c.clone()];
        let shape = vec![n, h, w, c * Dim::Known(b * b)];
        Ok(reshaped(&permute(&reshaped(&x, apart), &[0, 1, 3, 2, 4, 5]), shape))
    })
}

/// The peak signal-to-noise ratio in decibels, `20·log₁₀(max_val) − 10·log₁₀(mean((x1 − x2)²))`.
#[track_caller]
pub fn psnr(x1: &Tensor, x2: &Tensor, max_val: f64) -> Tensor {
    apply(PSNR { max_val }, Args::new(x1).and(x2))
}

fn compute_psnr(op: &PSNR, x: Tensor, y: Tensor) -> Result<Tensor> {
    if !x.shape().compatible(y.shape()) {
        let what = format!("the shapes {} and {} differ", x.shape(), y.shape());
        return Err(Error::shape("psnr", what, "make them equal"));
    }
    let error = ops::mean(&ops::square(&(x - y)), Axes::All, false);
    Ok(20.0 * op.max_val.log10() - 10.0 * ops::log10(&error))
}
