//! `RandAugment`: a few of eleven changes, chosen at random.

use std::sync::{Arc, OnceLock};

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::composite::{Change, Parts, augmentations, changed_by, draw_all, parts_of, transformation_of};
use super::factor::{self, UNIT};
use super::geometry::check_interpolation;
use super::{AtInference, Factor, ImageLayer, ValueRange};
use crate::bounding_boxes::{BoundingBoxes, BoxFormat, ImageSize};
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation, LayerRef};
use crate::nest::Nest;
use crate::ops;
use crate::ops::primitives::sliced;
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// In training, `num_ops` of eleven layers one after the other, chosen anew for each batch, each with its own random
/// numbers within `factor`; otherwise the images.
///
/// The layers are `RandomShear`, `RandomTranslation`, `RandomRotation`, `RandomBrightness`, `RandomColorDegeneration`,
/// `RandomContrast`, `RandomSharpness`, `RandomPosterization`, `Solarization`, `AutoContrast` and `Equalization`.
///
/// # Shapes
/// Those of the input, which has three channels.
///
/// # Dtypes
/// The compute dtype.
///
/// # Errors
/// If the factor is not from 0 to 1, or the interpolation is not nearest or bilinear.
///
/// # References
/// Cubuk et al., *RandAugment*, 2019, <https://arxiv.org/abs/1909.13719>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugment {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default = "two")]
    num_ops: usize,
    #[serde(default = "half", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(skip)]
    parts: Arc<OnceLock<Parts>>,
}

image_layer!(RandAugment, seed);

fn two() -> usize {
    2
}

fn half() -> Factor {
    Factor::from(0.5)
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

impl Default for RandAugment {
    fn default() -> RandAugment {
        RandAugment::new()
    }
}

impl RandAugment {
    /// Two changes of a strength up to 0.5.
    pub fn new() -> RandAugment {
        RandAugment {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            value_range: ValueRange::default(),
            num_ops: two(),
            factor: half(),
            interpolation: bilinear(),
            seed: None,
            parts: Arc::default(),
        }
    }

    builders! {
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
        /// How many layers are applied; 2 unless said.
        num_ops: usize,
        /// How strong the changes are: from 0 to a number, or between two; from 0 to 0.5 unless said.
        factor: into Factor,
        /// How pixels in between are found; linearly unless said.
        interpolation: Interpolation,
    }

    fn layers(&self) -> &Parts {
        self.parts.get_or_init(|| {
            augmentations(self, Factor::Range(self.factor.within(UNIT)), self.value_range, self.interpolation)
        })
    }

    /// The number of the layer that is applied as the `k`-th.
    fn choice(transformation: &Nest, k: usize) -> Result<Tensor> {
        let chosen = part(transformation, "layer_idxes")?;
        if chosen.rank() != 1 || chosen.dim(0).known().is_none_or(|n| k >= n) {
            let what = format!("\"layer_idxes\" is {}", chosen.ty());
            return Err(Error::shape("transformation", what, "give the number of a layer for each of num_ops"));
        }
        Ok(ops::squeeze(&sliced(chosen, 0, k, k + 1), 0))
    }

    fn changed(&self, x: &Tensor, transformation: &Nest, change: &Change) -> Result<Tensor> {
        let all = transformation_of(transformation, "transforms")?;
        (0..self.num_ops)
            .try_fold(x.clone(), |x, k| changed_by(self.layers(), &Self::choice(transformation, k)?, all, &x, change))
    }
}

impl ImageLayer for RandAugment {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        self.factor.check("factor", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Converted
    }

    fn parts(&self) -> Vec<(String, LayerRef)> {
        parts_of(self.layers())
    }

    /// Which layers are applied, and the transformations of all.
    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let count = self.layers().len() as i64;
        let chosen = transformation([("layer_idxes", random::randint([self.num_ops], 0, count, DType::I32, seed)?)])?;
        let Nest::Dict(mut all) = chosen else { return Ok(chosen) };
        all.insert("transforms".to_owned(), draw_all(self.layers(), images, seed)?);
        Ok(Nest::Dict(all))
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let change = |layer: &dyn ImageLayer, x: &Tensor, t: &Nest| layer.transform_images(x, t);
        self.changed(&images.cast(compute_dtype(self)), transformation, &change)
    }

    fn transform_bounding_boxes(
        &self,
        bounding_boxes: &BoundingBoxes,
        transformation: &Nest,
        size: &ImageSize,
    ) -> Result<BoundingBoxes> {
        let all = transformation_of(transformation, "transforms")?;
        let mut now = bounding_boxes.clone();
        // In the order of the layers, as in Keras, whatever the order in which images go through them.
        for (i, (name, layer)) in self.layers().iter().enumerate() {
            let after = layer.transform_bounding_boxes(&now, transformation_of(all, name)?, size)?;
            for k in 0..self.num_ops {
                let chosen = ops::equal(&Self::choice(transformation, k)?, i as i64);
                now.boxes = ops::r#where(&chosen, &after.boxes, &now.boxes);
                now.labels = ops::r#where(&chosen, &after.labels, &now.labels);
            }
        }
        Ok(BoundingBoxes { boxes: now.boxes.check()?.clone(), labels: now.labels.check()?.clone() })
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let change = |layer: &dyn ImageLayer, x: &Tensor, t: &Nest| layer.transform_segmentation_masks(x, t);
        self.changed(segmentation_masks, transformation, &change)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("rand_augment");
    }

    #[test]
    fn all_layers_are_chosen() {
        let layer = RandAugment::new().num_ops(200).seed(1);
        let chosen = drawn(&layer, &ops::zeros([1, 2, 2, 3], None), "layer_idxes");
        assert!((0..11).all(|k| chosen.contains(&f64::from(k))) && chosen.iter().all(|k| (0.0..11.0).contains(k)));
    }
}
