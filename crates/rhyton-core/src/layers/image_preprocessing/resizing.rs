//! `Resizing`: images in another size.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, image_layer};
use super::{AtInference, ImageLayer};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize, clip_to_image_size, convert_format};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation};
use crate::nest::Nest;
use crate::ops;
use crate::ops::image::{AspectRatio, resize};
use crate::tensor::Tensor;

/// Images in the size `height × width`, by interpolation. Outside of training, too.
///
/// # Shapes
/// `(batch, h, w, channels)` or `(h, w, channels)`, with `height` and `width` for `h` and `w`, which must be known.
///
/// # Dtypes
/// Of integer images rounded back to the dtype.
///
/// # Errors
/// If both of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` are set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resizing {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    height: usize,
    width: usize,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    crop_to_aspect_ratio: bool,
    #[serde(default)]
    pad_to_aspect_ratio: bool,
    #[serde(default = "constant")]
    fill_mode: String,
    #[serde(default)]
    fill_value: f64,
    #[serde(default)]
    antialias: bool,
}

image_layer!(Resizing);

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

fn constant() -> String {
    "constant".to_owned()
}

impl Resizing {
    /// To `height × width`.
    pub fn new(height: usize, width: usize) -> Resizing {
        Resizing {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            height,
            width,
            interpolation: bilinear(),
            crop_to_aspect_ratio: false,
            pad_to_aspect_ratio: false,
            fill_mode: constant(),
            fill_value: 0.0,
            antialias: false,
        }
    }

    builders! {
        /// How elements in between are found; linearly unless said.
        interpolation: Interpolation,
        /// Whether the largest middle part of the new aspect ratio is taken first; not unless said.
        crop_to_aspect_ratio: bool,
        /// Whether the image is padded to the new aspect ratio first; not unless said.
        pad_to_aspect_ratio: bool,
        /// What is padded with; 0 unless said.
        fill_value: f64,
        /// Whether kernels widen when the image shrinks; not unless said.
        antialias: bool,
    }

    fn resized(&self, images: &Tensor, interpolation: Interpolation) -> Result<Tensor> {
        let aspect = match (self.crop_to_aspect_ratio, self.pad_to_aspect_ratio) {
            (true, _) => AspectRatio::Crop,
            (_, true) => AspectRatio::Pad(self.fill_value),
            _ => AspectRatio::Stretch,
        };
        let (size, format) = ([self.height, self.width], Some(self.data_format.name()));
        resize(images, size, interpolation.name(), self.antialias, aspect, format).check().cloned()
    }

    /// How boxes `xyxy` of images of `height` and `width` are scaled, and then shifted: along the width, along the
    /// height.
    fn change(&self, [height, width]: [Tensor; 2]) -> [(Tensor, Tensor); 2] {
        let (to_height, to_width) = (self.height as f64, self.width as f64);
        if self.pad_to_aspect_ratio {
            let scale = ops::minimum(to_height / &height, to_width / &width);
            let shift = |to: f64, length: Tensor| ops::floor(&((to - length * &scale) / 2.0));
            let shifts = (shift(to_width, width), shift(to_height, height));
            return [(scale.clone(), shifts.0), (scale, shifts.1)];
        }
        if self.crop_to_aspect_ratio {
            let ratio = &width / &height;
            let wider = ops::greater(&ratio, to_width / to_height);
            let new_width = ops::r#where(&wider, &ratio * to_height, to_width);
            let new_height = ops::r#where(&wider, to_height, to_width / &ratio);
            let shift = |new: &Tensor, to: f64| -ops::floor(&((new - to) / 2.0));
            let shifts = (shift(&new_width, to_width), shift(&new_height, to_height));
            return [(new_width / width, shifts.0), (new_height / height, shifts.1)];
        }
        let none = ops::zeros_like(&height);
        [(to_width / width, none.clone()), (to_height / height, none)]
    }
}
impl ImageLayer for Resizing {
    fn check(&self) -> Result<()> {
        if self.crop_to_aspect_ratio && self.pad_to_aspect_ratio || self.fill_mode != "constant" {
            return Err(Error::argument(
                "Resizing",
                "cropping together with padding, or a fill_mode other than constant",
                "choose one of crop_to_aspect_ratio and pad_to_aspect_ratio",
            ));
        }
        Ok(())
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Transformed
    }

    fn transform_images(&self, images: &Tensor, _: &Nest) -> Result<Tensor> {
        self.resized(images, self.interpolation)
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        _: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let BoundingBoxes { boxes, labels } = bounding_boxes;
        let (format, to) = (box_format(self)?, ImageSize::from([self.height, self.width]));
        let all = |value: f64| ops::all(&ops::equal(boxes, value), -1, true);
        let no_box = ops::logical_or(all(-1.0), all(0.0));
        let corners = convert_format(boxes, format, BoxFormat::Xyxy, Some(size), DType::F32);
        let [(scale_x, shift_x), (scale_y, shift_y)] = self.change(size.tensors(DType::F32));
        let scale = ops::stack(&[scale_x.clone(), scale_y.clone(), scale_x, scale_y], 0);
        let shift = ops::stack(&[shift_x.clone(), shift_y.clone(), shift_x, shift_y], 0);
        let moved = BoundingBoxes { boxes: corners * scale + shift, labels: labels.clone() };
        let BoundingBoxes { boxes, labels } = clip_to_image_size(&moved, Some(&to), BoxFormat::Xyxy)?;
        let boxes = ops::r#where(no_box, 0.0, boxes);
        Ok(BoundingBoxes { boxes: convert_format(&boxes, BoxFormat::Xyxy, format, Some(&to), DType::F32), labels })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, _: &Nest) -> Result<Tensor> {
        self.resized(segmentation_masks, Interpolation::Nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("resizing");
        check_image_layer("resizing_boxes");
    }
}
