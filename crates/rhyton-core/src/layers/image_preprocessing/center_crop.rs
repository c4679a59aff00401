//! `CenterCrop`: the middle of images.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer, image_size};
use super::{AtInference, ImageLayer};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize, clip_to_image_size, convert_format};
use crate::error::{Error, Result};
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::ops::image::{AspectRatio, resize};
use crate::ops::primitives::sliced;
use crate::promotion::promote;
use crate::tensor::Tensor;

/// The middle `height × width` of images; of smaller ones, the largest middle part of that aspect ratio, resized.
/// Outside of training, too.
///
/// # Shapes
/// `(batch, h, w, channels)` or `(h, w, channels)`, with `height` and `width` for `h` and `w`, which must be known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    height: usize,
    width: usize,
}

image_layer!(CenterCrop);

impl CenterCrop {
    /// To `height × width`.
    pub fn new(height: usize, width: usize) -> CenterCrop {
        CenterCrop {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            height,
            width,
        }
    }

    fn known(&self, size: &ImageSize) -> Result<[usize; 2]> {
        size.known().filter(|_| self.height > 0 && self.width > 0).ok_or_else(|| {
            let what = format!("{} × {} of an image of unknown size, or of no pixels", self.height, self.width);
            Error::shape("CenterCrop", what, "give (batch, height, width, channels) with known height and width")
        })
    }

    /// Where the part begins and how large it is, along the height and along the width.
    fn part(&self, [height, width]: [usize; 2]) -> [(usize, usize); 2] {
        if height >= self.height && width >= self.width {
            return [((height - self.height) / 2, self.height), ((width - self.width) / 2, self.width)];
        }
        let matching = |other: usize, to: usize, of: usize| (other as f64 * to as f64 / of as f64) as usize;
        let high = matching(width, self.height, self.width).clamp(1, height.max(1));
        let wide = matching(height, self.width, self.height).clamp(1, width.max(1));
        [((height - high) / 2, high), ((width - wide) / 2, wide)]
    }
}

impl ImageLayer for CenterCrop {
    fn at_inference(&self) -> AtInference {
        AtInference::Transformed
    }

    fn transform_images(&self, images: &Tensor, _: &Nest) -> Result<Tensor> {
        let x = images.cast(compute_dtype(self));
        let from = self.known(&image_size(&x, self.data_format))?;
        let to = [self.height, self.width];
        if from.iter().zip(&to).any(|(from, to)| from < to) {
            // Keras gives float32 here, whatever the compute dtype.
            let (x, format) = (x.cast(promote(x.dtype(), DType::F32)), Some(self.data_format.name()));
            return resize(&x, to, "bilinear", false, AspectRatio::Crop, format).check().cloned();
        }
        let first = self.data_format.first_spatial();
        let [(top, high), (left, wide)] = self.part(from);
        sliced(&sliced(&x, first, top, top + high), first + 1, left, left + wide).check().cloned()
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        _: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let (format, from) = (box_format(self)?, self.known(size)?);
        let to = ImageSize::from([self.height, self.width]);
        let convert =
            |boxes: &Tensor, from, to, size: &ImageSize| convert_format(boxes, from, to, Some(size), DType::F32);
        let boxes = convert(&bounding_boxes.boxes, format, BoxFormat::Xyxy, size);
        let [(top, high), (left, wide)] = self.part(from);
        let inside = |side: &Tensor, start: usize, length: usize| {
            ops::clip(side, start as f64, (start + length) as f64) - start as f64
        };
        let sides = ops::split(boxes.check()?, 4, -1);
        let sides = [
            inside(&sides[0], left, wide),
            inside(&sides[1], top, high),
            inside(&sides[2], left, wide),
            inside(&sides[3], top, high),
        ];
        let mut boxes = ops::concatenate(&sides, -1);
        if [high, wide] != [self.height, self.width] {
            boxes = convert(&boxes, BoxFormat::Xyxy, BoxFormat::RelXyxy, &[high, wide].into());
            boxes = convert(&boxes, BoxFormat::RelXyxy, BoxFormat::Xyxy, &to);
        }
        let cut = BoundingBoxes { boxes, ..bounding_boxes.clone() };
        let BoundingBoxes { boxes, labels } = clip_to_image_size(&cut, Some(&to), BoxFormat::Xyxy)?;
        Ok(BoundingBoxes { boxes: convert(&boxes, BoxFormat::Xyxy, format, &to), labels })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.transform_images(segmentation_masks, transformation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("center_crop");
        check_image_layer("center_crop_boxes");
    }

    #[test]
    fn only_images_are_cropped() {
        let error = CenterCrop::new(1, 1).call(Tensor::new([2, 2], vec![0.0f32; 4])).eval().unwrap_err();
        assert!(error.to_string().contains("batch of images"), "{error}");
    }
}
