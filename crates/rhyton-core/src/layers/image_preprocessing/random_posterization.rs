//! `RandomPosterization`: images of fewer bits at random.

use rhyton_ir::DType;

use super::base::{color_layer, compute_dtype, part, transformation};
use super::factor::{self, BITS, ends};
use super::values::{BYTES, rescaled};
use super::{AtInference, ImageLayer, draw};
use crate::error::Result;
use crate::nest::Nest;
use crate::ops;
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

color_layer! {
    /// In training, images of which only the upper bits of each value are left, between 1 and 8 of them, whole numbers that
    /// are uniform in `factor`, its upper end excluded; otherwise the images.
    ///
    /// # Shapes
    /// Those of the input.
    ///
    /// # Dtypes
    /// In training the compute dtype.
    ///
    /// # Errors
    /// If the factor is not from 1 to 8.
    RandomPosterization, "factor::bits";
    /// From 1 to `factor` bits, or between two numbers.
    new;
    /// The least and the greatest value; 0 and 255 unless said.
    value_range;
}

impl ImageLayer for RandomPosterization {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", BITS)?;
        let within = |number| (1.0..=8.0).contains(&number);
        self.factor.check_each("factor", within, "from 1 to 8")
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let (low, high) = ends(self.factor.within(BITS));
        let (low, high) = (low as i64, high as i64);
        let bits = random::randint(vec![images.dim(0)], low, high.max(low + 1), DType::U8, seed)?;
        transformation([("shift_factor", (8 - bits).cast(DType::U8))])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let shift = draw::over_pixels(part(transformation, "shift_factor")?);
        let (range, dtype) = (self.value_range.ends(), compute_dtype(self));
        let bytes = rescaled(images, range, BYTES, dtype).cast(DType::U8);
        let left = ops::bitwise_left_shift(ops::bitwise_right_shift(&bytes, &shift), &shift);
        rescaled(&left.cast(dtype), BYTES, range, dtype).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_posterization");
    }

    #[test]
    fn numbers_of_bits_lie_in_the_factor() {
        let shifts =
            drawn(&RandomPosterization::new((2, 5)).seed(1), &ops::zeros([200, 1, 1, 1], None), "shift_factor");
        assert!([4.0, 5.0, 6.0].iter().all(|n| shifts.contains(n)) && shifts.iter().all(|n| (4.0..=6.0).contains(n)));
        let one = drawn(&RandomPosterization::new((3, 3)), &ops::zeros([4, 1, 1, 1], None), "shift_factor");
        assert_eq!(one, [5.0; 4]);
    }
}
