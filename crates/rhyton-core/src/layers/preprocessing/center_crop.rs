//! `CenterCrop`: the middle of images.

use rhyton_ir::op::Slice;
use rhyton_ir::{DType, Dim};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, DataFormat, Layer};
use crate::nest::{Args, Nest};
use crate::ops::image::{AspectRatio, resize};
use crate::promotion::promote;
use crate::tensor::Tensor;

/// The middle `height × width` of images; of smaller ones, the largest middle part of that aspect ratio, resized.
///
/// # Shapes
/// `(batch, h, w, channels)` or `(h, w, channels)`, with `height` and `width` for `h` and `w`, which must be known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    data_format: DataFormat,
    height: usize,
    width: usize,
}

keras_layer!(CenterCrop);

impl CenterCrop {
    /// To `height × width`.
    pub fn new(height: usize, width: usize) -> CenterCrop {
        CenterCrop { base: Base::default(), data_format: DataFormat::default(), height, width }
    }

    builders! {
        /// Where the channels are; last unless said.
        data_format: DataFormat,
    }
}

impl Layer for CenterCrop {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?.cast(self.base.compute_dtype());
        let [height, width] = image_axes(&x, self.data_format, "CenterCrop")?;
        let size = [self.height, self.width];
        let from = [height, width].map(|axis| x.shape()[axis].known().unwrap_or(0));
        if from.iter().zip(&size).any(|(from, to)| from < to) {
            // Keras gives float32 here, whatever the compute dtype.
            let (x, format) = (x.cast(promote(x.dtype(), DType::F32)), Some(self.data_format.name()));
            return Ok(resize(&x, size, "bilinear", false, AspectRatio::Crop, format).check()?.into());
        }
        let mut start = vec![0; x.rank()];
        let mut limit = x.shape().clone().into_vec();
        for (i, axis) in [height, width].into_iter().enumerate() {
            start[axis] = (from[i] - size[i]) / 2;
            limit[axis] = Dim::Known(start[axis] + size[i]);
        }
        let stride = vec![1; x.rank()];
        Ok(Tensor::apply(Slice { start, limit, stride }, &[&x]).check()?.into())
    }
}

/// The axes of height and width of an image or a batch of images of known size.
fn image_axes(x: &Tensor, format: DataFormat, layer: &str) -> Result<[usize; 2]> {
    let first = x.rank().checked_sub(if format == DataFormat::ChannelsLast { 3 } else { 2 });
    let known = |axis: usize| x.shape()[axis].known().is_some();
    match first.filter(|_| matches!(x.rank(), 3 | 4)) {
        Some(first) if known(first) && known(first + 1) => Ok([first, first + 1]),
        _ => Err(Error::shape(
            layer,
            format!("the input {} is no image or batch of images of known size", x.shape()),
            "give (batch, height, width, channels) with known height and width",
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("center_crop");
    }

    #[test]
    fn only_images_are_cropped() {
        let error = CenterCrop::new(1, 1).call(Tensor::new([2, 2], vec![0.0f32; 4])).eval().unwrap_err();
        assert!(error.to_string().contains("no image"), "{error}");
    }
}
