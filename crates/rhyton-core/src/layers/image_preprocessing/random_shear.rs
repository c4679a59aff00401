//! `RandomShear`: images sheared at random.

use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer, part, transformation};
use super::factor::{self, ends};
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

/// In training, images whose pixel `(x, y)` is that at `(x + s₀y, y + s₁x)`, with numbers uniform in the factors, both
/// negative for half of the images; otherwise the images.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// Images become the compute dtype.
///
/// # Errors
/// If a factor is not from 0 to 1, or the interpolation is not nearest or bilinear.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomShear {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "none", serialize_with = "factor::around_zero")]
    x_factor: Factor,
    #[serde(default = "none", serialize_with = "factor::around_zero")]
    y_factor: Factor,
    #[serde(default)]
    fill_mode: FillMode,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default = "zero")]
    fill_value: Number,
}

image_layer!(RandomShear, seed);

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

fn zero() -> Number {
    Number::Float(0.0)
}

fn none() -> Factor {
    Factor::from(0.0)
}

impl Default for RandomShear {
    fn default() -> RandomShear {
        RandomShear::new()
    }
}

impl RandomShear {
    /// Shears by nothing until it has a factor.
    pub fn new() -> RandomShear {
        RandomShear {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            x_factor: none(),
            y_factor: none(),
            fill_mode: FillMode::default(),
            interpolation: bilinear(),
            seed: None,
            fill_value: zero(),
        }
    }

    builders! {
        /// Along the width: up to a number in both directions, or between two; 0 unless said.
        x_factor: into Factor,
        /// Along the height: up to a number in both directions, or between two; 0 unless said.
        y_factor: into Factor,
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

    /// The maps of shears `(x, y)`.
    fn maps(transformation: &Nest) -> Result<Tensor> {
        let shear = part(transformation, "shear_factor")?;
        let (x, y) = (sliced(shear, 1, 0, 1), sliced(shear, 1, 1, 2));
        let (zero, one) = (ops::zeros_like(&x), ops::ones_like(&x));
        affine_maps([one.clone(), x, zero.clone(), y, one, zero]).check().cloned()
    }
}

impl ImageLayer for RandomShear {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        for (name, factor) in [("x_factor", &self.x_factor), ("y_factor", &self.y_factor)] {
            // A range that Keras made of a number begins below 0, and must be read back.
            let low = if matches!(factor, Factor::Range(_)) { -1.0 } else { 0.0 };
            factor.check_each(name, |number| (low..=1.0).contains(&number), "from 0 to 1")?;
        }
        Ok(())
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let dtype = compute_dtype(self);
        let sign = draw::sign(images, &[1], dtype, seed)?;
        let draw = |factor: &Factor| draw::uniform(images, &[1], ends(factor.around_zero()), dtype, seed);
        let (y, x) = (draw(&self.y_factor)?, draw(&self.x_factor)?);
        transformation([("shear_factor", ops::concatenate(&[x, y], 1) * sign)])
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
        let (format, dtype) = (box_format(self)?, compute_dtype(self));
        let boxes = convert_format(&bounding_boxes.boxes, format, BoxFormat::RelXyxy, Some(size), dtype);
        let sides: Vec<Tensor> = ops::split(boxes.check()?, 4, -1).iter().map(|side| ops::squeeze(side, -1)).collect();
        let [x1, y1, x2, y2] = [0, 1, 2, 3].map(|k| &sides[k]);
        let shear = part(transformation, "shear_factor")?.cast(dtype);
        let (along_x, along_y) = (sliced(&shear, 1, 0, 1), sliced(&shear, 1, 1, 2));
        let left = ops::less(&along_x, 0.0);
        let at = |x: &Tensor, y: &Tensor| x - &along_x * y;
        let (new_x1, new_x2) =
            (ops::r#where(&left, at(x1, y1), at(x1, y2)), ops::r#where(&left, at(x2, y2), at(x2, y1)));
        let (x1, x2) = (&new_x1, &new_x2);
        let down = ops::greater(&along_y, 0.0);
        let at = |y: &Tensor, x: &Tensor| y - &along_y * x;
        let (new_y1, new_y2) =
            (ops::r#where(&down, at(y1, x2), at(y1, x1)), ops::r#where(&down, at(y2, x1), at(y2, x2)));
        let boxes = ops::stack(&[new_x1.clone(), new_y1, new_x2.clone(), new_y2], -1);
        let sheared = BoundingBoxes { boxes, ..bounding_boxes.clone() };
        let BoundingBoxes { boxes, labels } = clip_to_image_size(&sheared, None, BoxFormat::RelXyxy)?;
        Ok(BoundingBoxes { boxes: convert_format(&boxes, BoxFormat::RelXyxy, format, Some(size), dtype), labels })
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
        check_image_layer("random_shear");
    }

    #[test]
    fn shears_are_uniform_in_the_factors() {
        let x = ops::zeros([500, 1, 1, 1], None);
        let shears = drawn(&RandomShear::new().x_factor(0.25).y_factor(0.5).seed(1), &x, "shear_factor");
        let axis = |k: usize| shears.iter().skip(k).step_by(2).copied().collect::<Vec<f64>>();
        assert_uniform(&axis(0), -0.25, 0.25);
        assert_uniform(&axis(1), -0.5, 0.5);
    }
}
