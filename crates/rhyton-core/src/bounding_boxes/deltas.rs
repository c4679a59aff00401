//! Boxes as what they differ by from anchors, which detectors predict.

use rhyton_ir::DType;

use super::{BoxFormat, ImageSize, convert_format, joined, sides};
use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::ops;
use crate::tensor::Tensor;

/// The four numbers by which deltas are divided, which `variance` of length 4 gives.
fn variances(variance: Option<[f64; 4]>) -> [f64; 4] {
    variance.unwrap_or([1.0; 4])
}

fn centred(format: BoxFormat) -> Result<()> {
    if matches!(format, BoxFormat::CenterXywh | BoxFormat::CenterYxhw) {
        return Ok(());
    }
    let what = format!("the encoding format {format:?}");
    Err(Error::argument("bounding_boxes", what, "use center_xywh or center_yxhw"))
}

/// What `boxes` differ by from `anchors`: the shift of the centre as parts of the anchor's size, and the logarithm of
/// the ratio of the sizes, in the order of `encoding_format` (Keras's default is `center_yxhw`), each over its
/// `variance`.
#[track_caller]
pub fn encode_box_to_deltas(
    anchors: &Tensor,
    boxes: &Tensor,
    anchor_format: BoxFormat,
    box_format: BoxFormat,
    encoding_format: BoxFormat,
    variance: Option<[f64; 4]>,
    size: Option<&ImageSize>,
) -> Tensor {
    let encoded = || {
        centred(encoding_format)?;
        let numbers = |t: &Tensor, format| sides(&convert_format(t, format, encoding_format, size, DType::F32));
        let anchor = numbers(anchors, anchor_format)?;
        let given = numbers(boxes, box_format)?;
        let variance = variances(variance);
        let delta = |i: usize| {
            let length = ops::maximum(&anchor[i % 2 + 2], epsilon());
            let delta = match i {
                0 | 1 => (&given[i] - &anchor[i]) / length,
                _ => ops::log(&(ops::maximum(&given[i], epsilon()) / length)),
            };
            delta / variance[i]
        };
        joined(std::array::from_fn(delta)).check().cloned()
    };
    Tensor::from(encoded())
}

/// The boxes that differ by `boxes_delta` from `anchors`; what [`encode_box_to_deltas`] undoes.
#[track_caller]
pub fn decode_deltas_to_boxes(
    anchors: &Tensor,
    boxes_delta: &Tensor,
    anchor_format: BoxFormat,
    box_format: BoxFormat,
    encoded_format: BoxFormat,
    variance: Option<[f64; 4]>,
    size: Option<&ImageSize>,
) -> Tensor {
    let decoded = || {
        centred(encoded_format)?;
        let anchor = sides(&convert_format(anchors, anchor_format, encoded_format, size, DType::F32))?;
        let (deltas, variance) = (sides(boxes_delta)?, variances(variance));
        let number = |i: usize| {
            let (delta, length) = (&deltas[i] * variance[i], &anchor[i % 2 + 2]);
            if i < 2 { delta * length + &anchor[i] } else { ops::exp(&delta) * length }
        };
        let boxes = joined(std::array::from_fn(number));
        convert_format(&boxes, encoded_format, box_format, size, DType::F32).check().cloned()
    };
    Tensor::from(decoded())
}
