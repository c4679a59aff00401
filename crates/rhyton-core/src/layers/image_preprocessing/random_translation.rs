//! `RandomTranslation`: images moved at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer, image_size, part, transformation};
use super::factor::ends;
use super::geometry::{Sampling, affine_maps, check_interpolation, mapped};
use super::{Factor, FillMode, ImageLayer, draw};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize, clip_to_image_size, convert_format};
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation};
use crate::nest::Nest;
use crate::ops;
use crate::ops::Number;
use crate::ops::primitives::sliced;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, images moved down and to the right, each by numbers uniform in the factors times its height and width;
/// otherwise the images.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// Images become the compute dtype.
///
/// # Errors
/// If a factor is not from −1 to 1, or the interpolation is not nearest or bilinear.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomTranslation {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    height_factor: Factor,
    width_factor: Factor,
    #[serde(default)]
    fill_mode: FillMode,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default = "zero")]
    fill_value: Number,
}

image_layer!(RandomTranslation, seed);

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

fn zero() -> Number {
    Number::Float(0.0)
}

impl RandomTranslation {
    /// By up to so much of the height and of the width in both directions, or between two factors.
    pub fn new(height_factor: impl Into<Factor>, width_factor: impl Into<Factor>) -> RandomTranslation {
        RandomTranslation {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            height_factor: height_factor.into(),
            width_factor: width_factor.into(),
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

    /// The maps of shifts `(x, y)`.
    fn maps(transformation: &Nest) -> Result<Tensor> {
        let shift = part(transformation, "translations")?;
        let (x, y) = (-sliced(shift, 1, 0, 1), -sliced(shift, 1, 1, 2));
        let (zero, one) = (ops::zeros_like(&x), ops::ones_like(&x));
        affine_maps([one.clone(), zero.clone(), x, zero, one, y]).check().cloned()
    }
}

impl ImageLayer for RandomTranslation {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        let within = |number| (-1.0..=1.0).contains(&number);
        self.height_factor.check_each("height_factor", within, "from -1 to 1")?;
        self.width_factor.check_each("width_factor", within, "from -1 to 1")
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let draw = |factor: &Factor| draw::uniform(images, &[1], ends(factor.around_zero()), DType::F32, seed);
        let (down, right) = (draw(&self.height_factor)?, draw(&self.width_factor)?);
        let [height, width] = image_size(images, self.data_format).tensors(DType::F32);
        transformation([("translations", ops::concatenate(&[right * width, down * height], 1))])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        mapped(self, &images, &Self::maps(transformation)?, self.sampling())
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let format = box_format(self)?;
        let boxes = convert_format(&bounding_boxes.boxes, format, BoxFormat::Xyxy, Some(size), DType::F32);
        let shift = ops::expand_dims(part(transformation, "translations")?, 1);
        let moved = BoundingBoxes {
            boxes: boxes + ops::concatenate(&[shift.clone(), shift], -1),
            labels: bounding_boxes.labels.clone(),
        };
        let BoundingBoxes { boxes, labels } = clip_to_image_size(&moved, Some(size), BoxFormat::Xyxy)?;
        Ok(BoundingBoxes { boxes: convert_format(&boxes, BoxFormat::Xyxy, format, Some(size), DType::F32), labels })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        mapped(self, segmentation_masks, &Self::maps(transformation)?, self.sampling().of_masks())
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_translation");
    }

    #[test]
    fn shifts_are_uniform_in_the_factors_of_the_size() {
        let x = ops::zeros([500, 4, 2, 1], None);
        let shifts = drawn(&RandomTranslation::new(0.25, (0.0, 0.5)).seed(1), &x, "translations");
        let axis = |k: usize| shifts.iter().skip(k).step_by(2).copied().collect::<Vec<f64>>();
        assert_uniform(&axis(0), 0.0, 1.0);
        assert_uniform(&axis(1), -1.0, 1.0);
    }
}
