//! `RandomColorDegeneration`: paler images at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::factor::{self, SYMMETRIC, ends};
use super::{AtInference, Factor, ImageLayer, ValueRange, draw};
use crate::bounding_boxes::BoxFormat;
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, `x + f · (gray − x)` held within the value range, one `f` an image, uniform in `factor`; otherwise the
/// images.
///
/// # Shapes
/// Those of the input, which has three channels.
///
/// # Dtypes
/// In training the compute dtype.
///
/// # Errors
/// If the factor is not from −1 to 1, or the images are not of three channels.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomColorDegeneration {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(serialize_with = "factor::symmetric")]
    factor: Factor,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomColorDegeneration, seed);

impl RandomColorDegeneration {
    /// From `−factor` to `factor`, or between two factors; 1 takes the colours away.
    pub fn new(factor: impl Into<Factor>) -> RandomColorDegeneration {
        RandomColorDegeneration {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: factor.into(),
            value_range: ValueRange::default(),
            seed: None,
        }
    }

    builders! {
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }
}

impl ImageLayer for RandomColorDegeneration {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", SYMMETRIC)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let range = ends(self.factor.within(SYMMETRIC));
        transformation([("factor", draw::uniform(images, &[1, 1, 1], range, DType::F32, seed)?)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        let factor = part(transformation, "factor")?.cast(compute_dtype(self));
        let gray = ops::image::rgb_to_grayscale(&images, Some(self.data_format.name()));
        let [low, high] = self.value_range.ends();
        ops::clip(&(&images + factor * (gray - &images)), low, high).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_color_degeneration");
    }

    #[test]
    fn factors_are_uniform() {
        let layer = RandomColorDegeneration::new(0.5).seed(1);
        assert_uniform(&drawn(&layer, &ops::zeros([500, 1, 1, 3], None), "factor"), -0.5, 0.5);
    }
}
