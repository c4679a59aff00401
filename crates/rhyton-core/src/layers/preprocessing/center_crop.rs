//! `CenterCrop`: the middle of images.

use rhyton_ir::Dim;
use rhyton_ir::op::Slice;
use serde::{Deserialize, Serialize};

use super::resizing::{Frame, crop_to_aspect};
use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, DataFormat, Interpolation, Layer, interpolate};
use crate::nest::{Args, Nest};
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
        let frame = Frame::of(&x, self.data_format, "CenterCrop")?;
        let size = [self.height, self.width];
        if frame.size[0] >= self.height && frame.size[1] >= self.width {
            let start = [0, 1].map(|i| (frame.size[i] - size[i]) / 2);
            return Ok(window(&x, &frame, start, size)?.into());
        }
        let (x, frame) = crop_to_aspect(&x, &frame, size)?;
        let y = interpolate::resize(&x, frame.axes, size, Interpolation::Bilinear, false)?;
        Ok(y.cast(x.dtype()).into())
    }
}

/// The part of `size` from `start` on.
pub(super) fn window(x: &Tensor, frame: &Frame, start: [usize; 2], size: [usize; 2]) -> Result<Tensor> {
    let mut first = vec![0; x.rank()];
    let mut limit = x.shape().clone().into_vec();
    for i in 0..2 {
        first[frame.axes[i]] = start[i];
        limit[frame.axes[i]] = Dim::Known(start[i] + size[i]);
    }
    Tensor::apply(Slice { start: first, limit, stride: vec![1; x.rank()] }, &[x]).check().cloned()
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("center_crop");
    }
}
