//! Rectangles of images, drawn at random.

use rhyton_ir::{DType, Dim};

use super::base::{compute_dtype, image_size};
use super::{ImageLayer, draw};
use crate::error::Result;
use crate::ops;
use crate::ops::primitives::iota;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// Rectangles, one an image: where they begin and end along the width and along the height, `(batch)` each.
pub(super) struct Region {
    pub(super) x: [Tensor; 2],
    pub(super) y: [Tensor; 2],
}

impl Region {
    /// Anywhere within the images, with `wide` of their width and `high` of their height, shares for each.
    pub(super) fn draw(
        layer: &dyn ImageLayer,
        images: &Tensor,
        wide: &Tensor,
        high: &Tensor,
        seed: &SeedGenerator,
    ) -> Result<Region> {
        let dtype = compute_dtype(layer);
        let [height, width] = image_size(images, layer.data_format()).tensors(dtype);
        let span = |length: &Tensor, share: &Tensor| -> Result<[Tensor; 2]> {
            let part = share * length;
            let start = draw::uniform(images, &[], (0.0, 1.0), dtype, seed)? * (length - &part);
            let end = &start + part;
            Ok([start, end])
        };
        Ok(Region { x: span(&width, wide)?, y: span(&height, high)? })
    }

    /// Which pixels are inside: truth values that broadcast over images, one for all channels.
    pub(super) fn mask(&self, layer: &dyn ImageLayer, images: &Tensor) -> Result<Tensor> {
        let first = layer.data_format().first_spatial();
        let inside = |[start, end]: &[Tensor; 2], axis: usize| {
            let mut shape = vec![Dim::Known(1); 4];
            shape[axis] = images.shape()[axis].clone();
            let at = iota(DType::F32, shape, axis).cast(compute_dtype(layer));
            let (start, end) = (draw::over_pixels(start), draw::over_pixels(end));
            ops::logical_and(ops::greater_equal(&at, start), ops::less(&at, end))
        };
        ops::logical_and(inside(&self.y, first), inside(&self.x, first + 1)).check().cloned()
    }
}
