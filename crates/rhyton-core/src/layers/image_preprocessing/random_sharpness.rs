//! `RandomSharpness`: images sharpened or smoothed at random.

use rhyton_ir::{Array, DType};

use super::base::{color_layer, compute_dtype, part, transformation};
use super::factor::{self, UNIT, ends};
use super::{AtInference, ImageLayer, draw};
use crate::error::Result;
use crate::layers::DataFormat;
use crate::nest::Nest;
use crate::ops;
use crate::ops::image::blurred;
use crate::ops::primitives::permute;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

color_layer! {
    /// In training, `x + (1 − 2f) · (smooth − x)` held within the value range, one `f` an image, uniform in `factor`;
    /// otherwise the images. With `f = 0` images are smooth, with 0.5 as they were, with 1 sharper.
    ///
    /// A smooth pixel is the mean of its nine neighbours in which it counts five times.
    ///
    /// # Shapes
    /// Those of the input.
    ///
    /// # Dtypes
    /// The compute dtype.
    ///
    /// # Errors
    /// If the factor is not from 0 to 1.
    RandomSharpness, "factor::unit";
    /// From 0 to `factor`, or between two factors.
    new;
    /// The least and the greatest value; 0 and 255 unless said.
    value_range;
}

impl ImageLayer for RandomSharpness {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Converted
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let range = ends(self.factor.within(UNIT));
        transformation([("factor", draw::uniform(images, &[], range, DType::F32, seed)?)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        let factor = draw::over_pixels(&(part(transformation, "factor")? * 2.0).cast(compute_dtype(self)));
        let mut kernel = vec![1.0 / 13.0; 9];
        kernel[4] = 5.0 / 13.0;
        let kernel = Tensor::from(Array::new([3, 3], kernel).cast(compute_dtype(self)));
        let smooth = match self.data_format {
            DataFormat::ChannelsLast => blurred(&images, &kernel)?,
            DataFormat::ChannelsFirst => permute(&blurred(&permute(&images, &[0, 2, 3, 1]), &kernel)?, &[0, 3, 1, 2]),
        };
        let [low, high] = self.value_range.ends();
        ops::clip(&(&images + (1.0 - factor) * (smooth - &images)), low, high).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_sharpness");
    }

    #[test]
    fn factors_are_uniform() {
        let layer = RandomSharpness::new((0.25, 0.75)).seed(1);
        assert_uniform(&drawn(&layer, &ops::zeros([500, 1, 1, 1], None), "factor"), 0.25, 0.75);
    }
}
