//! `RandomColorJitter`: brightness, contrast, saturation and hue changed at random.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::base::{compute_dtype, image_layer};
use super::composite::{Part, Parts, draw_all, parts_of, transformation_of};
use super::{
    AtInference, Factor, ImageLayer, RandomBrightness, RandomContrast, RandomHue, RandomSaturation, ValueRange,
};
use crate::bounding_boxes::BoxFormat;
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::{Base, DataFormat, LayerRef};
use crate::nest::Nest;
use crate::random::SeedGenerator;
use crate::tensor::Tensor;

/// In training, `RandomBrightness`, `RandomContrast`, `RandomSaturation` and `RandomHue`, those that have a factor, one
/// after the other; otherwise the images.
///
/// # Shapes
/// Those of the input, which has three channels.
///
/// # Dtypes
/// In training the compute dtype.
///
/// # Errors
/// Those of the layers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomColorJitter {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounding_box_format: Option<BoxFormat>,
    #[serde(default)]
    value_range: ValueRange,
    #[serde(default)]
    brightness_factor: Option<Factor>,
    #[serde(default)]
    contrast_factor: Option<Factor>,
    #[serde(default)]
    saturation_factor: Option<Factor>,
    #[serde(default)]
    hue_factor: Option<Factor>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(skip)]
    parts: Arc<OnceLock<Parts>>,
}

image_layer!(RandomColorJitter, seed);

impl RandomColorJitter {
    /// Changes nothing until it has a factor.
    pub fn new() -> RandomColorJitter {
        RandomColorJitter::default()
    }

    builders! {
        /// The factor of `RandomBrightness`.
        brightness_factor: some Factor,
        /// The factor of `RandomContrast`.
        contrast_factor: some Factor,
        /// The factor of `RandomSaturation`.
        saturation_factor: some Factor,
        /// The factor of `RandomHue`.
        hue_factor: some Factor,
        /// The least and the greatest value; 0 and 255 unless said.
        value_range: into ValueRange,
    }

    fn layers(&self) -> &Parts {
        self.parts.get_or_init(|| {
            let range = self.value_range;
            let brightness = self.brightness_factor.map(|factor| -> Part {
                ("random_brightness", Arc::new(RandomBrightness::new(factor).value_range(range)))
            });
            let contrast = self.contrast_factor.map(|factor| -> Part {
                ("random_contrast", Arc::new(RandomContrast::new(factor).value_range(range)))
            });
            let saturation = self.saturation_factor.map(|factor| -> Part {
                ("random_saturation", Arc::new(RandomSaturation::new(factor).value_range(range)))
            });
            let hue = self
                .hue_factor
                .map(|factor| -> Part { ("random_hue", Arc::new(RandomHue::new(factor).value_range(range))) });
            [brightness, contrast, saturation, hue].into_iter().flatten().collect()
        })
    }
}

impl ImageLayer for RandomColorJitter {
    fn check(&self) -> Result<()> {
        self.layers().iter().try_for_each(|(_, layer)| layer.check())
    }

    fn at_inference(&self) -> AtInference {
        AtInference::Nothing
    }

    fn parts(&self) -> Vec<(String, LayerRef)> {
        parts_of(self.layers())
    }

    /// The transformations of the layers, by Keras's attribute names.
    fn get_random_transformation(&self, images: &Tensor, seed: &SeedGenerator) -> Result<Nest> {
        draw_all(self.layers(), &images.cast(compute_dtype(self)), seed)
    }

    fn transform_images(&self, images: &Tensor, transformation: &Nest) -> Result<Tensor> {
        let mut y = images.cast(compute_dtype(self));
        for (name, layer) in self.layers() {
            y = layer.transform_images(&y, transformation_of(transformation, name)?)?;
        }
        Ok(y.cast(compute_dtype(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_test::check_image_layer;
    use super::*;
    use crate::layers::{Call, Layer};
    use crate::ops;

    #[test]
    fn agrees_with_keras() {
        check_image_layer("random_color_jitter");
    }

    #[test]
    fn layers_are_those_with_a_factor() {
        let layer = RandomColorJitter::new().hue_factor(0.1).brightness_factor((0.1, 0.2));
        let names: Vec<String> = layer.children().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["random_brightness", "random_hue"]);
        let error =
            RandomColorJitter::new().contrast_factor(2.0).call(ops::zeros([1, 1, 1, 3], None)).eval().unwrap_err();
        assert!(error.to_string().contains("from 0 to 1"), "{error}");
    }
}
