//! Boxes of images that are cut, padded or turned.

use std::f64::consts::PI;

use super::{BoundingBoxes, BoxFormat, ImageSize, joined, sides};
use crate::error::{Error, Result};
use crate::ops;
use crate::ops::primitives::{reshaped, scalar};
use crate::tensor::Tensor;

fn clipped(x: &Tensor, low: f64, high: &Tensor) -> Tensor {
    ops::minimum(ops::maximum(x, low), high)
}

/// Boxes without what is outside of the image; the label of a box of which nothing is left becomes −1.
///
/// # Errors
/// If the format is neither `xyxy`, which needs the size of the image, nor `rel_xyxy`.
pub fn clip_to_image_size(
    bounding_boxes: &BoundingBoxes,
    size: Option<&ImageSize>,
    bounding_box_format: BoxFormat,
) -> Result<BoundingBoxes> {
    let BoundingBoxes { boxes, labels } = bounding_boxes;
    let [height, width] = match (bounding_box_format, size) {
        (BoxFormat::Xyxy, Some(size)) => size.tensors(boxes.dtype()),
        (BoxFormat::RelXyxy, _) => ImageSize::from([1, 1]).tensors(boxes.dtype()),
        _ => {
            let what = format!("boxes in the format {bounding_box_format:?}");
            return Err(Error::argument("clip_to_image_size", what, "use rel_xyxy, or xyxy with the image's size"));
        }
    };
    let [x1, y1, x2, y2] = sides(boxes)?;
    let [x1, x2] = [x1, x2].map(|x| clipped(&x, 0.0, &width));
    let [y1, y2] = [y1, y2].map(|y| clipped(&y, 0.0, &height));
    let area = ops::squeeze(&((&x2 - &x1) * (&y2 - &y1)), -1);
    let labels = ops::r#where(ops::greater(area, 0.0), labels, -1);
    Ok(BoundingBoxes { boxes: joined([x1, y1, x2, y2]).check()?.clone(), labels: labels.check()?.clone() })
}

/// Boxes `xyxy` in the part of an image of `height × width` that begins at `top` and `left`.
#[track_caller]
pub fn crop(boxes: &Tensor, top: f64, left: f64, height: f64, width: f64) -> Tensor {
    let within = || {
        let limit = |length: f64| scalar(boxes.dtype(), length);
        let [x1, y1, x2, y2] = sides(boxes)?;
        let [x1, x2] = [x1, x2].map(|x| clipped(&(x - left), 0.0, &limit(width)));
        let [y1, y2] = [y1, y2].map(|y| clipped(&(y - top), 0.0, &limit(height)));
        joined([x1, y1, x2, y2]).check().cloned()
    };
    Tensor::from(within())
}

/// Boxes `xyxy` in an image with so many pixels more above and to the left.
#[track_caller]
pub fn pad(boxes: &Tensor, top: f64, left: f64) -> Tensor {
    let moved = || {
        let [x1, y1, x2, y2] = sides(boxes)?;
        joined([x1 + left, y1 + top, x2 + left, y2 + top]).check().cloned()
    };
    Tensor::from(moved())
}

/// How images are turned, moved, scaled and sheared: vectors with a number for each.
#[derive(Clone, Debug)]
pub struct Affine {
    /// The angle in degrees.
    pub angle: Tensor,
    /// The shift to the right, a part of the width less 1.
    pub translate_x: Tensor,
    /// The shift down, a part of the height less 1.
    pub translate_y: Tensor,
    /// The scale.
    pub scale: Tensor,
    /// The angle of the shear along the width in degrees.
    pub shear_x: Tensor,
    /// The angle of the shear along the height in degrees.
    pub shear_y: Tensor,
}

impl Affine {
    /// Turned by `angle` degrees, one for each image, and nothing else.
    pub fn rotation(angle: &Tensor) -> Affine {
        let zeros = ops::zeros_like(angle);
        Affine {
            angle: angle.clone(),
            translate_x: zeros.clone(),
            translate_y: zeros.clone(),
            scale: ops::ones_like(angle),
            shear_x: zeros.clone(),
            shear_y: zeros,
        }
    }
}

/// The smallest upright boxes around boxes `xyxy` of images that are transformed about `center` (`x` and `y`, parts of
/// the size; Keras's default is `[0.5, 0.5]`).
///
/// # Shapes
/// `(batch, boxes, 4)`.
#[track_caller]
pub fn affine_transform(boxes: &Tensor, affine: &Affine, size: &ImageSize, center: [f64; 2]) -> Tensor {
    Tensor::from(transformed(boxes, affine, size, center))
}

fn transformed(boxes: &Tensor, affine: &Affine, size: &ImageSize, center: [f64; 2]) -> Result<Tensor> {
    if boxes.check()?.rank() != 3 {
        let what = format!("the boxes are {}", boxes.ty());
        return Err(Error::shape("affine_transform", what, "give (batch, boxes, 4)"));
    }
    let dtype = affine.angle.check()?.dtype();
    let [x1, y1, x2, y2] = sides(&boxes.cast(dtype))?;
    let [height, width] = size.tensors(dtype);
    let radians = |t: &Tensor| t * (-PI / 180.0);
    let (angle, shear_x, shear_y) = (radians(&affine.angle), radians(&affine.shear_x), radians(&affine.shear_y));
    let (center_x, center_y) = ((&width - 1.0) * center[0], (&height - 1.0) * center[1]);
    let from_x = &center_x - &affine.translate_x * (width - 1.0);
    let from_y = &center_y - &affine.translate_y * (height - 1.0);

    let less = &angle - &shear_y;
    let (along, slope) = (ops::cos(&shear_y), ops::tan(&shear_x));
    let a = ops::cos(&less) / &along;
    let b = &a * &slope + ops::sin(&angle);
    let c = -(ops::sin(&less) / along);
    let d = ops::cos(&angle) - &c * slope;
    let [a0, a1, b0, b1] = [d, -b, -c, a].map(|t| t * &affine.scale);
    let a2 = center_x - &a0 * &from_x - &a1 * &from_y;
    let b2 = center_y - &b0 * from_x - &b1 * from_y;

    // (batch, 1, 1) with (batch, boxes, 1): the corners one after the other, on the last axis.
    let [a0, a1, a2, b0, b1, b2] = [a0, a1, a2, b0, b1, b2].map(|t| {
        let shape = vec![t.dim(0), 1usize.into(), 1usize.into()];
        reshaped(&t, shape)
    });
    let xs = ops::concatenate(&[x1.clone(), x2.clone(), x2, x1], -1);
    let ys = ops::concatenate(&[y1.clone(), y1, y2.clone(), y2], -1);
    let new_x = a0 * &xs + a1 * &ys + a2;
    let new_y = b0 * xs + b1 * ys + b2;
    let (low, high) = (|t: &Tensor| ops::min(t, -1, true), |t: &Tensor| ops::max(t, -1, true));
    joined([low(&new_x), low(&new_y), high(&new_x), high(&new_y)]).check().cloned()
}
