//! How much boxes have in common: `compute_iou` and `compute_ciou`.

use std::f64::consts::PI;

use rhyton_ir::DType;

use super::{BoxFormat, ImageSize, convert_format, sides};
use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::ops;
use crate::tensor::Tensor;

/// The area that each box of `boxes1` has in common with each of `boxes2`, over that of both together.
///
/// With `mask_val` the result is that where one of the boxes is none, all of whose numbers are below 0 (Keras's
/// `use_masking`, with −1).
///
/// # Shapes
/// `(n, 4)` and `(m, 4)` give `(n, m)`; with a batch axis before each, `(batch, n, m)`. Relative formats need the size
/// of the image.
///
/// # Examples
/// ```
/// use rhyton_core::Tensor;
/// use rhyton_core::bounding_boxes::{BoxFormat, compute_iou};
///
/// let boxes = Tensor::new([2, 4], vec![0.0f32, 0.0, 2.0, 2.0, 1.0, 0.0, 3.0, 2.0]);
/// let iou = compute_iou(&boxes, &boxes, BoxFormat::Xyxy, None, None).to_vec::<f32>()?;
/// assert!(iou.iter().zip([1.0, 1.0 / 3.0, 1.0 / 3.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-6));
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[track_caller]
pub fn compute_iou(
    boxes1: &Tensor,
    boxes2: &Tensor,
    bounding_box_format: BoxFormat,
    mask_val: Option<f64>,
    size: Option<&ImageSize>,
) -> Tensor {
    Tensor::from(iou(boxes1, boxes2, bounding_box_format, mask_val, size))
}

fn iou(
    boxes1: &Tensor,
    boxes2: &Tensor,
    format: BoxFormat,
    mask_val: Option<f64>,
    size: Option<&ImageSize>,
) -> Result<Tensor> {
    let ranks = [boxes1.check()?.rank(), boxes2.check()?.rank()];
    if ranks.iter().any(|rank| !matches!(rank, 2 | 3)) {
        let what = format!("boxes {} and {}", boxes1.ty(), boxes2.ty());
        return Err(Error::shape("compute_iou", what, "give (boxes, 4) or (batch, boxes, 4)"));
    }
    let corners = |boxes: &Tensor| sides(&convert_format(boxes, format, BoxFormat::Xyxy, size, DType::F32));
    let first = corners(boxes1)?;
    // Along a row, so that each meets each.
    let second = corners(boxes2)?.map(|side| ops::swapaxes(&side, -2, -1));
    let area = |[x1, y1, x2, y2]: &[Tensor; 4]| (x2 - x1) * (y2 - y1);
    let overlap = |axis: usize| {
        let length = ops::minimum(&first[axis + 2], &second[axis + 2]) - ops::maximum(&first[axis], &second[axis]);
        ops::maximum(length, 0.0)
    };
    let common = overlap(1) * overlap(0);
    let either = area(&first) + area(&second) - &common;
    let iou = common / (either + epsilon());
    let iou = match mask_val {
        None => iou,
        Some(value) => {
            let none = |sides: &[Tensor; 4]| {
                let largest = ops::maximum(ops::maximum(&sides[0], &sides[1]), ops::maximum(&sides[2], &sides[3]));
                ops::less(largest, 0.0)
            };
            ops::r#where(ops::logical_or(none(&first), none(&second)), value, iou)
        }
    };
    iou.check().cloned()
}

/// Of each box of `boxes1` and its partner in `boxes2`: their [`compute_iou`], less the square of the distance of their
/// centres over that of the diagonal around both, less a measure of how their shapes differ.
///
/// # Shapes
/// Twice `(…, boxes, 4)` give `(…, boxes)`. The format is one of pixels.
///
/// # References
/// Zheng et al., *Distance-IoU loss*, 2019, <https://arxiv.org/abs/1911.08287>.
#[track_caller]
pub fn compute_ciou(boxes1: &Tensor, boxes2: &Tensor, bounding_box_format: BoxFormat) -> Tensor {
    Tensor::from(ciou(boxes1, boxes2, bounding_box_format))
}

fn ciou(boxes1: &Tensor, boxes2: &Tensor, format: BoxFormat) -> Result<Tensor> {
    if format.is_relative() {
        let what = format!("boxes in the format {format:?}");
        return Err(Error::argument("compute_ciou", what, "convert them to a format of pixels"));
    }
    let corners = |boxes: &Tensor| sides(&convert_format(boxes, format, BoxFormat::Xyxy, None, DType::F32));
    let [left1, top1, right1, bottom1] = corners(boxes1)?;
    let [left2, top2, right2, bottom2] = corners(boxes2)?;
    let tiny = epsilon();
    let (width1, height1) = (&right1 - &left1, &bottom1 - &top1 + tiny);
    let (width2, height2) = (&right2 - &left2, &bottom2 - &top2 + tiny);
    let wide = ops::maximum(ops::minimum(&right1, &right2) - ops::maximum(&left1, &left2), 0.0);
    let high = ops::maximum(ops::minimum(&bottom1, &bottom2) - ops::maximum(&top1, &top2), 0.0);
    let common = wide * high;
    let either = &width1 * &height1 + &width2 * &height2 - &common + tiny;
    let iou = common / (either + tiny);

    let around_x = ops::maximum(&right1, &right2) - ops::minimum(&left1, &left2);
    let around_y = ops::maximum(&bottom1, &bottom2) - ops::minimum(&top1, &top2);
    let diagonal = ops::square(&around_x) + ops::square(&around_y) + tiny;
    let apart_x = (left1 + right1) / 2.0 - (left2 + right2) / 2.0;
    let apart_y = (top1 + bottom1) / 2.0 - (top2 + bottom2) / 2.0;
    let distance = ops::square(&apart_x) + ops::square(&apart_y);
    let turn = ops::arctan(&(width2 / height2)) - ops::arctan(&(width1 / height1));
    let shape = ops::square(&turn) * (4.0 / (PI * PI));
    let share = &shape / (&shape - &iou + (1.0 + tiny));
    let ciou = iou - (distance / diagonal + shape * share);
    ops::squeeze(&ciou, -1).check().cloned()
}
