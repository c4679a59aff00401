//! `RandomErasing`: a rectangle of images covered at random.

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::factor::{self, UNIT, ends};
use super::region::Region;
use super::{AtInference, Factor, ImageLayer, ValueRange, draw};
use crate::bounding_boxes::BoxFormat;
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, PerChannel};
use crate::nest::Nest;
use crate::ops;
use crate::ops::primitives::sliced;
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// In training, with a probability uniform in `factor`, images of which a rectangle is covered, whose width and height
/// are each the square root of a number uniform in `scale` times that of the image; otherwise the images. What covers
/// it is normal noise times the greatest value, or `fill_value`, held within the value range.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// The compute dtype.
///
/// # Errors
/// If the factor or the scale is not from 0 to 1, or the fill values are not three.
///
/// # References
/// Zhong et al., *Random erasing data augmentation*, 2017, <https://arxiv.org/abs/1708.04896>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomErasing {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "one", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default = "small", serialize_with = "factor::unit")]
    scale: Factor,
    #[serde(default)]
    fill_value: Option<PerChannel>,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomErasing, seed);

fn one() -> Factor {
    Factor::from(1.0)
}

fn small() -> Factor {
    Factor::from((0.02, 0.33))
}

impl Default for RandomErasing {
    fn default() -> RandomErasing {
        RandomErasing::new()
    }
}

impl RandomErasing {
    /// With a probability from 0 to 1.
    pub fn new() -> RandomErasing {
        RandomErasing {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: one(),
            scale: small(),
            fill_value: None,
            value_range: ValueRange::default(),
            seed: None,
        }
    }

    builders! {
        /// The probability: from 0 to a number, or between two; from 0 to 1 unless said.
        factor: into Factor,
        /// The area, as a share of the image: from 0 to a number, or between two; from 0.02 to 0.33 unless said.
        scale: into Factor,
        /// What covers the rectangle: a number, or one for each of three channels; noise unless said.
        fill_value: some PerChannel,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }
}

impl ImageLayer for RandomErasing {
    fn check(&self) -> Result<()> {
        if matches!(&self.fill_value, Some(PerChannel::Each(values)) if values.len() != 3) {
            let what = "the fill values are not three";
            return Err(Error::argument("fill_value", what, "give a number, or one for each of three channels"));
        }
        self.factor.check("factor", UNIT)?;
        self.scale.check("scale", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Converted
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let dtype = compute_dtype(self);
        let area = draw::uniform(images, &[2], ends(self.scale.within(UNIT)), dtype, seed)?;
        let share = |k: usize| ops::squeeze(&sliced(&area, 1, k, k + 1), 1);
        let (wide, high) = (ops::sqrt(&share(0)), ops::sqrt(&share(1)));
        let region = Region::draw(self, images, &wide, &high, seed)?;
        let apply = draw::happens(images, self.factor.within(UNIT), seed)?;
        let [low, high] = self.value_range.ends();
        let fill = match &self.fill_value {
            None => random::normal(images.shape().clone(), 0.0, 1.0, dtype, seed)? * high,
            Some(fill) => fill.tensor(dtype),
        };
        let fill = ops::clip(&fill, low, high);
        transformation([("apply_erasing", apply), ("batch_masks", region.mask(self, images)?), ("fill_value", fill)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        let apply = draw::over_pixels(part(transformation, "apply_erasing")?);
        let covered = ops::logical_and(apply, part(transformation, "batch_masks")?);
        let fill = part(transformation, "fill_value")?;
        ops::r#where(covered, fill, images).check().map(|y| y.cast(compute_dtype(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_erasing");
    }

    #[test]
    fn rectangles_have_their_area() {
        let x = ops::zeros([200, 20, 20, 1], None);
        let masks = drawn(&RandomErasing::new().scale((0.25, 0.25)).seed(1), &x, "batch_masks");
        // Half of the height and of the width, rounded to pixels.
        for mask in masks.chunks(400) {
            assert!((81.0..=121.0).contains(&mask.iter().sum::<f64>()), "{mask:?}");
        }
        let noise = drawn(&RandomErasing::new().seed(1), &x, "fill_value");
        assert!(noise.iter().all(|v| (0.0..=255.0).contains(v)) && noise.contains(&0.0));
    }
}
