//! `Resizing`: images in another size.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::center_crop::window;
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, DataFormat, Interpolation, Layer, interpolate};
use crate::nest::{Args, Nest};
use crate::ops::{self, Number};
use crate::tensor::Tensor;

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

/// Where the height and width of images are, and what they are.
pub(super) struct Frame {
    pub(super) axes: [usize; 2],
    pub(super) size: [usize; 2],
}

impl Frame {
    pub(super) fn of(x: &Tensor, format: DataFormat, layer: &str) -> Result<Frame> {
        let first = match (x.rank(), format) {
            (3, DataFormat::ChannelsLast) => 0,
            (3, DataFormat::ChannelsFirst) | (4, DataFormat::ChannelsLast) => 1,
            _ => 2,
        };
        let size = |axis: usize| x.shape().get(axis).and_then(|d| d.known()).filter(|&n| n > 0);
        match (size(first), size(first + 1)) {
            (Some(height), Some(width)) if x.rank() == 3 || x.rank() == 4 => {
                Ok(Frame { axes: [first, first + 1], size: [height, width] })
            }
            _ => Err(Error::shape(
                layer,
                format!("the input {} is no image or batch of images of known size", x.shape()),
                "give (batch, height, width, channels) with known height and width",
            )),
        }
    }
}

/// The size of the aspect ratio of `size` that is as large as one axis of the frame, from the other.
fn of_aspect(frame: &Frame, size: [usize; 2]) -> [usize; 2] {
    // In float32, as Keras computes it.
    let scaled = |other: usize, i: usize| ((frame.size[other] * size[i]) as f32 / size[other].max(1) as f32) as usize;
    [scaled(1, 0), scaled(0, 1)]
}

/// The largest middle part with the aspect ratio of `size`.
pub(super) fn crop_to_aspect(x: &Tensor, frame: &Frame, size: [usize; 2]) -> Result<(Tensor, Frame)> {
    let wanted = of_aspect(frame, size);
    let part = [0, 1].map(|i| wanted[i].min(frame.size[i]).max(1));
    let start = [0, 1].map(|i| (frame.size[i] - part[i]) / 2);
    Ok((window(x, frame, start, part)?, Frame { axes: frame.axes, size: part }))
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
        let images = inputs.tensor()?;
        let size = [self.height, self.width];
        let mut frame = Frame::of(images, self.data_format, "Resizing")?;
        let mut x = images.clone();
        if self.crop_to_aspect_ratio {
            (x, frame) = crop_to_aspect(&x, &frame, size)?;
        } else if self.pad_to_aspect_ratio {
            let wanted = of_aspect(&frame, size);
            let mut width = vec![[0i64; 2]; x.rank()];
            for i in 0..2 {
                // The same on both sides: an odd element more is not added, as in Keras.
                width[frame.axes[i]] = [((wanted[i].max(frame.size[i]) - frame.size[i]) / 2) as i64; 2];
            }
            x = ops::pad(&x, width, "constant", Some(Number::from(self.fill_value)));
        }
        let y = interpolate::resize(&x, frame.axes, size, self.interpolation, self.antialias)?;
        Ok(to_dtype(&y, images.dtype()).check()?.into())
    }
}

/// Floating-point images in `dtype`; of integers rounded and held to what the dtype can be.
fn to_dtype(x: &Tensor, dtype: DType) -> Tensor {
    if dtype.is_float() {
        return x.cast(dtype);
    }
    let bits = 8 * dtype.size() as i32;
    let (low, high) = match dtype {
        DType::Bool => (0.0, 1.0),
        _ if dtype.is_signed_int() => (-(2f64.powi(bits - 1)), 2f64.powi(bits - 1) - 1.0),
        _ => (0.0, 2f64.powi(bits) - 1.0),
    };
    ops::clip(&ops::round(x, 0), low, high).cast(dtype)
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("resizing");
    }
}
