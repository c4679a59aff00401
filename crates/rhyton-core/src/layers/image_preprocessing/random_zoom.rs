//! `RandomZoom`: images zoomed at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer, image_size, part, transformation};
use super::factor::ends;
use super::geometry::{Sampling, affine_maps, check_interpolation, mapped};
use super::{Factor, FillMode, ImageLayer, draw};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize, clip_to_image_size, convert_format};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation};
use crate::nest::Nest;
use crate::ops;
use crate::ops::Number;
use crate::ops::primitives::sliced;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, images zoomed about their middle: a pixel at distance `d` is that at `z · d`, with one `z − 1` for each
/// axis of an image, uniform in the factor of that axis; otherwise the images. Positive factors show more of the image,
/// negative ones enlarge it.
///
/// # Shapes
/// Those of the input.
///
/// # Dtypes
/// Images become the compute dtype.
///
/// # Errors
/// If a factor is not above −1 and at most 1, or the interpolation is not nearest or bilinear.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomZoom {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    height_factor: Factor,
    #[serde(default)]
    width_factor: Option<Factor>,
    #[serde(default)]
    fill_mode: FillMode,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default = "zero")]
    fill_value: Number,
}

image_layer!(RandomZoom, seed);

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

fn zero() -> Number {
    Number::Float(0.0)
}

impl RandomZoom {
    /// By up to `height_factor` in both directions, or between two factors; along the width by the same unless it has a
    /// factor.
    pub fn new(height_factor: impl Into<Factor>) -> RandomZoom {
        RandomZoom {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            height_factor: height_factor.into(),
            width_factor: None,
            fill_mode: FillMode::default(),
            interpolation: bilinear(),
            seed: None,
            fill_value: zero(),
        }
    }

    builders! {
        /// The factor along the width; what is drawn for the height holds for both unless said.
        width_factor: some Factor,
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

    /// The maps of images of `size`.
    fn maps(&self, transformation: &Nest, size: &ImageSize) -> Result<Tensor> {
        let zoom = |key| Ok::<_, Error>(part(transformation, key)?.cast(DType::F32));
        let (x, y) = (zoom("width_zoom")?, zoom("height_zoom")?);
        let [height, width] = size.tensors(DType::F32);
        let middle = |length: Tensor, zoom: &Tensor| (length - 1.0) / 2.0 * (1.0 - zoom);
        let (to_x, to_y) = (middle(width, &x), middle(height, &y));
        let zero = ops::zeros_like(&x);
        affine_maps([x, zero.clone(), to_x, zero, y, to_y]).check().cloned()
    }
}

impl ImageLayer for RandomZoom {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        let within = |number| number > -1.0 && number <= 1.0;
        self.height_factor.check_each("height_factor", within, "above -1 and at most 1")?;
        self.width_factor.map_or(Ok(()), |f| f.check_each("width_factor", within, "above -1 and at most 1"))
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let draw = |factor: &Factor| {
            let (low, high) = ends(factor.around_zero());
            draw::uniform(images, &[1], (1.0 + low, 1.0 + high), DType::F32, seed)
        };
        let height = draw(&self.height_factor)?;
        let width = self.width_factor.as_ref().map_or_else(|| Ok(height.clone()), draw)?;
        transformation([("height_zoom", height), ("width_zoom", width)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        mapped(self, &images, &self.maps(transformation, &image_size(&images, self.data_format))?, self.sampling())
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let format = box_format(self)?;
        let boxes = convert_format(&bounding_boxes.boxes, format, BoxFormat::Xyxy, Some(size), DType::F32);
        let maps = self.maps(transformation, size)?;
        let at = |k: usize| ops::expand_dims(&sliced(&maps, 1, k, k + 1), -1);
        let [height, width] = size.tensors(DType::F32);
        // The part of the image that is seen.
        let (left, top) = (at(2), at(5));
        let (right, bottom) = (at(0) * width + &left, at(4) * height + &top);
        let sides = ops::split(boxes.check()?, 4, -1);
        let inside = |side: &Tensor, low: &Tensor, high: &Tensor| ops::minimum(ops::maximum(side, low), high) - low;
        let seen = [
            inside(&sides[0], &left, &right),
            inside(&sides[1], &top, &bottom),
            inside(&sides[2], &left, &right),
            inside(&sides[3], &top, &bottom),
        ];
        let part = ImageSize::new(bottom - top, right - left);
        let boxes =
            convert_format(&ops::concatenate(&seen, -1), BoxFormat::Xyxy, BoxFormat::RelXyxy, Some(&part), DType::F32);
        let zoomed = BoundingBoxes { boxes, ..bounding_boxes.clone() };
        let BoundingBoxes { boxes, labels } = clip_to_image_size(&zoomed, None, BoxFormat::RelXyxy)?;
        Ok(BoundingBoxes { boxes: convert_format(&boxes, BoxFormat::RelXyxy, format, Some(size), DType::F32), labels })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        mapped(
            self,
            segmentation_masks,
            &self.maps(transformation, &image_size(segmentation_masks, self.data_format))?,
            self.sampling().of_masks(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{assert_uniform, check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_zoom");
    }

    #[test]
    fn zooms_are_uniform_in_the_factors() {
        let x = ops::zeros([500, 1, 1, 1], None);
        let layer = RandomZoom::new(0.2).width_factor((0.1, 0.5)).seed(1);
        assert_uniform(&drawn(&layer, &x, "height_zoom"), 0.8, 1.2);
        assert_uniform(&drawn(&layer, &x, "width_zoom"), 1.1, 1.5);
    }
}
