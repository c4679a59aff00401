//! Boxes around what is in images: Keras's `keras.utils.bounding_boxes`.
//!
//! Boxes are `(…, boxes, 4)`; what the four numbers are, [`BoxFormat`] says. [`BoundingBoxes`] has a label for each,
//! which is −1 where there is no box.

mod change;
mod deltas;
mod format;
#[cfg(test)]
mod golden_test;
mod iou;

pub use change::{Affine, affine_transform, clip_to_image_size, crop, pad};
pub use deltas::{decode_deltas_to_boxes, encode_box_to_deltas};
pub use format::{BoxFormat, ImageSize, convert_format};
pub use iou::{compute_ciou, compute_iou};

use crate::error::{Error, Result};
use crate::ops;
use crate::tensor::Tensor;

/// Boxes `(…, boxes, 4)` with their labels `(…, boxes)`.
#[derive(Clone, Debug)]
pub struct BoundingBoxes {
    /// The boxes.
    pub boxes: Tensor,
    /// What is in them; −1 where there is no box.
    pub labels: Tensor,
}

/// The four numbers of boxes, each `(…, 1)`.
fn sides(boxes: &Tensor) -> Result<[Tensor; 4]> {
    if boxes.check()?.rank() == 0 || !boxes.dim(-1).is(4) {
        let what = format!("the boxes are {}", boxes.ty());
        return Err(Error::shape("bounding_boxes", what, "give four numbers a box, along the last axis"));
    }
    let sides: Result<[Tensor; 4], _> = ops::split(boxes, 4, -1).try_into();
    sides.map_err(|parts| Error::shape("bounding_boxes", format!("{} parts of boxes", parts.len()), "give boxes"))
}

/// Boxes of their four numbers.
fn joined(sides: [Tensor; 4]) -> Tensor {
    ops::concatenate(&sides, -1)
}
