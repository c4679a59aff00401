//! `RandomGaussianBlur`: images blurred at random.

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::factor::{self, UNIT, ends};
use super::{AtInference, Factor, ImageLayer, ValueRange, draw};
use crate::bounding_boxes::BoxFormat;
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Spatial};
use crate::nest::Nest;
use crate::ops;
use crate::ops::image::{blurred, gaussian};
use crate::ops::primitives::{permute, sliced};
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// In training, with a probability uniform in `factor`, images smoothed by a normal distribution whose deviations, one
/// along the width and one along the height for the whole batch, are uniform in `sigma`; otherwise the images. Values
/// are held within the value range.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// The compute dtype.
///
/// # Errors
/// If the factor or sigma is not from 0 to 1, or a size of the kernel is even.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomGaussianBlur {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "one", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default = "three")]
    kernel_size: Spatial<2>,
    #[serde(default = "one", serialize_with = "factor::unit")]
    sigma: Factor,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomGaussianBlur, seed);

fn one() -> Factor {
    Factor::from(1.0)
}

fn three() -> Spatial<2> {
    Spatial([3, 3])
}

impl Default for RandomGaussianBlur {
    fn default() -> RandomGaussianBlur {
        RandomGaussianBlur::new()
    }
}

impl RandomGaussianBlur {
    /// With a probability and deviations from 0 to 1, over 3 × 3 pixels.
    pub fn new() -> RandomGaussianBlur {
        RandomGaussianBlur {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: one(),
            kernel_size: three(),
            sigma: one(),
            value_range: ValueRange::default(),
            seed: None,
        }
    }

    builders! {
        /// The probability: from 0 to a number, or between two; from 0 to 1 unless said.
        factor: into Factor,
        /// The height and the width of the kernel, odd numbers; 3 unless said.
        kernel_size: into Spatial<2>,
        /// The deviation: from 0 to a number, or between two; from 0 to 1 unless said.
        sigma: into Factor,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }
}

impl ImageLayer for RandomGaussianBlur {
    fn check(&self) -> Result<()> {
        if self.kernel_size.0.iter().any(|size| size % 2 == 0 || *size > 1 << 12) {
            let what = format!("{:?} has an even number or one above 4,096", self.kernel_size.0);
            return Err(Error::argument("kernel_size", what, "give odd numbers"));
        }
        self.factor.check("factor", UNIT)?;
        self.sigma.check("sigma", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Converted
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let should_apply_blur = draw::happens(images, self.factor.within(UNIT), seed)?;
        let (low, high) = ends(self.sigma.within(UNIT));
        // Never 0, by which distances are divided.
        let blur_factor = random::uniform([2], low, high, compute_dtype(self), seed)? + 1e-6;
        transformation([("should_apply_blur", should_apply_blur), ("blur_factor", blur_factor)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        let sigma = part(transformation, "blur_factor")?;
        let [first, second] = [0, 1].map(|i| sliced(sigma, 0, i, i + 1));
        let kernel = gaussian(self.kernel_size.0, [&first, &second], None).cast(compute_dtype(self));
        let blurred = match self.data_format {
            DataFormat::ChannelsLast => blurred(&images, &kernel)?,
            DataFormat::ChannelsFirst => permute(&blurred(&permute(&images, &[0, 2, 3, 1]), &kernel)?, &[0, 3, 1, 2]),
        };
        let apply = draw::over_pixels(part(transformation, "should_apply_blur")?);
        let [low, high] = self.value_range.ends();
        ops::clip(&ops::r#where(apply, blurred, images), low, high).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;
    use crate::layers::Call;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_gaussian_blur");
    }

    #[test]
    fn deviations_lie_in_sigma_and_kernels_are_odd() {
        let x = ops::zeros([300, 3, 3, 1], None);
        let layer = RandomGaussianBlur::new().sigma((0.5, 0.75)).seed(1);
        assert!(drawn(&layer, &x, "blur_factor").iter().all(|s| (0.5..0.76).contains(s)));
        // On average half of them, as the probability is between 0 and 1.
        let applied = drawn(&layer, &x, "should_apply_blur").iter().sum::<f64>();
        assert!((applied - 150.0).abs() < 44.0, "{applied}");
        assert!(layer.kernel_size([3, 4]).call(&x).eval().is_err());
    }
}
