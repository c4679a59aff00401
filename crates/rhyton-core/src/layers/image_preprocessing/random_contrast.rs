//! `RandomContrast`: pixels nearer to or further from their mean at random.

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::factor::{self, UNIT, ends};
use super::{AtInference, Factor, ImageLayer, ValueRange, draw};
use crate::bounding_boxes::BoxFormat;
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, `(x − μ) · c + μ` held within the value range, with the mean `μ` of each channel and one `c` an image,
/// uniform in `[1 − lower, 1 + upper)`; otherwise the images.
///
/// # Shapes
/// Those of the input.
///
/// # Errors
/// If the factor is not from 0 to 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomContrast {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomContrast, seed);

impl RandomContrast {
    /// By a factor from 1 to `1 + factor`, or between `1 − lower` and `1 + upper` of two numbers.
    pub fn new(factor: impl Into<Factor>) -> RandomContrast {
        RandomContrast {
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

impl ImageLayer for RandomContrast {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let (lower, upper) = ends(self.factor.within(UNIT));
        let range = (1.0 - lower, 1.0 + upper);
        transformation([("contrast_factor", draw::uniform(images, &[1, 1, 1], range, compute_dtype(self), seed)?)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let first = self.data_format.first_spatial() as i64;
        let mean = ops::mean(images, [first, first + 1], true);
        let y = (images - &mean) * part(transformation, "contrast_factor")? + mean;
        let [low, high] = self.value_range.ends();
        ops::clip(&y, low, high).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_contrast");
    }

    #[test]
    fn factors_are_uniform_around_one() {
        let layer = RandomContrast::new((0.2, 0.6)).seed(1);
        assert_uniform(&drawn(&layer, &ops::zeros([500, 1, 1, 1], None), "contrast_factor"), 0.8, 1.6);
    }
}
