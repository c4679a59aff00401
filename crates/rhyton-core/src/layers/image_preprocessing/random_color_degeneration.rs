//! `RandomColorDegeneration`: paler images at random.

use rhyton_ir::DType;

use super::base::{color_layer, compute_dtype, part, transformation};
use super::factor::{self, SYMMETRIC, ends};
use super::{AtInference, ImageLayer, draw};
use crate::error::Result;
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

color_layer! {
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
    RandomColorDegeneration, "factor::symmetric";
    /// From `−factor` to `factor`, or between two factors; 1 takes the colours away.
    new;
    /// The least and the greatest value; 0 and 255 unless said.
    value_range;
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
