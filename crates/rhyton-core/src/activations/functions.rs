//! The functions behind [`Activation`](super::Activation) that are not operations of [`crate::ops`] by themselves.

use crate::ops;
use crate::tensor::Tensor;

/// `x`.
pub fn linear(x: &Tensor) -> Tensor {
    x.clone()
}

/// `eˣ`.
#[track_caller]
pub fn exponential(x: &Tensor) -> Tensor {
    ops::exp(x)
}

/// `x · tanh(softplus(x))` (Misra, 2019).
#[track_caller]
pub fn mish(x: &Tensor) -> Tensor {
    x * ops::tanh(&ops::softplus(x))
}

/// `max(x, 0)` with a slope for what is below `threshold`, 0 between that and 0, and a bound: Keras's
/// `activations.relu(x, negative_slope, max_value, threshold)`.
///
/// The gradient at `threshold` is that of the side below.
#[track_caller]
pub fn relu_with(x: &Tensor, negative_slope: f64, max_value: Option<f64>, threshold: f64) -> Tensor {
    if negative_slope != 0.0 && max_value.is_none() && threshold == 0.0 {
        return ops::leaky_relu(x, negative_slope);
    }
    let mut y = if threshold != 0.0 {
        ops::r#where(ops::greater(x, threshold), x, 0.0)
    } else if max_value == Some(6.0) {
        ops::relu6(x)
    } else {
        ops::relu(x)
    };
    if let Some(max_value) = max_value {
        y = ops::clip(&y, 0.0, max_value);
    }
    if negative_slope != 0.0 {
        y = y - ops::relu(&(threshold - x)) * negative_slope;
    }
    y
}

/// `1 / (1 + e⁻ˣ)`.
#[track_caller]
pub fn sigmoid(x: &Tensor) -> Tensor {
    crate::ops::primitives::unary(rhyton_ir::op::UnaryKind::Logistic, x)
}
