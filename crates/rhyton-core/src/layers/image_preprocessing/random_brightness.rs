//! `RandomBrightness`: images made brighter or darker at random.

use rhyton_ir::DType;

use super::base::{color_layer, part, transformation};
use super::factor::{self, SYMMETRIC, ends};
use super::{AtInference, ImageLayer, draw};
use crate::error::Result;
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

color_layer! {
    /// In training, `x + δ` held within the value range, one `δ` an image, uniform in `factor` times the width of that
    /// range; otherwise the images.
    ///
    /// # Shapes
    /// Those of the input.
    ///
    /// # Errors
    /// If the factor is not from −1 to 1.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::prelude::*;
    ///
    /// let x = Tensor::new([1, 1, 2, 1], vec![0.25f32, 0.75]);
    /// let y = RandomBrightness::new((0.5, 0.5)).value_range((0.0, 1.0)).call(&x);
    /// assert_eq!(y.to_vec::<f32>()?, [0.75, 1.0]);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    RandomBrightness, "factor::symmetric";
    /// By up to `factor` of the value range in both directions, or between two factors; from −1, black, to 1, white.
    new;
    /// The least and the greatest value; 0 and 255 unless said.
    value_range;
}

impl ImageLayer for RandomBrightness {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", SYMMETRIC)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let factor = draw::uniform(images, &[1, 1, 1], ends(self.factor.within(SYMMETRIC)), DType::F32, seed)?;
        let [low, high] = self.value_range.ends();
        transformation([("rgb_delta", factor * (high - low))])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let [low, high] = self.value_range.ends();
        let brighter = images + part(transformation, "rgb_delta")?.cast(images.dtype());
        ops::clip(&brighter, low, high).check().map(|y| y.cast(images.dtype()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;
    use crate::layers::Call;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_brightness");
    }

    #[test]
    fn deltas_are_uniform_in_the_factor_of_the_range() {
        let layer = RandomBrightness::new((-0.1, 0.3)).value_range((0, 10)).seed(1);
        assert_uniform(&drawn(&layer, &ops::zeros([500, 1, 1, 1], None), "rgb_delta"), -1.0, 3.0);
    }

    #[test]
    fn a_factor_above_one_is_refused() {
        let y = RandomBrightness::new(1.5).call(ops::zeros([1, 1, 1, 1], None));
        let error = y.eval().unwrap_err().to_string();
        assert!(error.contains("from -1 to 1") && error.contains("RandomBrightness"), "{error}");
    }
}
