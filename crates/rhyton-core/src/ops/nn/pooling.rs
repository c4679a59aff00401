//! `max_pool` and `average_pool`, and their kin with a given output size.

use rhyton_ir::Array;
use rhyton_ir::op::{ReduceKind, ReduceWindow};

use super::MODULE;
use super::window::{Layout, data_format, padding};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::numpy::taken;
use crate::ops::primitives::filled;
use crate::ops::{self, Sizes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    MaxPool { pool_size: Sizes, strides: Option<Sizes>, padding: String, data_format: Option<String> } (inputs) compute_max_pool;
    AveragePool { pool_size: Sizes, strides: Option<Sizes>, padding: String, data_format: Option<String> } (inputs) compute_average_pool;
    AdaptiveMaxPool { output_size: Sizes, data_format: Option<String> } (inputs) compute_adaptive_max;
    AdaptiveAveragePool { output_size: Sizes, data_format: Option<String> } (inputs) compute_adaptive_average;
}

/// The largest element of each window of `pool_size` spatial elements, `strides` apart (the size of the window if `None`).
/// `padding` is `"valid"` or `"same"`; padding is never the largest. The first of equals gets the gradient.
///
/// # Shapes
/// `(batch, spatial…, channels)`, or `(batch, channels, spatial…)` for the data format `"channels_first"`.
#[track_caller]
pub fn max_pool(
    inputs: &Tensor,
    pool_size: impl Into<Sizes>,
    strides: Option<Sizes>,
    padding: &str,
    data_format: Option<&str>,
) -> Tensor {
    let (pool_size, padding, data_format) = (pool_size.into(), padding.to_lowercase(), self::data_format(data_format));
    apply(MaxPool { pool_size, strides, padding, data_format }, Args::new(inputs))
}

/// The mean of each window, as [`max_pool`]; padding does not count.
#[track_caller]
pub fn average_pool(
    inputs: &Tensor,
    pool_size: impl Into<Sizes>,
    strides: Option<Sizes>,
    padding: &str,
    data_format: Option<&str>,
) -> Tensor {
    let (pool_size, padding, data_format) = (pool_size.into(), padding.to_lowercase(), self::data_format(data_format));
    apply(AveragePool { pool_size, strides, padding, data_format }, Args::new(inputs))
}

fn windows(
    kind: ReduceKind,
    x: &Tensor,
    layout: Layout,
    pool_size: &Sizes,
    strides: Option<&Sizes>,
    pads: &str,
) -> Result<ReduceWindow> {
    let rank = x.rank();
    let sizes = pool_size.resolve(layout.count, "pool_size")?;
    let steps = strides.unwrap_or(pool_size).resolve(layout.count, "strides")?;
    let ones = || vec![1; rank];
    let mut op = ReduceWindow {
        kind,
        window: ones(),
        strides: ones(),
        padding: vec![(0, 0); rank],
        base_dilation: ones(),
        window_dilation: ones(),
    };
    for (k, axis) in layout.spatial().enumerate() {
        (op.window[axis], op.strides[axis]) = (sizes[k], steps[k]);
        op.padding[axis] = padding("pool", pads, &x.shape()[axis], sizes[k], steps[k])?;
    }
    Ok(op)
}

fn compute_max_pool(op: &MaxPool, x: Tensor) -> Result<Tensor> {
    let layout = Layout::of("max_pool", &x, op.data_format.as_deref())?;
    Ok(Tensor::apply(windows(ReduceKind::Max, &x, layout, &op.pool_size, op.strides.as_ref(), &op.padding)?, &[&x]))
}

fn compute_average_pool(op: &AveragePool, x: Tensor) -> Result<Tensor> {
    let layout = Layout::of("average_pool", &x, op.data_format.as_deref())?;
    let windows = windows(ReduceKind::Sum, &x, layout, &op.pool_size, op.strides.as_ref(), &op.padding)?;
    let size: usize = windows.window.iter().product();
    let unpadded = windows.padding.iter().all(|&p| p == (0, 0));
    let sums = Tensor::apply(windows.clone(), &[&x]);
    if unpadded {
        return Ok(sums * (1.0 / size as f64));
    }
    // Batch and channels have the same counts everywhere.
    let mut shape = x.shape().clone();
    (shape[0], shape[layout.channels]) = (1.into(), 1.into());
    Ok(sums / Tensor::apply(windows, &[&filled(x.dtype(), &shape, 1.0)]))
}

/// The largest elements of windows so placed that there are `output_size` of them: window `i` of `n` over `size` elements
/// goes from `⌊i · size/n⌋` to `⌈(i + 1) · size/n⌉`.
#[track_caller]
pub fn adaptive_max_pool(inputs: &Tensor, output_size: impl Into<Sizes>, data_format: Option<&str>) -> Tensor {
    let data_format = self::data_format(data_format);
    apply(AdaptiveMaxPool { output_size: output_size.into(), data_format }, Args::new(inputs))
}

/// The means of windows placed as for [`adaptive_max_pool`].
#[track_caller]
pub fn adaptive_average_pool(inputs: &Tensor, output_size: impl Into<Sizes>, data_format: Option<&str>) -> Tensor {
    let data_format = self::data_format(data_format);
    apply(AdaptiveAveragePool { output_size: output_size.into(), data_format }, Args::new(inputs))
}

fn compute_adaptive_max(op: &AdaptiveMaxPool, x: Tensor) -> Result<Tensor> {
    adaptive(ReduceKind::Max, x, &op.output_size, op.data_format.as_deref())
}

fn compute_adaptive_average(op: &AdaptiveAveragePool, x: Tensor) -> Result<Tensor> {
    adaptive(ReduceKind::Sum, x, &op.output_size, op.data_format.as_deref())
}

fn adaptive(kind: ReduceKind, mut x: Tensor, output_size: &Sizes, data_format: Option<&str>) -> Result<Tensor> {
    let layout = Layout::of("adaptive_pool", &x, data_format)?;
    let sizes = output_size.resolve(layout.count, "output_size")?;
    for (axis, &n) in layout.spatial().zip(&sizes) {
        let Some(size) = x.shape()[axis].known().filter(|&s| s > 0 && n > 0) else {
            return Err(Error::shape(
                "adaptive_pool",
                format!("axis {axis} of {} into {n} windows", x.ty()),
                "give a known size and at least one window",
            ));
        };
        x = along(kind, &x, axis, size, n)?.check()?.clone();
    }
    Ok(x)
}

/// Windows have one of two lengths: those of both are computed everywhere, and the right ones taken.
fn along(kind: ReduceKind, x: &Tensor, axis: usize, size: usize, count: usize) -> Result<Tensor> {
    let bounds: Vec<(usize, usize)> =
        (0..count).map(|i| (i * size / count, ((i + 1) * size).div_ceil(count).min(size))).collect();
    let mut lengths: Vec<usize> = bounds.iter().map(|(start, end)| end - start).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut parts = Vec::new();
    let mut first = Vec::new();
    let mut total = 0;
    for &length in &lengths {
        let ones = || vec![1; x.rank()];
        let mut window = ones();
        window[axis] = length;
        let op = ReduceWindow {
            kind,
            window,
            strides: ones(),
            padding: vec![(0, 0); x.rank()],
            base_dilation: ones(),
            window_dilation: ones(),
        };
        let reduced = Tensor::apply(op, &[x]);
        parts.push(if kind == ReduceKind::Sum { reduced * (1.0 / length as f64) } else { reduced });
        first.push(total);
        total += size - length + 1;
    }
    let place = |&(start, end): &(usize, usize)| {
        let which = lengths.iter().position(|&l| l == end - start).unwrap_or(0);
        (first[which] + start) as i32
    };
    let places = Tensor::from(Array::new([count], bounds.iter().map(place).collect::<Vec<i32>>()));
    taken(&ops::concatenate(&parts, axis as i64), &places, axis)
}
