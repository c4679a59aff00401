//! `Resizing`: images in another size.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, DataFormat, Interpolation, Layer};
use crate::nest::{Args, Nest};
use crate::ops::image::{AspectRatio, resize};

/// Images in the size `height × width`, by interpolation.
///
/// # Shapes
/// `(batch, h, w, channels)` or `(h, w, channels)`, with `height` and `width` for `h` and `w`, which must be known.
///
/// # Dtypes
/// Of integer images rounded back to the dtype.
///
/// # Errors
/// If both of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` are set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resizing {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    height: usize,
    width: usize,
    #[serde(default = "bilinear")]
    interpolation: Interpolation,
    #[serde(default)]
    crop_to_aspect_ratio: bool,
    #[serde(default)]
    pad_to_aspect_ratio: bool,
    #[serde(default = "constant")]
    fill_mode: String,
    #[serde(default)]
    fill_value: f64,
    #[serde(default)]
    antialias: bool,
}

keras_layer!(Resizing);

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

fn constant() -> String {
    "constant".to_owned()
}

impl Resizing {
    /// To `height × width`.
    pub fn new(height: usize, width: usize) -> Resizing {
        Resizing {
            base: Base::default(),
            data_format: DataFormat::default(),
            height,
            width,
            interpolation: bilinear(),
            crop_to_aspect_ratio: false,
            pad_to_aspect_ratio: false,
            fill_mode: constant(),
            fill_value: 0.0,
            antialias: false,
        }
    }

    builders! {
        /// How elements in between are found; linearly unless said.
        interpolation: Interpolation,
        /// Whether the largest middle part of the new aspect ratio is taken first; not unless said.
        crop_to_aspect_ratio: bool,
        /// Whether the image is padded to the new aspect ratio first; not unless said.
        pad_to_aspect_ratio: bool,
        /// What is padded with; 0 unless said.
        fill_value: f64,
        /// Whether kernels widen when the image shrinks; not unless said.
        antialias: bool,
        /// Where the channels are; last unless said.
        data_format: DataFormat,
    }
}

impl Layer for Resizing {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        if self.crop_to_aspect_ratio && self.pad_to_aspect_ratio || self.fill_mode != "constant" {
            return Err(Error::argument(
                "Resizing",
                "cropping together with padding, or a fill_mode other than constant",
                "choose one of crop_to_aspect_ratio and pad_to_aspect_ratio",
            ));
        }
        let aspect = match (self.crop_to_aspect_ratio, self.pad_to_aspect_ratio) {
            (true, _) => AspectRatio::Crop,
            (_, true) => AspectRatio::Pad(self.fill_value),
            _ => AspectRatio::Stretch,
        };
        let (size, format) = ([self.height, self.width], Some(self.data_format.name()));
        let y = resize(inputs.tensor()?, size, self.interpolation.name(), self.antialias, aspect, format);
        Ok(y.check()?.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("resizing");
    }
}
