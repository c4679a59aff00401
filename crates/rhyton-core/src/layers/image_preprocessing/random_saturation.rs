//! `RandomSaturation`: colours stronger or weaker at random.

use rhyton_ir::DType;

use super::base::{color_layer, compute_dtype, part, transformation};
use super::factor::{self, SYMMETRIC, ends};
use super::{AtInference, ImageLayer, draw};
use crate::config::epsilon;
use crate::error::Result;
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

color_layer! {
    /// In training, images whose saturation is multiplied by `f / (1 − f)`, one `f` an image, uniform in `factor`: 0 takes
    /// the colours away, 0.5 leaves them, 1 makes them as strong as can be; otherwise the images.
    ///
    /// # Shapes
    /// Those of the input, which has three channels.
    ///
    /// # Dtypes
    /// Images are floats.
    ///
    /// # Errors
    /// If the factor is not from −1 to 1, or the images are not of three channels.
    RandomSaturation, "factor::symmetric";
    /// From `−factor` to `factor`, or between two factors.
    new;
    /// What saturations are held within; 0 and 255 unless said.
    value_range;
}

impl ImageLayer for RandomSaturation {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", SYMMETRIC)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let factor = draw::uniform(images, &[], ends(self.factor.within(SYMMETRIC)), DType::F32, seed)?;
        transformation([("factor", &factor / (1.0 - &factor + epsilon()))])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let factor = draw::over_pixels(&part(transformation, "factor")?.cast(compute_dtype(self)));
        let channels = self.data_format.channel_axis(4) as i64;
        let format = Some(self.data_format.name());
        let [low, high] = self.value_range.ends();
        let mut hsv = ops::split(ops::image::rgb_to_hsv(images, format).check()?, 3, channels);
        hsv[1] = ops::clip(&(&hsv[1] * factor), low, high);
        ops::image::hsv_to_rgb(&ops::concatenate(&hsv, channels), format).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_saturation");
    }

    #[test]
    fn factors_come_from_a_uniform_share() {
        let layer = RandomSaturation::new((0.2, 0.8)).seed(1);
        let odds = drawn(&layer, &ops::zeros([500, 1, 1, 3], None), "factor");
        assert_uniform(&odds.iter().map(|odds| odds / (1.0 + odds)).collect::<Vec<_>>(), 0.2, 0.8);
    }
}
