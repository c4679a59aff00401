//! The functions behind [`Activation`](super::Activation).

use crate::ops;
use crate::tensor::Tensor;

/// `x`.
pub fn linear(x: &Tensor) -> Tensor {
    x.clone()
}

/// `max(x, 0)`; the gradient at 0 is 0.
#[track_caller]
pub fn relu(x: &Tensor) -> Tensor {
    // 0 first: at a tie the gradient goes to the first operand.
    ops::maximum(0, x)
}

/// `tanh x`.
#[track_caller]
pub fn tanh(x: &Tensor) -> Tensor {
    ops::tanh(x)
}

/// `1 / (1 + e⁻ˣ)`.
#[track_caller]
pub fn sigmoid(x: &Tensor) -> Tensor {
    crate::ops::primitives::unary(rhyton_ir::op::UnaryKind::Logistic, x)
}
