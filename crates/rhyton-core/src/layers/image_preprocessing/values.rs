//! Values of pixels in another range.

use rhyton_ir::DType;

use crate::tensor::Tensor;

/// The range in which the arithmetic of colours is Keras's.
pub(super) const BYTES: [f64; 2] = [0.0, 255.0];

/// Values within the range `from` as they are in the range `to`, in `dtype`; unchanged if the ranges are one.
pub(super) fn rescaled(images: &Tensor, from: [f64; 2], to: [f64; 2], dtype: DType) -> Tensor {
    if from == to {
        return images.clone();
    }
    let share = (images.cast(dtype) - from[0]) / (from[1] - from[0]);
    share * (to[1] - to[0]) + to[0]
}
