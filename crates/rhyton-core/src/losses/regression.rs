//! Losses of regression: squared, absolute, percentage and logarithmic errors, `Huber`, `LogCosh`, `CosineSimilarity`.

use super::define::loss;
use super::same_rank;
use crate::config::epsilon;
use crate::ops;
use crate::tensor::Tensor;

loss! {
    /// `mean((y_true − y_pred)²)` over the last axis.
    MeanSquaredError "mean_squared_error" |_, t, p| mean_squared_error(t, p);
    {} {}
}

loss! {
    /// `mean(|y_true − y_pred|)` over the last axis.
    MeanAbsoluteError "mean_absolute_error" |_, t, p| mean_absolute_error(t, p);
    {} {}
}

loss! {
    /// `100 · mean(|y_true − y_pred| / max(|y_true|, ε))` over the last axis.
    MeanAbsolutePercentageError "mean_absolute_percentage_error" |_, t, p| mean_absolute_percentage_error(t, p);
    {} {}
}

loss! {
    /// `mean((ln(y_true + 1) − ln(y_pred + 1))²)` over the last axis, of values of at least ε.
    MeanSquaredLogarithmicError "mean_squared_logarithmic_error" |_, t, p| mean_squared_logarithmic_error(t, p);
    {} {}
}

loss! {
    /// `−Σ l2_norm(y_true) · l2_norm(y_pred)` over `axis`: −1 for the same direction, 1 for opposite ones.
    CosineSimilarity "cosine_similarity" |this, t, p| cosine_similarity(t, p, this.axis);
    { "Along which axis the vectors lie; the last unless said. Keras does not save it." #[serde(skip_serializing)] axis: i64 = -1, }
    {}
}

loss! {
    /// `½ e²` where `|e| ≤ delta`, else `delta · |e| − ½ delta²`, with `e = y_pred − y_true`; the mean over the last axis.
    Huber "huber_loss" |this, t, p| huber(t, p, this.delta);
    { "Where the loss turns from quadratic to linear; 1 unless said. Keras does not save it." #[serde(skip_serializing)] delta: f64 = 1.0, }
    {}
}

loss! {
    /// `mean(ln cosh(y_pred − y_true))` over the last axis.
    LogCosh "log_cosh" |_, t, p| log_cosh(t, p);
    {} {}
}

/// The two with the dtype of `y_pred` and one rank.
pub(crate) fn aligned(y_true: &Tensor, y_pred: &Tensor) -> (Tensor, Tensor) {
    same_rank(&y_true.cast(y_pred.dtype()), y_pred, true)
}

/// `mean((y_true − y_pred)²)` over the last axis.
pub fn mean_squared_error(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    ops::mean(&ops::square(&(t - p)), -1, false)
}

/// `mean(|y_true − y_pred|)` over the last axis.
pub fn mean_absolute_error(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    ops::mean(&ops::absolute(&(t - p)), -1, false)
}

/// `100 · mean(|y_true − y_pred| / max(|y_true|, ε))` over the last axis.
pub fn mean_absolute_percentage_error(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    let scale = ops::maximum(ops::absolute(&t), epsilon());
    100.0 * ops::mean(&ops::absolute(&((t - p) / scale)), -1, false)
}

/// `mean((ln(y_true + 1) − ln(y_pred + 1))²)` over the last axis, of values of at least ε.
pub fn mean_squared_logarithmic_error(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    let log = |x: &Tensor| ops::log(&(ops::maximum(x, epsilon()) + 1.0));
    ops::mean(&ops::square(&(log(&p) - log(&t))), -1, false)
}

/// `−Σ l2_norm(y_true) · l2_norm(y_pred)` over `axis`.
pub fn cosine_similarity(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Tensor {
    -cosine(y_true, y_pred, axis)
}

/// The cosine of the angle between vectors along `axis`.
pub(crate) fn cosine(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    ops::sum(&(unit(&t, axis) * unit(&p, axis)), axis, false)
}

/// `x` over its norm along `axis`, which counts as at least ε.
fn unit(x: &Tensor, axis: i64) -> Tensor {
    ops::normalize(x, axis, 2, Some(epsilon()))
}

/// `½ e²` where `|e| ≤ delta`, else `delta · |e| − ½ delta²`; the mean over the last axis.
pub fn huber(y_true: &Tensor, y_pred: &Tensor, delta: f64) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    let error = p - t;
    let size = ops::absolute(&error);
    let linear = &size * delta - 0.5 * delta * delta;
    let values = ops::r#where(ops::less_equal(&size, delta), ops::square(&error) * 0.5, linear);
    ops::mean(&values, -1, false)
}

/// `mean(ln cosh(y_pred − y_true))` over the last axis.
pub fn log_cosh(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    let x = p - t;
    // ln cosh x = x + softplus(−2x) − ln 2, which does not overflow.
    let values = &x + ops::softplus(&(&x * -2.0)) - std::f64::consts::LN_2;
    ops::mean(&values, -1, false)
}
