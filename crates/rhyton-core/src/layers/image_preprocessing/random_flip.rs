//! `RandomFlip`: images turned over at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer, part, transformation};
use super::{AtInference, ImageLayer, draw};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize, clip_to_image_size, convert_format};
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In which directions images are flipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipMode {
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both.
    #[default]
    HorizontalAndVertical,
}

/// In training, images flipped with probability ½, in both directions or in neither; otherwise the images.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// Images and masks become the compute dtype.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let x = Tensor::new([1, 1, 2, 1], vec![1.0f32, 2.0]);
/// let layer = RandomFlip::new().mode(FlipMode::Horizontal).seed(1);
/// let y = layer.call(&x).to_vec::<f32>()?;
/// assert!(y == [1.0, 2.0] || y == [2.0, 1.0]);
/// let y = layer.call(Args::new(&x).with("training", serde_json::json!(false)));
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFlip {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    mode: FlipMode,
}

image_layer!(RandomFlip, seed);

impl RandomFlip {
    /// Flips in both directions.
    pub fn new() -> RandomFlip {
        RandomFlip::default()
    }

    builders! {
        /// In which directions; both unless said.
        mode: FlipMode,
    }

    fn flips(&self, direction: FlipMode) -> bool {
        self.mode == direction || self.mode == FlipMode::HorizontalAndVertical
    }
}

impl ImageLayer for RandomFlip {
    fn at_inference(&self) -> AtInference {
        AtInference::AllConverted
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let number = draw::uniform(images, &[1, 1, 1], (0.0, 1.0), DType::F32, seed)?;
        transformation([("flips", ops::less_equal(number, 0.5))])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let flips = part(transformation, "flips")?;
        let first = self.data_format.first_spatial() as i64;
        let mut y = images.cast(compute_dtype(self));
        if self.flips(FlipMode::Horizontal) {
            y = ops::r#where(flips, ops::flip(&y, first + 1), &y);
        }
        if self.flips(FlipMode::Vertical) {
            y = ops::r#where(flips, ops::flip(&y, first), &y);
        }
        y.check().cloned()
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let format = box_format(self)?;
        let flips = ops::squeeze(part(transformation, "flips")?, -1);
        let convert = |boxes: &Tensor, from, to| convert_format(boxes, from, to, Some(size), DType::F32);
        let relative = convert(&bounding_boxes.boxes, format, BoxFormat::RelXyxy);
        let mut sides = ops::split(relative.check()?, 4, -1);
        for (low, direction) in [(0, FlipMode::Horizontal), (1, FlipMode::Vertical)] {
            if self.flips(direction) {
                let (start, end) = (1.0 - &sides[low + 2], 1.0 - &sides[low]);
                sides[low] = ops::r#where(&flips, start, &sides[low]);
                sides[low + 2] = ops::r#where(&flips, end, &sides[low + 2]);
            }
        }
        let flipped = BoundingBoxes { boxes: ops::concatenate(&sides, -1), ..bounding_boxes.clone() };
        // As in Keras, relative boxes are clipped to the size in pixels.
        let BoundingBoxes { boxes, labels } = clip_to_image_size(&flipped, Some(size), BoxFormat::Xyxy)?;
        Ok(BoundingBoxes { boxes: convert(&boxes, BoxFormat::RelXyxy, format), labels })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.transform_images(segmentation_masks, transformation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_flip");
    }

    #[test]
    fn half_of_the_images_are_flipped() {
        let flips = drawn(&RandomFlip::new().seed(3), &ops::zeros([400, 1, 1, 1], None), "flips");
        let count = flips.iter().sum::<f64>();
        // Five standard deviations of a binomial distribution.
        assert!((count - 200.0).abs() < 50.0, "{count}");
    }
}
