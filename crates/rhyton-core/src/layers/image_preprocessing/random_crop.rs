//! `RandomCrop`: a part of images at random.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{box_format, compute_dtype, image_layer};
use super::{AtInference, ImageLayer};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize, convert_format};
use crate::error::{Error, Result};
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::ops::image::{AspectRatio, resize};
use crate::ops::primitives::sliced;
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// In training, the same part of `height × width` of all images, anywhere; of images that are not larger in both
/// directions, what begins where the middle part of that aspect ratio does, resized. Otherwise the images, whole, as in
/// Keras.
///
/// The configuration has a seed, drawn if none was given, as in Keras.
///
/// # Shapes
/// `(batch, h, w, channels)` or `(h, w, channels)`, whose `h` and `w` are known, gives `height` and `width` for these.
///
/// # Dtypes
/// In training the compute dtype.
///
/// # Errors
/// If the height or the width of the images is not known, or that of the part is 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    height: usize,
    width: usize,
    #[serde(default = "some_seed")]
    seed: Option<i64>,
}

image_layer!(RandomCrop, seed);

fn some_seed() -> Option<i64> {
    // Keras draws from as many.
    Some((random::next_seed() % 1_000_000_000) as i64)
}

impl RandomCrop {
    /// To `height × width`.
    pub fn new(height: usize, width: usize) -> RandomCrop {
        RandomCrop {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            height,
            width,
            seed: some_seed(),
        }
    }

    /// Height and width of images, which must be known.
    fn size_of(&self, images: &Tensor) -> Result<[usize; 2]> {
        let first = self.data_format.first_spatial();
        match [first, first + 1].map(|axis| images.shape()[axis].known()) {
            [Some(height), Some(width)] => Ok([height, width]),
            _ => Err(Error::shape(
                "RandomCrop",
                format!("height and width of {} are not both known", images.ty()),
                "give Input both",
            )),
        }
    }

    fn is_random(&self, [height, width]: [usize; 2]) -> bool {
        height > self.height && width > self.width
    }

    /// Where the middle part of the aspect ratio begins.
    fn middle(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let matching = |other: usize, to: usize, of: usize| (other as f64 * to as f64 / of as f64) as usize;
        let high = matching(width, self.height, self.width).clamp(1, height.max(1));
        let wide = matching(height, self.width, self.height).clamp(1, width.max(1));
        [(height - high) / 2, (width - wide) / 2]
    }
}

/// The numbers where the part begins, down and to the right.
fn starts(transformation: &Nest) -> Result<[Tensor; 2]> {
    let number = |nest: &Nest| match nest {
        Nest::Tensor(t) => Some(t.cast(DType::I32)),
        Nest::Plain(value) => value.as_i64().map(|n| Tensor::from(n as i32)),
        _ => None,
    };
    let found = match transformation {
        Nest::List(parts) => parts.iter().map(number).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    found.and_then(|parts| parts.try_into().ok()).ok_or_else(|| {
        let what = "it is no pair of numbers";
        Error::argument("transformation", what, "give what get_random_transformation gives")
    })
}

impl ImageLayer for RandomCrop {
    fn check(&self) -> Result<()> {
        if self.height > 0 && self.width > 0 {
            return Ok(());
        }
        let what = format!("a part of {} × {} pixels", self.height, self.width);
        Err(Error::argument("RandomCrop", what, "give a height and a width of at least 1"))
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    /// Where the part begins, down and to the right.
    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let size = self.size_of(images)?;
        if !self.is_random(size) {
            return Ok(self.middle(size).map(|at| Tensor::from(at as i32)).into());
        }
        let draw = |from: usize, to: usize| -> Result<Tensor> {
            Ok(random::uniform([0usize; 0], 0.0, (from - to + 1) as f64, DType::F32, seed)?.cast(DType::I32))
        };
        Ok([draw(size[0], self.height)?, draw(size[1], self.width)?].into())
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let size = self.size_of(images)?;
        let x = images.cast(compute_dtype(self));
        let first = self.data_format.first_spatial();
        if self.is_random(size) {
            let [down, right] = starts(transformation)?;
            let zero = Tensor::from(0i32);
            let mut at = vec![zero.clone(), zero.clone(), zero.clone(), zero];
            (at[first], at[first + 1]) = (down, right);
            let mut shape = x.shape().clone();
            (shape[first], shape[first + 1]) = (self.height.into(), self.width.into());
            let operands: Vec<&Tensor> = std::iter::once(&x).chain(&at).collect();
            return Tensor::apply(rhyton_ir::op::DynamicSlice { sizes: shape }, &operands).check().cloned();
        }
        let [down, right] = self.middle(size);
        let (bottom, end) = ((down + self.height).min(size[0]), (right + self.width).min(size[1]));
        let part = sliced(&sliced(&x, first, down, bottom), first + 1, right, end);
        if [bottom - down, end - right] == [self.height, self.width] {
            return part.check().cloned();
        }
        let (to, format) = ([self.height, self.width], Some(self.data_format.name()));
        resize(&part, to, "bilinear", false, AspectRatio::Stretch, format).check().map(|y| y.cast(x.dtype()))
    }

    /// As in Keras: in pixels of the part, with the shift down taken off the first and third number of `xyxy`, and that
    /// to the right off the others.
    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        _: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let (format, size) = (box_format(self)?, ImageSize::from([self.height, self.width]));
        let convert = |boxes: &Tensor, from, to| convert_format(boxes, from, to, Some(&size), DType::F32);
        let boxes = convert(&bounding_boxes.boxes, format, BoxFormat::Xyxy);
        let [down, right] = starts(transformation)?.map(|t| t.cast(DType::F32));
        let shift = ops::stack(&[down.clone(), right.clone(), down, right], 0);
        let boxes = ops::maximum(boxes - shift, 0.0);
        Ok(BoundingBoxes { boxes: convert(&boxes, BoxFormat::Xyxy, format), labels: bounding_boxes.labels.clone() })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.transform_images(segmentation_masks, transformation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;
    use super::*;
    use crate::layers::Call;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_crop");
    }

    #[test]
    fn all_places_are_met_and_none_outside() {
        let x = ops::reshape(&ops::arange(20, None, None, Some(DType::F32)), &[1, 4, 5, 1]);
        let layer = RandomCrop::new(3, 3).seed(1);
        let first: Vec<f32> = (0..100).map(|_| layer.call(&x).to_vec::<f32>().unwrap()[0]).collect();
        for corner in [0.0, 1.0, 2.0, 5.0, 6.0, 7.0] {
            assert!(first.contains(&corner), "{corner} among {first:?}");
        }
        assert!(first.iter().all(|corner| [0.0, 1.0, 2.0, 5.0, 6.0, 7.0].contains(corner)));
    }
}
