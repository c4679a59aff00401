//! `RandomHue`: colours turned at random.

use rhyton_ir::DType;

use super::base::{color_layer, compute_dtype, part, transformation};
use super::factor::{self, UNIT, ends};
use super::values::rescaled;
use super::{AtInference, ImageLayer, draw};
use crate::error::Result;
use crate::nest::Nest;
use crate::ops;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

color_layer! {
    /// In training, images whose hue, a number from 0 to 1, moves by `±f / 2`, one `f` an image, uniform in `factor`;
    /// otherwise the images.
    ///
    /// # Shapes
    /// Those of the input, which has three channels.
    ///
    /// # Dtypes
    /// In training the compute dtype.
    ///
    /// # Errors
    /// If the factor is not from 0 to 1, or the images are not of three channels.
    RandomHue, "factor::unit";
    /// By up to `factor`, or between two factors; with 1, half of the images change to the opposite colour or less.
    new;
    /// The least and the greatest value; 0 and 255 unless said.
    value_range;
}

impl ImageLayer for RandomHue {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let sign = draw::sign(images, &[], DType::F32, seed)?;
        let factor = draw::uniform(images, &[], ends(self.factor.within(UNIT)), DType::F32, seed)?;
        transformation([("factor", sign * factor * 0.5)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let (range, format) = (self.value_range.ends(), Some(self.data_format.name()));
        let channels = self.data_format.channel_axis(4) as i64;
        let images = rescaled(&images.cast(compute_dtype(self)), range, [0.0, 1.0], DType::F32);
        let shift = draw::over_pixels(&part(transformation, "factor")?.cast(images.dtype()));
        let mut hsv = ops::split(ops::image::rgb_to_hsv(&images, format).check()?, 3, channels);
        let hue = &hsv[0] + shift;
        let hue = ops::r#where(ops::greater(&hue, 1.0), &hue - 1.0, &hue);
        hsv[0] = ops::r#where(ops::less(&hue, 0.0), &hue + 1.0, &hue);
        let rgb = ops::image::hsv_to_rgb(&ops::concatenate(&hsv, channels), format);
        let rgb = rescaled(&ops::clip(&rgb, 0, 1), [0.0, 1.0], range, DType::F32);
        rgb.check().map(|y| y.cast(compute_dtype(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_hue");
    }

    #[test]
    fn shifts_go_both_ways() {
        let shifts = drawn(&RandomHue::new(0.4).seed(1), &ops::zeros([500, 1, 1, 3], None), "factor");
        assert_uniform(&shifts, -0.2, 0.2);
    }
}
