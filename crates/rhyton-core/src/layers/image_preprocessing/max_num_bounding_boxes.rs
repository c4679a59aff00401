//! `MaxNumBoundingBoxes`: the same number of boxes for all images.

use serde::{Deserialize, Serialize};

use super::base::image_layer;
use super::{AtInference, ImageLayer};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops::numpy::padded;
use crate::ops::primitives::sliced;
use crate::tensor::Tensor;

/// The first `max_number` boxes and labels; where there are fewer, boxes and labels of the fill value behind them.
/// Outside of training, too; images stay as they are.
///
/// The configuration does not have the fill value, as in Keras.
///
/// # Shapes
/// Boxes become `(batch, max_number, 4)`, labels `(batch, max_number)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxNumBoundingBoxes {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    max_number: usize,
    #[serde(default = "none", skip_serializing)]
    fill_value: i64,
}

image_layer!(MaxNumBoundingBoxes);

fn none() -> i64 {
    -1
}

impl MaxNumBoundingBoxes {
    /// To `max_number` boxes.
    pub fn new(max_number: usize) -> MaxNumBoundingBoxes {
        MaxNumBoundingBoxes {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            max_number,
            fill_value: none(),
        }
    }

    builders! {
        /// What boxes and labels that are not there are made of; −1 unless said.
        fill_value: i64,
    }

    /// The first elements of `axis`, and fill values for those that are missing.
    fn fitted(&self, x: &Tensor, axis: usize) -> Result<Tensor> {
        let present = x.check()?.shape()[axis].known().unwrap_or(0);
        let mut widths = vec![(0, 0); x.rank()];
        widths[axis].1 = self.max_number.saturating_sub(present) as i64;
        sliced(&padded(x, &widths, self.fill_value as f64)?, axis, 0, self.max_number).check().cloned()
    }
}

impl ImageLayer for MaxNumBoundingBoxes {
    fn check(&self) -> Result<()> {
        if self.max_number <= 1 << 24 {
            return Ok(());
        }
        let what = format!("{} boxes an image", self.max_number);
        Err(Error::argument("max_number", what, "give a number below 16 million"))
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Transformed
    }

    fn transform_images(&self, images: &Tensor, _: &Nest) -> Result<Tensor> {
        Ok(images.clone())
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        _: &Nest,
        _: &ImageSize,
    ) -> Result<BoundingBoxes> {
        Ok(BoundingBoxes {
            boxes: self.fitted(&bounding_boxes.boxes, 1)?,
            labels: self.fitted(&bounding_boxes.labels, 1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("max_num_bounding_boxes");
    }
}
