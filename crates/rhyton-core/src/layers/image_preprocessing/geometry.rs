//! What layers that move pixels share.

use rhyton_ir::DType;

use super::{FillMode, ImageLayer};
use crate::error::{Error, Result};
use crate::layers::Interpolation;
use crate::ops;
use crate::ops::Number;
use crate::ops::image::affine_transform;
use crate::tensor::Tensor;

/// How pixels are found that lie between those of an image or outside of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling {
    pub(super) interpolation: Interpolation,
    pub(super) fill_mode: FillMode,
    pub(super) fill_value: Number,
}

impl Sampling {
    /// Of segmentation masks, whose values are classes.
    pub(super) fn of_masks(self) -> Sampling {
        Sampling { interpolation: Interpolation::Nearest, ..self }
    }
}

/// Refuses interpolation that these layers do not have.
pub(super) fn check_interpolation(interpolation: Interpolation) -> Result<()> {
    if matches!(interpolation, Interpolation::Nearest | Interpolation::Bilinear) {
        return Ok(());
    }
    let what = format!("the interpolation {:?}", interpolation.name());
    Err(Error::argument("interpolation", what, "use nearest or bilinear"))
}

/// Images through the affine maps `transform`; see [`affine_transform`].
pub(super) fn mapped(layer: &dyn ImageLayer, images: &Tensor, transform: &Tensor, how: Sampling) -> Result<Tensor> {
    let format = Some(layer.data_format().name());
    let (interpolation, fill_mode) = (how.interpolation.name(), how.fill_mode.name());
    affine_transform(images, transform, interpolation, fill_mode, how.fill_value, format).check().cloned()
}

/// The maps `x' = a₀x + a₁y + a₂`, `y' = b₀x + b₁y + b₂`, `(batch, 8)`, of vectors `(batch, 1)`, in `float32`.
pub(super) fn affine_maps(parts: [Tensor; 6]) -> Tensor {
    let [a0, a1, a2, b0, b1, b2] = parts.map(|t| t.cast(DType::F32));
    let zero = ops::zeros_like(&a0);
    ops::concatenate(&[a0, a1, a2, b0, b1, b2, zero.clone(), zero], 1)
}
