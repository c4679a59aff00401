//! `RandomGrayscale`: images without colours at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::image_layer;
use super::{AtInference, ImageLayer, draw};
use crate::bounding_boxes::BoxFormat;
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, with probability `factor` images in which all channels are the gray of the image; otherwise the images.
///
/// The configuration does not have the seed, as in Keras.
///
/// # Shapes
/// Those of the input, which has three channels (or one).
///
/// # Errors
/// If the factor is not from 0 to 1, or the images have another number of channels.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomGrayscale {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "half")]
    factor: f64,
    #[serde(default, skip_serializing)]
    seed: Option<i64>,
}

image_layer!(RandomGrayscale, seed);

fn half() -> f64 {
    0.5
}

impl Default for RandomGrayscale {
    fn default() -> RandomGrayscale {
        RandomGrayscale::new()
    }
}

impl RandomGrayscale {
    /// With probability ½.
    pub fn new() -> RandomGrayscale {
        RandomGrayscale {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: half(),
            seed: None,
        }
    }

    builders! {
        /// The probability; 0.5 unless said.
        factor: f64,
    }
}

impl ImageLayer for RandomGrayscale {
    fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.factor) {
            return Ok(());
        }
        Err(Error::argument("factor", format!("{} is no probability", self.factor), "give a number from 0 to 1"))
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    /// Whether each image loses its colours, `(batch, 1, 1, 1)`.
    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let number = draw::uniform(images, &[1, 1, 1], (0.0, 1.0), DType::F32, seed)?;
        Ok(ops::less(number, self.factor).check()?.into())
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let gray = ops::image::rgb_to_grayscale(images, Some(self.data_format.name()));
        ops::r#where(transformation.single()?, gray, images).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_grayscale");
    }

    #[test]
    fn so_many_images_lose_their_colours() {
        let gray = drawn(&RandomGrayscale::new().factor(0.25).seed(1), &ops::zeros([400, 1, 1, 3], None), "");
        // Five standard deviations of a binomial distribution.
        assert!((gray.iter().sum::<f64>() - 100.0).abs() < 44.0);
    }
}
