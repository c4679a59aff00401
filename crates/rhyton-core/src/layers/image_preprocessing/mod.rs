//! Layers on images, which change them at random in training; see [`ImageLayer`] for what they share.

mod base;
mod composite;
mod data;
mod draw;
mod factor;
mod geometry;
#[cfg(test)]
mod golden_test;
mod region;
mod values;

mod aug_mix;
mod auto_contrast;
mod center_crop;
mod clahe;
mod cut_mix;
mod equalization;
mod max_num_bounding_boxes;
mod mix_up;
mod rand_augment;
mod random_brightness;
mod random_color_degeneration;
mod random_color_jitter;
mod random_contrast;
mod random_crop;
mod random_elastic_transform;
mod random_erasing;
mod random_flip;
mod random_gaussian_blur;
mod random_grayscale;
mod random_hue;
mod random_invert;
mod random_perspective;
mod random_posterization;
mod random_rotation;
mod random_saturation;
mod random_sharpness;
mod random_shear;
mod random_translation;
mod random_zoom;
mod resizing;
mod solarization;

use super::{LayerClass, make};

pub use aug_mix::AugMix;
pub use auto_contrast::AutoContrast;
pub use base::{AtInference, ImageLayer, ImageSettings};
pub use center_crop::CenterCrop;
pub use clahe::ContrastLimitedAdaptiveHistogramEqualization;
pub use cut_mix::CutMix;
pub use equalization::Equalization;
pub use factor::{Factor, FillMode, ValueRange};
pub use max_num_bounding_boxes::MaxNumBoundingBoxes;
pub use mix_up::MixUp;
pub use rand_augment::RandAugment;
pub use random_brightness::RandomBrightness;
pub use random_color_degeneration::RandomColorDegeneration;
pub use random_color_jitter::RandomColorJitter;
pub use random_contrast::RandomContrast;
pub use random_crop::RandomCrop;
pub use random_elastic_transform::RandomElasticTransform;
pub use random_erasing::RandomErasing;
pub use random_flip::{FlipMode, RandomFlip};
pub use random_gaussian_blur::RandomGaussianBlur;
pub use random_grayscale::RandomGrayscale;
pub use random_hue::RandomHue;
pub use random_invert::RandomInvert;
pub use random_perspective::RandomPerspective;
pub use random_posterization::RandomPosterization;
pub use random_rotation::RandomRotation;
pub use random_saturation::RandomSaturation;
pub use random_sharpness::RandomSharpness;
pub use random_shear::RandomShear;
pub use random_translation::RandomTranslation;
pub use random_zoom::RandomZoom;
pub use resizing::Resizing;
pub use solarization::Solarization;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Resizing", from_config: make::<Resizing> },
    LayerClass { name: "CenterCrop", from_config: make::<CenterCrop> },
    LayerClass { name: "RandomFlip", from_config: make::<RandomFlip> },
    LayerClass { name: "RandomRotation", from_config: make::<RandomRotation> },
    LayerClass { name: "RandomZoom", from_config: make::<RandomZoom> },
    LayerClass { name: "RandomTranslation", from_config: make::<RandomTranslation> },
    LayerClass { name: "RandomShear", from_config: make::<RandomShear> },
    LayerClass { name: "RandomPerspective", from_config: make::<RandomPerspective> },
    LayerClass { name: "RandomCrop", from_config: make::<RandomCrop> },
    LayerClass { name: "RandomElasticTransform", from_config: make::<RandomElasticTransform> },
    LayerClass { name: "RandomBrightness", from_config: make::<RandomBrightness> },
    LayerClass { name: "RandomContrast", from_config: make::<RandomContrast> },
    LayerClass { name: "RandomSaturation", from_config: make::<RandomSaturation> },
    LayerClass { name: "RandomHue", from_config: make::<RandomHue> },
    LayerClass { name: "RandomGrayscale", from_config: make::<RandomGrayscale> },
    LayerClass { name: "RandomInvert", from_config: make::<RandomInvert> },
    LayerClass { name: "RandomColorJitter", from_config: make::<RandomColorJitter> },
    LayerClass { name: "RandomColorDegeneration", from_config: make::<RandomColorDegeneration> },
    LayerClass { name: "RandomSharpness", from_config: make::<RandomSharpness> },
    LayerClass { name: "RandomGaussianBlur", from_config: make::<RandomGaussianBlur> },
    LayerClass { name: "RandomPosterization", from_config: make::<RandomPosterization> },
    LayerClass { name: "Solarization", from_config: make::<Solarization> },
    LayerClass { name: "AutoContrast", from_config: make::<AutoContrast> },
    LayerClass { name: "Equalization", from_config: make::<Equalization> },
    LayerClass {
        name: "ContrastLimitedAdaptiveHistogramEqualization",
        from_config: make::<ContrastLimitedAdaptiveHistogramEqualization>,
    },
    LayerClass { name: "RandomErasing", from_config: make::<RandomErasing> },
    LayerClass { name: "MixUp", from_config: make::<MixUp> },
    LayerClass { name: "CutMix", from_config: make::<CutMix> },
    LayerClass { name: "RandAugment", from_config: make::<RandAugment> },
    LayerClass { name: "AugMix", from_config: make::<AugMix> },
    LayerClass { name: "MaxNumBoundingBoxes", from_config: make::<MaxNumBoundingBoxes> },
];
