//! Convolutions: `conv`, `depthwise_conv`, `separable_conv`, `conv_transpose`.

use rhyton_ir::op::{ConvDims, Convolution, Reverse};
use rhyton_ir::{Dim, Shape};

use super::MODULE;
use super::window::{Layout, data_format, padding};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::primitives::reshaped;
use crate::ops::{Sizes, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    Conv { strides: Sizes, padding: String, data_format: Option<String>, dilation_rate: Sizes } (inputs, kernel) compute_conv;
    DepthwiseConv { strides: Sizes, padding: String, data_format: Option<String>, dilation_rate: Sizes } (inputs, kernel) compute_depthwise;
    SeparableConv { strides: Sizes, padding: String, data_format: Option<String>, dilation_rate: Sizes } (inputs, depthwise_kernel, pointwise_kernel) compute_separable;
    ConvTranspose { strides: Sizes, padding: String, output_padding: Option<Sizes>, data_format: Option<String>, dilation_rate: Sizes } (inputs, kernel) compute_transpose;
}

/// The sum of products of `kernel` with each window of the spatial axes (cross-correlation: the kernel is not flipped).
/// Fewer input features in the kernel than in the input, by a factor, are that many groups. `padding` is `"valid"` or
/// `"same"`.
///
/// # Shapes
/// Inputs `(batch, spatial…, features)`, or `(batch, features, spatial…)` for the data format `"channels_first"`; kernel
/// `(spatial…, features / groups, filters)` in either.
#[track_caller]
pub fn conv(
    inputs: &Tensor,
    kernel: &Tensor,
    strides: impl Into<Sizes>,
    padding: &str,
    data_format: Option<&str>,
    dilation_rate: impl Into<Sizes>,
) -> Tensor {
    let (strides, dilation_rate) = (strides.into(), dilation_rate.into());
    let (padding, data_format) = (padding.to_lowercase(), self::data_format(data_format));
    apply(Conv { strides, padding, data_format, dilation_rate }, Args::new(inputs).and(kernel))
}

/// A convolution in which each input feature has filters of its own: output feature `f · m + k` is filter `k` of feature `f`.
///
/// # Shapes
/// As [`conv`], with a kernel `(spatial…, features, m)`.
#[track_caller]
pub fn depthwise_conv(
    inputs: &Tensor,
    kernel: &Tensor,
    strides: impl Into<Sizes>,
    padding: &str,
    data_format: Option<&str>,
    dilation_rate: impl Into<Sizes>,
) -> Tensor {
    let (strides, dilation_rate) = (strides.into(), dilation_rate.into());
    let (padding, data_format) = (padding.to_lowercase(), self::data_format(data_format));
    apply(DepthwiseConv { strides, padding, data_format, dilation_rate }, Args::new(inputs).and(kernel))
}

/// [`depthwise_conv`], then a convolution with `pointwise_kernel`, whose spatial sizes are 1.
#[track_caller]
pub fn separable_conv(
    inputs: &Tensor,
    depthwise_kernel: &Tensor,
    pointwise_kernel: &Tensor,
    strides: impl Into<Sizes>,
    padding: &str,
    data_format: Option<&str>,
    dilation_rate: impl Into<Sizes>,
) -> Tensor {
    let (strides, dilation_rate) = (strides.into(), dilation_rate.into());
    let (padding, data_format) = (padding.to_lowercase(), self::data_format(data_format));
    let args = Args::new(inputs).and(depthwise_kernel).and(pointwise_kernel);
    apply(SeparableConv { strides, padding, data_format, dilation_rate }, args)
}

/// The gradient of [`conv`] by its input, as an operation of its own ("deconvolution").
///
/// # Shapes
/// Inputs as [`conv`], kernel `(spatial…, filters, features)`. With the extent `k` of the (dilated) kernel, the output has
/// `size · s` elements for `"same"` and `(size − 1) · s + max(k, s)` for `"valid"`; with `output_padding`,
/// `(size − 1) · s + k % 2 + output_padding` and `(size − 1) · s + k + output_padding`.
#[track_caller]
pub fn conv_transpose(
    inputs: &Tensor,
    kernel: &Tensor,
    strides: impl Into<Sizes>,
    padding: &str,
    output_padding: Option<Sizes>,
    data_format: Option<&str>,
    dilation_rate: impl Into<Sizes>,
) -> Tensor {
    let (strides, dilation_rate) = (strides.into(), dilation_rate.into());
    let (padding, data_format) = (padding.to_lowercase(), self::data_format(data_format));
    let op = ConvTranspose { strides, padding, output_padding, data_format, dilation_rate };
    apply(op, Args::new(inputs).and(kernel))
}

/// Both in one dtype, the layout, and the spatial sizes of the kernel.
fn prepared(
    op: &str,
    x: &Tensor,
    kernel: &Tensor,
    format: Option<&str>,
) -> Result<(Tensor, Tensor, Layout, Vec<usize>)> {
    let layout = Layout::of(op, x, format)?;
    let spatial = kernel.shape()[..kernel.rank().saturating_sub(2)].iter().map(Dim::known).collect::<Option<Vec<_>>>();
    let Some(spatial) = spatial.filter(|s| s.len() == layout.count) else {
        return Err(Error::shape(
            op,
            format!("the kernel is {} for inputs {}", kernel.ty(), x.ty()),
            format!("give a kernel of rank {}: spatial sizes, then two axes of features", layout.count + 2),
        ));
    };
    let dtype = promote(x.dtype(), kernel.dtype());
    Ok((x.cast(dtype), kernel.cast(dtype), layout, spatial))
}

fn dims(layout: Layout) -> ConvDims {
    let spatial: Vec<usize> = layout.spatial().collect();
    ConvDims {
        lhs_feature: layout.channels,
        lhs_spatial: spatial.clone(),
        out_feature: layout.channels,
        out_spatial: spatial,
        ..ConvDims::channels_last(layout.count)
    }
}

/// The channels of the input against the input features of the kernel.
fn mismatch(op: &str, x: &Tensor, kernel: &Tensor, layout: Layout) -> Error {
    Error::shape(
        op,
        format!(
            "the input {} has {} channels and the kernel {} takes {}",
            x.shape(),
            x.shape()[layout.channels],
            kernel.shape(),
            kernel.dim(-2)
        ),
        "give the kernel the input's channels, or a divisor of them for groups",
    )
}

/// How windows slide: all that convolutions have in common.
struct Windows<'a> {
    strides: &'a Sizes,
    padding: &'a str,
    dilation_rate: &'a Sizes,
}

impl Windows<'_> {
    fn convolve(&self, op: &str, x: &Tensor, kernel: &Tensor, layout: Layout, groups: usize) -> Result<Tensor> {
        let strides = self.strides.resolve(layout.count, "strides")?;
        let dilation = self.dilation_rate.resolve(layout.count, "dilation_rate")?;
        let mut paddings = Vec::new();
        for (k, axis) in layout.spatial().enumerate() {
            let extent = (kernel.shape()[k].known().unwrap_or(1).max(1) - 1) * dilation[k] + 1;
            paddings.push(padding(op, self.padding, &x.shape()[axis], extent, strides[k])?);
        }
        let convolution = Convolution {
            dims: dims(layout),
            strides,
            padding: paddings,
            lhs_dilation: vec![1; layout.count],
            rhs_dilation: dilation,
            feature_groups: groups,
            batch_groups: 1,
        };
        let out = Tensor::apply(convolution, &[x, kernel]);
        let out = out.check()?;
        let empty = |t: &Tensor| t.shape().iter().any(|d| d.is(0));
        if empty(out) && !empty(x) {
            return Err(Error::shape(
                op,
                format!("the output of {} with the kernel {} is {}", x.shape(), kernel.shape(), out.shape()),
                "give a larger input, a smaller kernel, or the padding same",
            ));
        }
        Ok(out.clone())
    }
}

fn compute_conv(op: &Conv, x: Tensor, kernel: Tensor) -> Result<Tensor> {
    let (x, kernel, layout, _) = prepared("conv", &x, &kernel, op.data_format.as_deref())?;
    let groups = match (x.shape()[layout.channels].known(), kernel.dim(-2).known()) {
        (Some(channels), Some(features)) if features > 0 && channels % features == 0 => channels / features,
        (Some(_), _) => return Err(mismatch("conv", &x, &kernel, layout)),
        (None, _) => 1,
    };
    let windows = Windows { strides: &op.strides, padding: &op.padding, dilation_rate: &op.dilation_rate };
    windows.convolve("conv", &x, &kernel, layout, groups.max(1))
}

fn depthwise(op: &str, windows: &Windows, format: Option<&str>, x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let (x, kernel, layout, spatial) = prepared(op, x, kernel, format)?;
    let (Some(features), Some(multiplier)) = (kernel.dim(-2).known(), kernel.dim(-1).known()) else {
        return Err(mismatch(op, &x, &kernel, layout));
    };
    if !x.shape()[layout.channels].compatible(&Dim::Known(features)) {
        return Err(mismatch(op, &x, &kernel, layout));
    }
    let shape: Shape = spatial.into_iter().chain([1, features * multiplier]).collect();
    windows.convolve(op, &x, &reshaped(&kernel, shape), layout, features)
}

fn compute_depthwise(op: &DepthwiseConv, x: Tensor, kernel: Tensor) -> Result<Tensor> {
    let windows = Windows { strides: &op.strides, padding: &op.padding, dilation_rate: &op.dilation_rate };
    depthwise("depthwise_conv", &windows, op.data_format.as_deref(), &x, &kernel)
}

fn compute_separable(op: &SeparableConv, x: Tensor, kernel: Tensor, pointwise: Tensor) -> Result<Tensor> {
    let windows = Windows { strides: &op.strides, padding: &op.padding, dilation_rate: &op.dilation_rate };
    let y = depthwise("separable_conv", &windows, op.data_format.as_deref(), &x, &kernel)?;
    let one = Sizes::One(1);
    let conv =
        Conv { strides: one.clone(), padding: "valid".into(), data_format: op.data_format.clone(), dilation_rate: one };
    compute_conv(&conv, y, pointwise)
}

fn compute_transpose(op: &ConvTranspose, x: Tensor, kernel: Tensor) -> Result<Tensor> {
    let name = "conv_transpose";
    let (x, kernel, layout, spatial) = prepared(name, &x, &kernel, op.data_format.as_deref())?;
    if !x.shape()[layout.channels].compatible(&kernel.dim(-1)) {
        return Err(Error::shape(
            name,
            format!(
                "the input {} has {} channels and the kernel {} takes {}",
                x.shape(),
                x.shape()[layout.channels],
                kernel.shape(),
                kernel.dim(-1)
            ),
            "make the last axis of the kernel the input's channels",
        ));
    }
    let strides = op.strides.resolve(layout.count, "strides")?;
    let dilation = op.dilation_rate.resolve(layout.count, "dilation_rate")?;
    let extra = op.output_padding.as_ref().map(|p| p.resolve(layout.count, "output_padding")).transpose()?;
    let mut paddings = Vec::new();
    for k in 0..layout.count {
        let (stride, extent) = (strides[k] as i64, ((spatial[k].max(1) - 1) * dilation[k] + 1) as i64);
        let extra = extra.as_ref().map(|p| p[k] as i64);
        // The output is (size − 1) · stride + tail long.
        let (tail, before) = match op.padding.as_str() {
            "valid" => (extra.map_or(extent.max(stride), |p| extent + p), 0),
            "same" => {
                let tail = extra.map_or(stride, |p| extent % 2 + p);
                (tail, (extent - tail).max(0) / 2)
            }
            other => return Err(Error::argument(name, format!("the padding {other:?}"), "use valid or same")),
        };
        // The convolution whose gradient this is pads by `before`; seen from its output, the window lies that much earlier.
        let low = extent - 1 - before;
        paddings.push((low, tail + extent - 2 - low));
    }
    let flipped = Tensor::apply(Reverse { axes: (0..layout.count).collect() }, &[&kernel]);
    let mut dims = dims(layout);
    (dims.rhs_input, dims.rhs_output) = (dims.rhs_output, dims.rhs_input);
    let convolution = Convolution {
        dims,
        strides: vec![1; layout.count],
        padding: paddings,
        lhs_dilation: strides,
        rhs_dilation: dilation,
        feature_groups: 1,
        batch_groups: 1,
    };
    Ok(Tensor::apply(convolution, &[&x, &flipped]))
}
