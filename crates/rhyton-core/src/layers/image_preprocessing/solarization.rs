//! `Solarization`: bright values turned dark.

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::factor::{self, ends};
use super::values::{BYTES, rescaled};
use super::{AtInference, Factor, ImageLayer, ValueRange, draw};
use crate::bounding_boxes::BoxFormat;
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, with `y = x + a` held within 0 and 255: `y` where it is below a threshold, else `255 − y`; otherwise
/// the images. One `a` and one threshold an image, both uniform in their factor times 255.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// The compute dtype.
///
/// # Errors
/// If a factor is not from 0 to 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solarization {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default = "zero", serialize_with = "factor::from_zero")]
    addition_factor: Factor,
    #[serde(default = "zero", serialize_with = "factor::from_zero")]
    threshold_factor: Factor,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(Solarization, seed);

fn zero() -> Factor {
    Factor::from(0.0)
}

impl Default for Solarization {
    fn default() -> Solarization {
        Solarization::new()
    }
}

impl Solarization {
    /// Nothing is added, and the threshold is 0: all values are turned.
    pub fn new() -> Solarization {
        Solarization {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            value_range: ValueRange::default(),
            addition_factor: zero(),
            threshold_factor: zero(),
            seed: None,
        }
    }

    builders! {
        /// What is added: from 0 to a number, or between two; 0 unless said.
        addition_factor: into Factor,
        /// Above which values are turned: from 0 to a number, or between two; 0 unless said.
        threshold_factor: into Factor,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }
}

impl ImageLayer for Solarization {
    fn check(&self) -> Result<()> {
        let within = |number| (0.0..=1.0).contains(&number);
        self.addition_factor.check_each("addition_factor", within, "from 0 to 1")?;
        self.threshold_factor.check_each("threshold_factor", within, "from 0 to 1")
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Converted
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let draw = |factor: &Factor| {
            // As in Keras, the lower end is not multiplied.
            let (low, high) = ends(factor.above_zero());
            draw::uniform(images, &[1, 1, 1], (low, high * 255.0), compute_dtype(self), seed)
        };
        transformation([("additions", draw(&self.addition_factor)?), ("thresholds", draw(&self.threshold_factor)?)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let (range, dtype) = (self.value_range.ends(), compute_dtype(self));
        let y = rescaled(&images.cast(dtype), range, BYTES, dtype) + part(transformation, "additions")?;
        let y = ops::clip(&y, 0, 255);
        let y = ops::r#where(ops::less(&y, part(transformation, "thresholds")?), &y, 255.0 - &y);
        rescaled(&y, BYTES, range, dtype).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("solarization");
    }

    #[test]
    fn numbers_are_uniform_in_the_factors() {
        let layer = Solarization::new().addition_factor(0.2).threshold_factor((0.0, 1.0)).seed(1);
        let x = ops::zeros([500, 1, 1, 1], None);
        assert_uniform(&drawn(&layer, &x, "additions"), 0.0, 51.0);
        assert_uniform(&drawn(&layer, &x, "thresholds"), 0.0, 255.0);
    }
}
