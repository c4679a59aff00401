//! `AugMix`: images mixed with several chains of changes, chosen at random.

use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer, part, transformation};
use super::composite::{Change, Parts, augmentations, changed_by, draw_all, parts_of, transformation_of};
use super::factor::{self, UNIT};
use super::geometry::check_interpolation;
use super::{AtInference, Factor, ImageLayer, ValueRange};
use crate::bounding_boxes::BoxFormat;
use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, Interpolation, LayerRef};
use crate::nest::Nest;
use crate::ops;
use crate::ops::primitives::sliced;
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// Keras's order of the layers; the last four only with `all_ops`.
const ORDER: [&str; 11] = [
    "random_shear",
    "random_translation",
    "random_rotation",
    "random_posterization",
    "solarization",
    "auto_contrast",
    "equalization",
    "random_brightness",
    "random_color_degeneration",
    "random_contrast",
    "random_sharpness",
];

/// In training, `w · x + (1 − w) · Σᵢ vᵢ · chainᵢ(x)`, held within the value range; otherwise the images.
///
/// A chain is up to `chain_depth` of seven layers (of eleven with `all_ops`, those of
/// [`RandAugment`](super::RandAugment)) one after the other, each chosen at random, or none. The `vᵢ` are from the
/// Dirichlet distribution of `alpha`, `w` from the beta distribution of `(alpha, alpha)`, one for the whole batch.
/// Layers are chosen anew for each batch; in Keras they are once a function is traced.
///
/// # Shapes
/// Those of the input, which has three channels.
///
/// # Dtypes
/// The compute dtype.
///
/// # Errors
/// If the factor is not from 0 to 1, `alpha` is not above 0, there is no chain, or the interpolation is not nearest or
/// bilinear.
///
/// # References
/// Hendrycks et al., *AugMix*, 2019, <https://arxiv.org/abs/1912.02781>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugMix {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default = "three")]
    num_chains: usize,
    #[serde(default = "three")]
    chain_depth: usize,
    #[serde(default = "third", serialize_with = "factor::unit")]
    factor: Factor,
    #[serde(default = "one")]
    alpha: f64,
    #[serde(default = "yes")]
    all_ops: bool,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(skip)]
    parts: Arc<OnceLock<Parts>>,
}

image_layer!(AugMix, seed);

fn three() -> usize {
    3
}

fn third() -> Factor {
    Factor::from(0.3)
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

impl Default for AugMix {
    fn default() -> AugMix {
        AugMix::new()
    }
}

impl AugMix {
    /// Three chains of up to three changes of a strength up to 0.3.
    pub fn new() -> AugMix {
        AugMix {
            base: Base::default(),
            data_format: DataFormat::default(),
            bounding_box_format: None,
            value_range: ValueRange::default(),
            num_chains: three(),
            chain_depth: three(),
            factor: third(),
            alpha: one(),
            all_ops: yes(),
            interpolation: bilinear(),
            seed: None,
            parts: Arc::default(),
        }
    }

    builders! {
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
        /// How many chains there are; 3 unless said.
        num_chains: usize,
        /// How many changes a chain has at most; 3 unless said.
        chain_depth: usize,
        /// How strong the changes are: from 0 to a number, or between two; from 0 to 0.3 unless said.
        factor: into Factor,
        /// How even the shares are: small numbers prefer one chain; 1 unless said.
        alpha: f64,
        /// Whether brightness, colours, contrast and sharpness are among the changes; they are unless said.
        all_ops: bool,
        /// How pixels in between are found; linearly unless said.
        interpolation: Interpolation,
    }

    fn layers(&self) -> &Parts {
        self.parts.get_or_init(|| {
            let factor = Factor::Range(self.factor.within(UNIT));
            let mut all = augmentations(self, factor, self.value_range, self.interpolation);
            let place = |name: &str| ORDER.iter().position(|n| *n == name).unwrap_or(ORDER.len());
            all.sort_by_key(|(name, _)| place(name));
            all.truncate(if self.all_ops { ORDER.len() } else { 7 });
            all
        })
    }

    /// `w · x + (1 − w) · Σᵢ vᵢ · chainᵢ(x)`.
    fn mixed(&self, x: &Tensor, transformation: &Nest, change: &Change) -> Result<Tensor> {
        let dtype = compute_dtype(self);
        let shares = part(transformation, "chain_mixing_weights")?.cast(dtype);
        let kept = part(transformation, "weight_sample")?.cast(dtype);
        let Nest::List(chains) = transformation_of(transformation, "chain_transforms")? else {
            let what = "\"chain_transforms\" is no list of chains";
            return Err(Error::argument("transformation", what, "give what get_random_transformation gives"));
        };
        let mut sum: Option<Tensor> = None;
        for (i, chain) in chains.iter().enumerate() {
            let steps = if let Nest::List(steps) = chain { &steps[..] } else { &[] };
            let step = |y: Tensor, step: &Nest| {
                let transforms = transformation_of(step, "transforms")?;
                changed_by(self.layers(), part(step, "layer_idx")?, transforms, &y, change)
            };
            let y = steps.iter().try_fold(x.clone(), step)?;
            let share = ops::squeeze(&sliced(&shares, 0, i, i + 1), 0);
            let weighted = y * share;
            sum = Some(sum.map_or(weighted.clone(), |sum| sum + &weighted));
        }
        let sum = sum.unwrap_or_else(|| ops::zeros_like(x));
        (&kept * x + (1.0 - &kept) * sum).check().cloned()
    }
}

impl ImageLayer for AugMix {
    fn check(&self) -> Result<()> {
        check_interpolation(self.interpolation)?;
        if self.num_chains == 0 || self.alpha <= 0.0 || !self.alpha.is_finite() {
            let what = format!("{} chains with alpha {}", self.num_chains, self.alpha);
            return Err(Error::argument("AugMix", what, "give at least one chain, and a positive number"));
        }
        self.factor.check("factor", UNIT)
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Converted
    }

    fn parts(&self) -> Vec<(String, LayerRef)> {
        parts_of(self.layers())
    }

    /// The shares, and for each step of each chain the number of a layer (behind the last for none) and the
    /// transformations of all.
    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        let shares = random::gamma([self.num_chains], self.alpha, DType::F32, seed)?;
        let shares = &shares / ops::sum(&shares, -1, true);
        let kept = random::beta([0usize; 0], self.alpha, self.alpha, DType::F32, seed)?;
        let mut chains = Vec::new();
        for _ in 0..self.num_chains {
            let mut steps = Vec::new();
            for _ in 0..self.chain_depth {
                let index = random::randint([0usize; 0], 0, self.layers().len() as i64 + 1, DType::I32, seed)?;
                let transforms = draw_all(self.layers(), images, seed)?;
                steps.push(Nest::Dict(IndexMap::from([
                    ("layer_idx".to_owned(), index.into()),
                    ("transforms".to_owned(), transforms),
                ])));
            }
            chains.push(Nest::List(steps));
        }
        let drawn = transformation([("chain_mixing_weights", shares), ("weight_sample", kept)])?;
        let Nest::Dict(mut all) = drawn else { return Ok(drawn) };
        all.insert("chain_transforms".to_owned(), Nest::List(chains));
        Ok(Nest::Dict(all))
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let change = |layer: &dyn ImageLayer, x: &Tensor, t: &Nest| layer.transform_images(x, t);
        let y = self.mixed(&images.cast(compute_dtype(self)), transformation, &change)?;
        let [low, high] = self.value_range.ends();
        ops::clip(&y, low, high).check().map(|y| y.cast(compute_dtype(self)))
    }

    fn transform_segmentation_masks(&self, segmentation_masks: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let change = |layer: &dyn ImageLayer, x: &Tensor, t: &Nest| layer.transform_segmentation_masks(x, t);
        self.mixed(segmentation_masks, transformation, &change)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::{check_image_layer, drawn};
    use super::*;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("aug_mix");
    }

    #[test]
    fn shares_sum_to_one() {
        let shares =
            drawn(&AugMix::new().num_chains(5).chain_depth(1), &ops::zeros([1, 2, 2, 3], None), "chain_mixing_weights");
        assert!(shares.len() == 5 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn without_all_ops_there_are_seven_layers() {
        let names: Vec<String> = ImageLayer::parts(&AugMix::new().all_ops(false)).into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ORDER[..7]);
    }
}
