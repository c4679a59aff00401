//! Other sizes: `resize`, `pad_images`, `crop_images`.

use rhyton_ir::{Array, DType};

use super::weights::{Kernel, weights};
use super::{MODULE, axes, batched, data_format};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::operations;
use crate::ops::numpy::{padded, taken};
use crate::ops::primitives::sliced;
use crate::ops::{self, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Resize {
        size: [usize; 2],
        interpolation: String,
        antialias: bool,
        crop_to_aspect_ratio: bool,
        pad_to_aspect_ratio: bool,
        fill_mode: String,
        fill_value: f64,
        data_format: Option<String>
    } (images) compute_resize;
    PadImages {
        top_padding: Option<i64>,
        left_padding: Option<i64>,
        bottom_padding: Option<i64>,
        right_padding: Option<i64>,
        target_height: Option<i64>,
        target_width: Option<i64>,
        data_format: Option<String>
    } (images) compute_pad;
    CropImages {
        top_cropping: Option<i64>,
        left_cropping: Option<i64>,
        bottom_cropping: Option<i64>,
        right_cropping: Option<i64>,
        target_height: Option<i64>,
        target_width: Option<i64>,
        data_format: Option<String>
    } (images) compute_crop;
}

/// How [`resize`] keeps the ratio of height and width.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum AspectRatio {
    /// It does not.
    #[default]
    Stretch,
    /// What does not fit is cut off at both ends.
    Crop,
    /// What is missing is filled with a value at both ends.
    Pad(f64),
}

/// Images of `size` (height, width), by `interpolation`: `"bilinear"` (Keras's default), `"nearest"`, `"bicubic"`,
/// `"lanczos3"` or `"lanczos5"`. With `antialias`, making images smaller averages over all that falls together. The result
/// is `float32` but for `"nearest"`.
#[track_caller]
pub fn resize(
    images: &Tensor,
    size: [usize; 2],
    interpolation: &str,
    antialias: bool,
    aspect_ratio: AspectRatio,
    data_format: Option<&str>,
) -> Tensor {
    let op = Resize {
        size,
        interpolation: interpolation.to_owned(),
        antialias,
        crop_to_aspect_ratio: aspect_ratio == AspectRatio::Crop,
        pad_to_aspect_ratio: matches!(aspect_ratio, AspectRatio::Pad(_)),
        fill_mode: "constant".to_owned(),
        fill_value: if let AspectRatio::Pad(value) = aspect_ratio { value } else { 0.0 },
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(images))
}

fn compute_resize(op: &Resize, x: Tensor) -> Result<Tensor> {
    batched("resize", &x, op.data_format.as_deref(), |x| {
        let (Some(height), Some(width)) = (x.dim(1).known(), x.dim(2).known()) else {
            return Err(Error::shape("resize", format!("{} has unknown sizes", x.ty()), "give known ones"));
        };
        if op.size.contains(&0) || height == 0 || width == 0 || op.fill_mode != "constant" {
            let what = format!("{} to {:?} with the fill mode {:?}", x.ty(), op.size, op.fill_mode);
            return Err(Error::argument("resize", what, "give sizes of at least 1, and the fill mode constant"));
        }
        let x = with_ratio(op, &x, height, width)?;
        [1, 2].into_iter().try_fold(x, |x, axis| along(op, &x, axis, op.size[axis - 1]))
    })
}

/// The size that goes with `other` in the ratio of the target.
fn matching(other: usize, target: usize, of: usize) -> usize {
    (other as f32 * target as f32 / of as f32) as usize
}

fn with_ratio(op: &Resize, x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let [to_height, to_width] = op.size;
    let (high, wide) = (matching(width, to_height, to_width), matching(height, to_width, to_height));
    if op.crop_to_aspect_ratio {
        let (high, wide) = (high.min(height).max(1), wide.min(width).max(1));
        let (top, left) = ((height - high) / 2, (width - wide) / 2);
        return Ok(sliced(&sliced(x, 1, top, top + high), 2, left, left + wide));
    }
    if op.pad_to_aspect_ratio {
        let (rows, columns) = ((high.max(height) - height) / 2, (wide.max(width) - width) / 2);
        let (rows, columns) = (rows as i64, columns as i64);
        return padded(x, &[(0, 0), (rows, rows), (columns, columns), (0, 0)], op.fill_value);
    }
    Ok(x.clone())
}

fn along(op: &Resize, x: &Tensor, axis: usize, to: usize) -> Result<Tensor> {
    let from = x.check()?.shape()[axis].known().unwrap_or(1);
    if op.interpolation == "nearest" {
        // In float32, as TensorFlow has it.
        let scale = from as f32 / to as f32;
        let place = |i: usize| (((i as f32 + 0.5) * scale).floor() as usize).min(from - 1) as i32;
        return taken(x, &Tensor::from(Array::new([to], (0..to).map(place).collect::<Vec<i32>>())), axis);
    }
    let Some(kernel) = Kernel::of(&op.interpolation) else {
        let what = format!("the interpolation {:?}", op.interpolation);
        return Err(Error::argument("resize", what, "use bilinear, nearest, bicubic, lanczos3 or lanczos5"));
    };
    let weights = Tensor::from(weights(kernel, from, to, op.antialias).cast(DType::F32));
    let subscripts = if axis == 1 { "oi,biwc->bowc" } else { "oi,bhic->bhoc" };
    Ok(ops::einsum(subscripts, &[&weights, &x.cast(DType::F32)]))
}

/// What is given before and after an axis of `size`, and its size then; the one of three that is missing follows.
fn completed(op: &str, before: Option<i64>, after: Option<i64>, target: Option<i64>) -> Result<()> {
    if [before, after, target].iter().flatten().count() == 2 {
        return Ok(());
    }
    Err(Error::argument(
        op,
        format!("before {before:?}, after {after:?}, target {target:?}"),
        "give exactly two of top (left), bottom (right) and target height (width)",
    ))
}

/// Images with zeros around them: of each of top, bottom and target height, and left, right and target width, two are given.
#[track_caller]
pub fn pad_images(
    images: &Tensor,
    vertical: [Option<i64>; 3],
    horizontal: [Option<i64>; 3],
    data_format: Option<&str>,
) -> Tensor {
    let op = PadImages {
        top_padding: vertical[0],
        left_padding: horizontal[0],
        bottom_padding: vertical[1],
        right_padding: horizontal[1],
        target_height: vertical[2],
        target_width: horizontal[2],
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(images))
}

fn compute_pad(op: &PadImages, x: Tensor) -> Result<Tensor> {
    let [h, w, _] = axes("pad_images", &x, op.data_format.as_deref())?;
    let mut widths = vec![(0, 0); x.rank()];
    let sides = [
        (h, op.top_padding, op.bottom_padding, op.target_height),
        (w, op.left_padding, op.right_padding, op.target_width),
    ];
    for (axis, before, after, target) in sides {
        completed("pad_images", before, after, target)?;
        let size = x.shape()[axis].known().map(|n| n as i64);
        let rest = |given: i64| target.zip(size).map(|(target, size)| target - size - given);
        let before_it = before.or_else(|| rest(after?));
        let after_it = after.or_else(|| rest(before?));
        let (Some(low @ 0..), Some(high @ 0..)) = (before_it, after_it) else {
            let what = format!("before {before:?}, after {after:?}, target {target:?} for axis {axis} of {}", x.ty());
            return Err(Error::argument("pad_images", what, "give a target that is at least the size, which is known"));
        };
        widths[axis] = (low, high);
    }
    padded(&x, &widths, 0.0)
}

/// Images without what is around a box: of each of top, bottom and target height, and left, right and target width, two are
/// given.
#[track_caller]
pub fn crop_images(
    images: &Tensor,
    vertical: [Option<i64>; 3],
    horizontal: [Option<i64>; 3],
    data_format: Option<&str>,
) -> Tensor {
    let op = CropImages {
        top_cropping: vertical[0],
        left_cropping: horizontal[0],
        bottom_cropping: vertical[1],
        right_cropping: horizontal[1],
        target_height: vertical[2],
        target_width: horizontal[2],
        data_format: self::data_format(data_format),
    };
    apply(op, Args::new(images))
}

fn compute_crop(op: &CropImages, x: Tensor) -> Result<Tensor> {
    let [h, w, _] = axes("crop_images", &x, op.data_format.as_deref())?;
    let sides = [
        (h, op.top_cropping, op.bottom_cropping, op.target_height),
        (w, op.left_cropping, op.right_cropping, op.target_width),
    ];
    sides.into_iter().try_fold(x, |x, (axis, before, after, target)| {
        completed("crop_images", before, after, target)?;
        let size = x.shape()[axis].known().map(|n| n as i64);
        let start = before.or_else(|| Some(size? - target? - after?));
        let end = target.zip(start).map(|(t, s)| t + s).or_else(|| Some(size? - after?));
        match (start, end) {
            (Some(start @ 0..), Some(end)) if end > start && size.is_none_or(|n| end <= n) => {
                Ok(sliced(&x, axis, start as usize, end as usize))
            }
            _ => {
                let what =
                    format!("before {before:?}, after {after:?}, target {target:?} for axis {axis} of {}", x.ty());
                Err(Error::argument("crop_images", what, "give a box inside the image, whose size is known"))
            }
        }
    })
}
