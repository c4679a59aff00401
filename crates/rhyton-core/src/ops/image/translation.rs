//! Axes in another scale and place: `scale_and_translate`.

use rhyton_ir::DType;
use serde_json::Value;

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::class::operations;
use crate::ops::primitives::{iota, permute, sliced};
use crate::ops::{self, Axes, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    ScaleAndTranslate {
        spatial_dims: Vec<i64>,
        method: String,
        antialias: bool
    } (images, output_shape, scale, translation) compute;
}

/// `images` resampled along `spatial_dims`: what was at `x` on one of them is at `x · scale + translation`, the centre
/// of element `i` being at `i + ½`; what comes from outside is 0. `method` is `"linear"`, `"cubic"`, `"lanczos3"` or
/// `"lanczos5"` (or Keras's other names of the first two). With `antialias`, which Keras has by default, kernels widen
/// when an axis shrinks.
///
/// # Shapes
/// The result has `output_shape`, which differs from that of the images along `spatial_dims` only; `scale` and
/// `translation` are vectors with a number for each of these.
///
/// # Dtypes
/// Integers are rounded, and held to the range of those in the images.
#[track_caller]
pub fn scale_and_translate(
    images: &Tensor,
    output_shape: &[usize],
    scale: &Tensor,
    translation: &Tensor,
    spatial_dims: &[i64],
    method: &str,
    antialias: bool,
) -> Tensor {
    let op = ScaleAndTranslate { spatial_dims: spatial_dims.to_vec(), method: method.to_owned(), antialias };
    let shape = Nest::Plain(output_shape.iter().copied().collect());
    apply(op, Args::new(images).and(shape).and(scale).and(translation))
}

/// A function by whose value at the distance neighbours are weighted.
fn kernel(method: &str, x: &Tensor) -> Result<Tensor> {
    let sinc = |radius: f64| {
        let pi = std::f64::consts::PI;
        let waves = ops::sin(&(x * pi)) * ops::sin(&(x * (pi / radius))) * radius;
        let far = ops::greater(x, 1e-3);
        let square = ops::r#where(&far, ops::square(x) * (pi * pi), 1.0);
        ops::r#where(ops::greater(x, radius), 0.0, ops::r#where(far, waves / square, 1.0))
    };
    Ok(match method {
        "linear" | "bilinear" | "trilinear" => ops::maximum(1.0 - x, 0.0),
        "cubic" | "bicubic" | "tricubic" => {
            let near = (x * 1.5 - 2.5) * x * x + 1.0;
            let far = ((x * -0.5 + 2.5) * x - 4.0) * x + 2.0;
            ops::r#where(ops::greater_equal(x, 2.0), 0.0, ops::r#where(ops::greater_equal(x, 1.0), far, near))
        }
        "lanczos3" => sinc(3.0),
        "lanczos5" => sinc(5.0),
        other => {
            let what = format!("the method {other:?}");
            return Err(Error::argument("scale_and_translate", what, "use linear, cubic, lanczos3 or lanczos5"));
        }
    })
}

/// How much element `i` of a line of `from` gives to element `j` of one of `to`: `(from, to)`.
fn weights(op: &ScaleAndTranslate, from: usize, to: usize, scale: &Tensor, translation: &Tensor) -> Result<Tensor> {
    let dtype = scale.dtype();
    let inverse = 1.0 / scale;
    let width = if op.antialias { ops::maximum(&inverse, 1.0) } else { ops::ones_like(&inverse) };
    let shape = vec![from, to];
    let place = (iota(dtype, shape.clone(), 1) + 0.5) * &inverse - translation * &inverse - 0.5;
    let distance = ops::absolute(&(&place - iota(dtype, shape, 0))) / width;
    let weights = kernel(&op.method, &distance)?;
    let sum = ops::sum(&weights, 0, true);
    let enough = ops::greater(ops::absolute(&sum), 1000.0 * f64::from(f32::EPSILON));
    let safe = ops::r#where(ops::equal(&sum, 0.0), 1.0, &sum);
    let weights = ops::r#where(enough, weights / safe, 0.0);
    let inside = ops::logical_and(ops::greater_equal(&place, -0.5), ops::less_equal(&place, from as f64 - 0.5));
    Ok(ops::r#where(inside, weights, 0.0))
}

fn compute(op: &ScaleAndTranslate, x: Tensor, output_shape: Nest, scale: Tensor, shift: Tensor) -> Result<Tensor> {
    let shape = sizes(&output_shape).filter(|s| s.len() == x.rank()).ok_or_else(|| {
        let what = format!("the output shape {output_shape:?} for {}", x.ty());
        Error::argument("scale_and_translate", what, "give one size an axis")
    })?;
    let count = op.spatial_dims.len();
    if scale.rank() != 1 || shift.rank() != 1 || !scale.dim(0).is(count) || !shift.dim(0).is(count) {
        let what = format!("the scale {} and translation {} for {count} axes", scale.ty(), shift.ty());
        return Err(Error::shape("scale_and_translate", what, "give a number for each of spatial_dims"));
    }
    let dtype = promote(promote(scale.dtype(), shift.dtype()), DType::F32);
    let mut y = if x.dtype().is_float() { x.clone() } else { x.cast(DType::F32) };
    for (i, &axis) in op.spatial_dims.iter().enumerate() {
        let axis = ops::axis(axis, x.rank())?;
        let Some(from) = x.shape()[axis].known() else {
            let what = format!("axis {axis} of {} is not known", x.ty());
            return Err(Error::shape("scale_and_translate", what, "give a known size"));
        };
        let at = |t: &Tensor| sliced(t, 0, i, i + 1).cast(dtype);
        let weights = weights(op, from, shape[axis], &at(&scale), &at(&shift))?.cast(y.dtype());
        // The axis last, so that the product is one of matrices, and back.
        let last = x.rank() - 1;
        let mut order: Vec<usize> = (0..x.rank()).filter(|&a| a != axis).collect();
        order.push(axis);
        let moved = ops::matmul(permute(&y, &order), weights);
        let mut back: Vec<usize> = (0..last).collect();
        back.insert(axis, last);
        y = permute(moved.check()?, &back);
    }
    if x.dtype().is_float() {
        return Ok(y);
    }
    let [low, high] = [ops::min(&x, Axes::All, false), ops::max(&x, Axes::All, false)].map(|t| t.cast(DType::F32));
    Ok(ops::minimum(ops::maximum(ops::round(&y, 0), low), high).cast(x.dtype()))
}

fn sizes(shape: &Nest) -> Option<Vec<usize>> {
    let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    match shape {
        Nest::Plain(Value::Array(items)) => items.iter().map(size).collect(),
        Nest::List(items) => items.iter().map(|n| n.plain().and_then(size)).collect(),
        _ => None,
    }
}
