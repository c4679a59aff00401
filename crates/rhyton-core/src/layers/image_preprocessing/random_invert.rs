//! `RandomInvert`: negatives of images at random.

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::factor::{self, UNIT};
use super::{AtInference, Factor, ImageLayer, ValueRange, draw};
use crate::bounding_boxes::BoxFormat;
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, with a probability uniform in `factor`, the greatest value less `x`; otherwise the images.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// In training the compute dtype.
///
/// # Errors
/// If the factor is not from 0 to 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomInvert {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "one", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomInvert, seed);

fn one() -> Factor {
    Factor::from(1.0)
}

impl Default for RandomInvert {
    fn default() -> RandomInvert {
        RandomInvert::new()
    }
}

impl RandomInvert {
    /// With a probability from 0 to 1.
    pub fn new() -> RandomInvert {
        RandomInvert {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: one(),
            value_range: ValueRange::default(),
            seed: None,
        }
    }

    builders! {
        /// The probability: from 0 to a number, or between two; from 0 to 1 unless said.
        factor: into Factor,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }
}

impl ImageLayer for RandomInvert {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        transformation([("apply_inversion", draw::happens(images, self.factor.within(UNIT), seed)?)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        let apply = draw::over_pixels(part(transformation, "apply_inversion")?);
        ops::r#where(apply, self.value_range.ends()[1] - &images, &images).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_invert");
    }

    #[test]
    fn the_probability_lies_in_the_factor() {
        let inverted = drawn(
            &RandomInvert::new().factor((0.5, 1.0)).seed(1),
            &ops::zeros([400, 1, 1, 1], None),
            "apply_inversion",
        );
        // On average ¾; five standard deviations of a binomial distribution.
        assert!((inverted.iter().sum::<f64>() - 300.0).abs() < 44.0);
    }
}
