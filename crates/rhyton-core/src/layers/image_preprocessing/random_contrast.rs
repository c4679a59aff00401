//! `RandomContrast`: pixels nearer to or further from their mean at random.

use super::base::{color_layer, compute_dtype, part, transformation};
use super::factor::{self, UNIT, ends};
use super::{AtInference, ImageLayer, draw};
use crate::error::Result;
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

color_layer! {
    /// In training, `(x − μ) · c + μ` held within the value range, with the mean `μ` of each channel and one `c` an image,
    /// uniform in `[1 − lower, 1 + upper)`; otherwise the images.
    ///
    /// # Shapes
    /// Those of the input.
    ///
    /// # Errors
    /// If the factor is not from 0 to 1.
    RandomContrast, "factor::unit";
    /// By a factor from 1 to `1 + factor`, or between `1 − lower` and `1 + upper` of two numbers.
    new;
    /// The least and the greatest value; 0 and 255 unless said.
    value_range;
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
