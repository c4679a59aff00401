//! `RandomPerspective`: images seen from another side at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer, image_size, part, transformation};
use super::factor::{self, UNIT};
use super::geometry::check_interpolation;
use super::{Factor, ImageLayer, draw};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize, clip_to_image_size, convert_format};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation};
use crate::nest::Nest;
use crate::ops;
use crate::ops::Number;
use crate::ops::image::{homography, perspective_transform};
use crate::ops::primitives::reshaped;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, with a probability uniform in `factor`, images whose corners are moved, each coordinate `c` by a number
/// uniform in `±scale · c / 2`; otherwise the images.
///
/// As in Keras, bounding boxes stay `xyxy` once they are moved, whatever their format.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// Images become the compute dtype.
///
/// # Errors
/// If the factor or the scale is not from 0 to 1, or the interpolation is not nearest or bilinear.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomPerspective {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "one", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default = "full")]
    scale: f64,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default = "zero")]
    fill_value: Number,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(RandomPerspective, seed);

fn one() -> Factor {
    Factor::from(1.0)
}

fn full() -> f64 {
    1.0
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

fn zero() -> Number {
    Number::Float(0.0)
}

impl Default for RandomPerspective {
    fn default() -> RandomPerspective {
        RandomPerspective::new()
    }
}

impl RandomPerspective {
    /// With a probability from 0 to 1, and corners that move as far as can be.
    pub fn new() -> RandomPerspective {
        RandomPerspective {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: one(),
            scale: full(),
            interpolation: bilinear(),
            fill_value: zero(),
            seed: None,
        }
    }

    builders! {
        /// The probability: from 0 to a number, or between two; from 0 to 1 unless said.
        factor: into Factor,
        /// How far corners move; 1 unless said.
        scale: f64,
        /// How pixels in between are found; linearly unless said.
        interpolation: Interpolation,
        /// What is seen where the image has ended; 0 unless said.
        fill_value: into Number,
    }

    fn seen(&self, images: &Tensor, transformation: &Nest, interpolation: Interpolation) -> Result<Tensor> {
        let format = Some(self.data_format.name());
        let (start, end) = (part(transformation, "start_points")?, part(transformation, "end_points")?);
        let moved = perspective_transform(images, start, end, interpolation.name(), self.fill_value, format);
        let apply = draw::over_pixels(part(transformation, "apply_perspective")?);
        ops::r#where(apply, moved, images).check().cloned()
    }
}

impl ImageLayer for RandomPerspective {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        if !(0.0..=1.0).contains(&self.scale) {
            let what = format!("{} is not between 0 and 1", self.scale);
            return Err(Error::argument("scale", what, "give a number from 0 to 1"));
        }
        self.factor.check("factor", UNIT)
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let apply = draw::happens(images, self.factor.within(UNIT), seed)?;
        let half = 0.5 * self.scale;
        let moves = draw::uniform(images, &[4, 2], (-half, half), compute_dtype(self), seed)?;
        let [height, width] = image_size(images, self.data_format).tensors(compute_dtype(self));
        let (right, bottom) = (width - 1.0, height - 1.0);
        let zero = ops::zeros_like(&right);
        let corners = [&zero, &zero, &right, &zero, &zero, &bottom, &right, &bottom].map(Clone::clone);
        let corners = reshaped(ops::stack(&corners, 0).check()?, [1, 4, 2]);
        let start = &corners + ops::zeros_like(&moves);
        let end = &start + &start * moves;
        transformation([("apply_perspective", apply), ("start_points", start), ("end_points", end)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.seen(&images.cast(compute_dtype(self)), transformation, self.interpolation)
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let boxes = convert_format(&bounding_boxes.boxes, box_format(self)?, BoxFormat::Xyxy, Some(size), DType::F32);
        let maps = homography(part(transformation, "start_points")?, part(transformation, "end_points")?)?;
        let corner = ops::ones_like(&crate::ops::primitives::sliced(&maps, 1, 0, 1));
        let matrices = ops::concatenate(&[maps.clone(), corner], 1);
        let matrices = reshaped(matrices.check()?, vec![maps.dim(0), 3usize.into(), 3usize.into()]);
        // Pixels are found through the map, so that what is in them moves by its inverse.
        let inverse = ops::inv(&matrices);
        let sides = ops::split(boxes.check()?, 4, -1);
        let [x1, y1, x2, y2] = [0, 1, 2, 3].map(|k| &sides[k]);
        let one = ops::ones_like(x1);
        let mut places: [Vec<Tensor>; 2] = [vec![], vec![]];
        for (x, y) in [(x1, y1), (x2, y2), (x1, y2), (x2, y1)] {
            let point = ops::concatenate(&[x.clone(), y.clone(), one.clone()], -1);
            let moved = ops::split(ops::einsum("bnj,bij->bni", &[&point, &inverse]).check()?, 3, -1);
            places[0].push(&moved[0] / &moved[2]);
            places[1].push(&moved[1] / &moved[2]);
        }
        let [xs, ys] = places.map(|sides| ops::concatenate(&sides, -1));
        let (low, high) = (|t: &Tensor| ops::min(t, -1, true), |t: &Tensor| ops::max(t, -1, true));
        let moved = ops::concatenate(&[low(&xs), low(&ys), high(&xs), high(&ys)], -1);
        let apply = ops::expand_dims(part(transformation, "apply_perspective")?, [1, 2]);
        let moved = BoundingBoxes { boxes: ops::r#where(apply, moved, boxes), ..bounding_boxes.clone() };
        clip_to_image_size(&moved, Some(size), BoxFormat::Xyxy)
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.seen(segmentation_masks, transformation, Interpolation::Nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_perspective");
    }

    #[test]
    fn corners_move_by_up_to_half_of_the_scale() {
        let x = ops::zeros([300, 5, 9, 1], None);
        let layer = RandomPerspective::new().factor((1.0, 1.0)).scale(0.5).seed(1);
        assert!(drawn(&layer, &x, "apply_perspective").iter().all(|&applied| applied == 1.0));
        let right = drawn(&layer, &x, "end_points").into_iter().skip(2).step_by(8).collect::<Vec<f64>>();
        super::super::golden_test::assert_uniform(&right, 6.0, 10.0);
    }
}
