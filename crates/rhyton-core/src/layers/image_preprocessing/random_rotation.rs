//! `RandomRotation`: images turned at random.

use std::f64::consts::PI;

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer, image_size, part, transformation};
use super::factor::{self, SYMMETRIC, ends};
use super::geometry::{Sampling, affine_maps, check_interpolation, mapped};
use super::{Factor, FillMode, ImageLayer, draw};
use crate::bounding_boxes::{
    Affine, BoundingBoxes, BoxFormat, ImageSize, affine_transform, clip_to_image_size, convert_format,
};
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation};
use crate::nest::Nest;
use crate::ops;
use crate::ops::Number;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, images turned about their middle, each by an angle uniform in `factor` of a full turn,
/// counter-clockwise if positive; otherwise the images.
///
/// As in Keras, bounding boxes are turned as if they were `xyxy`, whatever their format.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// Images become the compute dtype.
///
/// # Errors
/// If the factor is not from −1 to 1, or the interpolation is not nearest or bilinear.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomRotation {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(serialize_with = "factor::symmetric")]
    factor: Factor,
    #[serde(default)]
    fill_mode: FillMode,
    #[serde(default = "zero")]
    fill_value: Number,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomRotation, seed);

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

fn zero() -> Number {
    Number::Float(0.0)
}

impl RandomRotation {
    /// By up to `factor` of a full turn in both directions, or between two factors.
    pub fn new(factor: impl Into<Factor>) -> RandomRotation {
        RandomRotation {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: factor.into(),
            fill_mode: FillMode::default(),
            interpolation: bilinear(),
            seed: None,
            fill_value: zero(),
        }
    }

    builders! {
        /// What is seen where the image has ended; its mirror image unless said.
        fill_mode: FillMode,
        /// How pixels in between are found; linearly unless said.
        interpolation: Interpolation,
        /// What is seen there with the fill mode constant; 0 unless said.
        fill_value: into Number,
    }

    fn sampling(&self) -> Sampling {
        Sampling { interpolation: self.interpolation, fill_mode: self.fill_mode, fill_value: self.fill_value }
    }
}

impl ImageLayer for RandomRotation {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        self.factor.check("factor", SYMMETRIC)
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let (low, high) = ends(self.factor.within(SYMMETRIC));
        let angle = draw::uniform(images, &[], (low * 360.0, high * 360.0), DType::F32, seed)?;
        let [height, width] = image_size(images, self.data_format).tensors(DType::F32);
        let (center_x, center_y) = ((width - 1.0) * 0.5, (height - 1.0) * 0.5);
        let radians = ops::expand_dims(&(&angle * (PI / 180.0)), 1);
        let (cos, sin) = (ops::cos(&radians), ops::sin(&radians));
        let a2 = &center_x - &center_x * &cos + &center_y * &sin;
        let b2 = &center_y - &center_x * &sin - &center_y * &cos;
        let matrix = affine_maps([cos.clone(), -&sin, a2, sin, cos, b2]);
        transformation([("angle", angle), ("rotation_matrix", matrix)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        mapped(self, &images, part(transformation, "rotation_matrix")?, self.sampling())
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let angle = part(transformation, "angle")?;
        let boxes = affine_transform(&bounding_boxes.boxes, &Affine::rotation(angle), size, [0.5, 0.5]);
        let turned = BoundingBoxes { boxes, ..bounding_boxes.clone() };
        let BoundingBoxes { boxes, labels } = clip_to_image_size(&turned, Some(size), BoxFormat::Xyxy)?;
        let boxes = convert_format(&boxes, BoxFormat::Xyxy, box_format(self)?, Some(size), DType::F32);
        Ok(BoundingBoxes { boxes, labels })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        mapped(self, segmentation_masks, part(transformation, "rotation_matrix")?, self.sampling().of_masks())
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;
    use crate::layers::Call;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_rotation");
    }

    #[test]
    fn angles_are_uniform_in_the_factor() {
        let layer = RandomRotation::new((-0.1, 0.3)).seed(1);
        assert_uniform(&drawn(&layer, &ops::zeros([500, 1, 1, 1], None), "angle"), -36.0, 108.0);
    }

    #[test]
    fn cubic_interpolation_is_refused() {
        let y = RandomRotation::new(0.1).interpolation(Interpolation::Bicubic).call(ops::zeros([1, 2, 2, 1], None));
        assert!(y.eval().unwrap_err().to_string().contains("nearest or bilinear"));
    }
}
