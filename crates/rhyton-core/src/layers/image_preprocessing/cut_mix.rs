//! `CutMix`: a rectangle of images replaced by that of other examples, and labels mixed.

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, image_size, part, transformation};
use super::factor::{self, UNIT, ends};
use super::mix_up::{mixed, permutation};
use super::region::Region;
use super::{AtInference, Factor, ImageLayer};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, describe};
use crate::nest::Nest;
use crate::ops;
use crate::ops::numpy::{broadcast, taken};
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// In training, images of which a rectangle is that of another example of the batch, and labels mixed in the ratio of
/// the areas; otherwise the images.
///
/// The rectangle covers the share `1 − w` of the image, with one `w` an example from the beta distribution of `(α, α)`,
/// and one `α` for the batch, uniform in `factor`. Bounding boxes cannot be cut so.
///
/// # Shapes
/// Those of the input; labels are `(batch, classes)`. Segmentation masks get the channels of the images, as in Keras.
///
/// # Dtypes
/// Images and masks become the compute dtype.
///
/// # Errors
/// If the factor is not from 0 to 1; in training, if there are bounding boxes.
///
/// # References
/// Yun et al., *CutMix*, 2019, <https://arxiv.org/abs/1905.04899>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutMix {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "one", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(CutMix, seed);

fn one() -> Factor {
    Factor::from(1.0)
}

impl Default for CutMix {
    fn default() -> CutMix {
        CutMix::new()
    }
}

impl CutMix {
    /// With `α` from 0 to 1.
    pub fn new() -> CutMix {
        CutMix {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            factor: one(),
            seed: None,
        }
    }

    builders! {
        /// `α`: from 0 to a number, or between two; from 0 to 1 unless said.
        factor: into Factor,
    }
}

impl ImageLayer for CutMix {
    fn check(&self) -> Result<()> {
        self.factor.check("factor", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::AllConverted
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let dtype = compute_dtype(self);
        let (low, high) = ends(self.factor.within(UNIT));
        // Never 0, for which there is no distribution.
        let alpha = random::uniform([0usize; 0], low, high, dtype, seed)? + 1e-6;
        let weight = random::beta(vec![images.dim(0)], &alpha, &alpha, dtype, seed)?;
        let share = ops::sqrt(&(1.0 - weight));
        let region = Region::draw(self, images, &share, &share, seed)?;
        let [height, width] = image_size(images, self.data_format).tensors(dtype);
        let area = (&region.x[1] - &region.x[0]) * (&region.y[1] - &region.y[0]);
        // For each channel, as in Keras: segmentation masks get as many.
        let mask = broadcast(&region.mask(self, images)?, images.shape());
        transformation([
            ("permutation_order", permutation(images, seed)?),
            ("batch_masks", mask),
            ("mix_weight", ops::expand_dims(&(1.0 - area / (width * height)), [1, 2, 3])),
        ])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        if transformation.is_none() {
            return Ok(images);
        }
        let others = taken(&images, part(transformation, "permutation_order")?, 0)?;
        ops::r#where(part(transformation, "batch_masks")?, others, images).check().cloned()
    }

    fn transform_labels(&self, labels: &Tensor, transformation: &Nest) -> Result<Tensor> {
        if transformation.is_none() {
            return Ok(labels.clone());
        }
        let others = taken(labels, part(transformation, "permutation_order")?, 0)?;
        mixed(part(transformation, "mix_weight")?, labels, &others).check().cloned()
    }

    fn transform_bounding_boxes(&self, _: &BoundingBoxes, _: &Nest, _: &ImageSize) -> Result<BoundingBoxes> {
        Err(Error::unsupported(
            describe(self),
            "bounding boxes of images that are cut and mixed",
            "leave the boxes out, or use MixUp",
        ))
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        self.transform_images(segmentation_masks, transformation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("cut_mix");
    }

    #[test]
    fn rectangles_have_the_area_that_labels_are_mixed_by() {
        let x = ops::zeros([50, 16, 16, 1], None);
        let seed = SeedGenerator::new(Some(4));
        let drawn_all = CutMix::new().get_random_transformation(&x, &seed).unwrap();
        let values = |key| part(&drawn_all, key).unwrap().to_vec::<f64>().unwrap();
        let (masks, weights) = (values("batch_masks"), values("mix_weight"));
        for (mask, weight) in masks.chunks(256).zip(&weights) {
            let inside = mask.iter().sum::<f64>() / 256.0;
            // Up to a pixel along each side.
            assert!((1.0 - weight - inside).abs() < 2.0 / 16.0, "{weight} {inside}");
        }
        assert!(drawn(&CutMix::new(), &x, "mix_weight").iter().all(|w| (0.0..=1.0).contains(w)));
    }
}
