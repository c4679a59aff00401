//! `MixUp`: images and labels mixed with those of other examples.

use rhyton_ir::{DType, TensorType};
use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::{AtInference, ImageLayer};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat};
use crate::nest::Nest;
use crate::ops;
use crate::ops::numpy::taken;
use crate::ops::primitives::reshaped;
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// In training, `w · x + (1 − w) · x'` with another example `x'` of the batch, for images and labels, one `w` an
/// example from the beta distribution of `(alpha, alpha)`; otherwise the images.
///
/// Of bounding boxes, those of the other example are added. As in Keras, their labels come behind those of the whole
/// batch, and segmentation masks are mixed with single elements of the flattened masks.
///
/// # Shapes
/// Those of the input; labels are `(batch, classes)`.
///
/// # Dtypes
/// Images become the compute dtype.
///
/// # References
/// Zhang et al., *mixup: beyond empirical risk minimization*, 2017, <https://arxiv.org/abs/1710.09412>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixUp {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default = "fifth")]
    alpha: f64,
    #[serde(default)]
    seed: Option<i64>,
}

image_layer!(MixUp, seed);

fn fifth() -> f64 {
    0.2
}

impl Default for MixUp {
    fn default() -> MixUp {
        MixUp::new()
    }
}

impl MixUp {
    /// With weights from the beta distribution of `(0.2, 0.2)`, most of them near 0 or 1.
    pub fn new() -> MixUp {
        MixUp {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            alpha: fifth(),
            seed: None,
        }
    }

    builders! {
        /// Both parameters of the beta distribution; 0.2 unless said.
        alpha: f64,
    }
}

/// The examples of a batch in random order.
pub(super) fn permutation(images: &Tensor, seed: &SeedGenerator) -> Result<Tensor> {
    let key = TensorType::new(DType::I64, vec![images.dim(0)]);
    let order = ops::primitives::iota(key.dtype, key.shape, 0);
    random::shuffle(&order, 0, seed)
}

/// `w · x + (1 − w) · y` with one `w` an example.
pub(super) fn mixed(weight: &Tensor, x: &Tensor, y: &Tensor) -> Tensor {
    let mut shape = vec![weight.dim(0)];
    shape.resize(x.rank().max(1), 1usize.into());
    let weight = reshaped(weight, shape);
    &weight * x + (1.0 - &weight) * y
}

impl ImageLayer for MixUp {
    fn check(&self) -> Result<()> {
        if self.alpha > 0.0 && self.alpha.is_finite() {
            return Ok(());
        }
        let what = format!("{} is not above 0", self.alpha);
        Err(Error::argument("alpha", what, "give a positive number"))
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let order = permutation(images, seed)?;
        let weight = random::beta(vec![images.dim(0)], self.alpha, self.alpha, DType::F32, seed)?;
        transformation([("mix_weight", weight), ("permutation_order", order)])
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let images = images.cast(compute_dtype(self));
        let others = taken(&images, part(transformation, "permutation_order")?, 0)?;
        let weight = part(transformation, "mix_weight")?.cast(compute_dtype(self));
        mixed(&weight, &images, &others).check().cloned()
    }

    fn transform_labels(&self, labels: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let others = taken(labels, part(transformation, "permutation_order")?, 0)?;
        mixed(part(transformation, "mix_weight")?, labels, &others).check().cloned()
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        _: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let order = part(transformation, "permutation_order")?;
        let BoundingBoxes { boxes, labels } = bounding_boxes;
        let boxes = ops::concatenate(&[boxes.clone(), taken(boxes, order, 0)?], 1);
        let labels = ops::concatenate(&[labels.clone(), taken(labels, order, 0)?], 0);
        Ok(BoundingBoxes { boxes: boxes.check()?.clone(), labels: labels.check()?.clone() })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let others = ops::take(segmentation_masks, part(transformation, "permutation_order")?, None);
        mixed(part(transformation, "mix_weight")?, segmentation_masks, &others).check().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("mix_up");
    }

    #[test]
    fn weights_are_of_the_beta_distribution_and_the_order_is_a_permutation() {
        let x = ops::zeros([400, 1, 1, 1], None);
        let layer = MixUp::new().alpha(0.5).seed(1);
        let weights = drawn(&layer, &x, "mix_weight");
        let mean = weights.iter().sum::<f64>() / 400.0;
        let variance = weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / 400.0;
        // Those of beta(½, ½) are ½ and ⅛.
        assert!((mean - 0.5).abs() < 0.09 && (variance - 0.125).abs() < 0.03, "{mean} {variance}");
        let mut order = drawn(&layer, &x, "permutation_order");
        assert_ne!(order, (0..400).map(f64::from).collect::<Vec<_>>());
        order.sort_by(f64::total_cmp);
        assert_eq!(order, (0..400).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn tiny_alphas_take_one_example_or_the_other() {
        let weights = drawn(&MixUp::new().alpha(1e-3).seed(1), &ops::zeros([300, 1, 1, 1], None), "mix_weight");
        assert!(weights.iter().all(|w| (0.0..=1.0).contains(w)), "{weights:?}");
    }
}
