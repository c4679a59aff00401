//! `RandomElasticTransform`: images distorted smoothly at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::factor::{self, UNIT, ends};
use super::geometry::check_interpolation;
use super::{Factor, FillMode, ImageLayer, ValueRange, draw};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation, describe};
use crate::nest::Nest;
use crate::ops;
use crate::ops::image::{Field, moved};
use crate::ops::primitives::permute;
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// In training, with a probability uniform in `factor`, images whose pixels are moved by a smooth random field, the
/// strength of which is uniform in `scale` for the whole batch; otherwise the images. Values are held within the value
/// range.
///
/// Segmentation masks are moved by the field that moves the images (Keras draws another one). Bounding boxes cannot be.
///
/// # Shapes
/// Those of the input, whose height and width are known.
///
/// # Dtypes
/// The compute dtype.
///
/// # Errors
/// If the factor or the scale is not from 0 to 1, the interpolation is not nearest or bilinear, or a size is not known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomElasticTransform {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "one", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default = "one", serialize_with = "factor::unit")]
    scale: Factor,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    fill_mode: FillMode,
    #[serde(default)]
    fill_value: f64,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomElasticTransform, seed);

fn one() -> Factor {
    Factor::from(1.0)
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

impl Default for RandomElasticTransform {
    fn default() -> RandomElasticTransform {
        RandomElasticTransform::new()
    }
}

impl RandomElasticTransform {
    /// With a probability and a strength from 0 to 1.
    pub fn new() -> RandomElasticTransform {
        RandomElasticTransform {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: one(),
            scale: one(),
            interpolation: bilinear(),
            fill_mode: FillMode::default(),
            fill_value: 0.0,
            value_range: ValueRange::default(),
            seed: None,
        }
    }

    builders! {
        /// The probability: from 0 to a number, or between two; from 0 to 1 unless said.
        factor: into Factor,
        /// How strong the distortion is: from 0 to a number, or between two; from 0 to 1 unless said.
        scale: into Factor,
        /// How pixels in between are found; linearly unless said.
        interpolation: Interpolation,
        /// What is seen where the image has ended; its mirror image unless said.
        fill_mode: FillMode,
        /// What is seen there with the fill mode constant; 0 unless said.
        fill_value: f64,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }

    fn distorted(&self, images: &Tensor, transformation: &Nest, interpolation: Interpolation) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        if transformation.is_none() {
            return Ok(images);
        }
        let first = self.data_format.first_spatial();
        let [Some(height), Some(width)] = [first, first + 1].map(|axis| images.shape()[axis].known()) else {
            let what = format!("height and width of {} are not both known", images.ty());
            return Err(Error::shape("RandomElasticTransform", what, "give Input both"));
        };
        let strength = part(transformation, "distortion_factor")?.cast(DType::F32);
        let (short, long) = (height.min(width) as f64, height.max(width) as f64);
        let field = Field {
            noise: part(transformation, "noise")?.clone(),
            alpha: &strength * (0.1 * long),
            sigma: &strength * (0.05 * short),
        };
        let largest = ends(self.scale.within(UNIT)).1 * 0.05 * short;
        let last = self.data_format == DataFormat::ChannelsLast;
        let x = if last { images.clone() } else { permute(&images, &[0, 2, 3, 1]) };
        let y = moved(&x, &field, largest, interpolation.name(), self.fill_mode.name(), self.fill_value)?;
        let y = if last { y } else { permute(&y, &[0, 3, 1, 2]) };
        let apply = draw::over_pixels(part(transformation, "apply_transform")?);
        let [low, high] = self.value_range.ends();
        ops::clip(&ops::r#where(apply, y, images), low, high).check().cloned()
    }
}

impl ImageLayer for RandomElasticTransform {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        self.factor.check("factor", UNIT)?;
        self.scale.check("scale", UNIT)
    }

    /// Whether each image is distorted, how strongly all are, and the normal noise `(batch, height, width)` the field
    /// is made of.
    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let scale = ends(self.scale.within(UNIT));
        if scale.1 == 0.0 || ends(self.factor.within(UNIT)).1 == 0.0 {
            return Ok(Nest::none());
        }
        let apply = draw::happens(images, self.factor.within(UNIT), seed)?;
        let strength = random::uniform([0usize; 0], scale.0, scale.1, compute_dtype(self), seed)?;
        let first = self.data_format.first_spatial();
        let shape: Vec<_> = [0, first, first + 1].map(|axis| images.shape()[axis].clone()).into();
        let noise = random::normal(shape, 0.0, 1.0, DType::F32, seed)?;
        transformation([("apply_transform", apply), ("distortion_factor", strength), ("noise", noise)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.distorted(images, transformation, self.interpolation)
    }

    fn transform_bounding_boxes(&self, _: &BoundingBoxes, _: &Nest, _: &ImageSize) -> Result<BoundingBoxes> {
        Err(Error::unsupported(
            describe(self),
            "bounding boxes of images that are distorted",
            "leave the boxes out, or use a layer that moves images as a whole",
        ))
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.distorted(segmentation_masks, transformation, Interpolation::Nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_elastic_transform");
    }

    #[test]
    fn noise_is_normal_and_the_strength_in_the_scale() {
        let layer = RandomElasticTransform::new().scale((0.25, 0.5)).seed(1);
        let x = ops::zeros([20, 10, 10, 1], None);
        let noise = drawn(&layer, &x, "noise");
        let variance = noise.iter().map(|v| v * v).sum::<f64>() / noise.len() as f64;
        assert!((variance - 1.0).abs() < 0.2, "{variance}");
        assert!((0.25..0.5).contains(&drawn(&layer, &x, "distortion_factor")[0]));
    }
}
