//! Losses with a margin: `Hinge`, `SquaredHinge`, `CategoricalHinge`.

use super::define::loss;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

loss! {
    /// `mean(max(1 − y_true · y_pred, 0))` over the last axis; labels of 0 and 1 count as −1 and 1.
    Hinge "hinge" |_, t, p| hinge(t, p);
    {} {}
}

loss! {
    /// `mean(max(1 − y_true · y_pred, 0)²)` over the last axis; labels of 0 and 1 count as −1 and 1.
    SquaredHinge "squared_hinge" |_, t, p| squared_hinge(t, p);
    {} {}
}

loss! {
    /// `max(neg − pos + 1, 0)` with `pos = Σ y_true · y_pred` and `neg = max((1 − y_true) · y_pred)` over the last axis.
    CategoricalHinge "categorical_hinge" |_, t, p| categorical_hinge(t, p);
    {} {}
}

/// Labels of only 0 and 1 as −1 and 1; others as they are.
fn signed(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let t = y_true.cast(y_pred.dtype());
    let binary = ops::all(&ops::logical_or(ops::equal(&t, 0), ops::equal(&t, 1)), Axes::All, false);
    ops::r#where(&binary, &t * 2.0 - 1.0, &t)
}

/// `mean(max(1 − y_true · y_pred, 0))` over the last axis.
pub fn hinge(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    ops::mean(&ops::maximum(1.0 - signed(y_true, y_pred) * y_pred, 0.0), -1, false)
}

/// `mean(max(1 − y_true · y_pred, 0)²)` over the last axis.
pub fn squared_hinge(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    ops::mean(&ops::square(&ops::maximum(1.0 - signed(y_true, y_pred) * y_pred, 0.0)), -1, false)
}

/// `max(neg − pos + 1, 0)` with `pos = Σ y_true · y_pred` and `neg = max((1 − y_true) · y_pred)` over the last axis.
pub fn categorical_hinge(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let t = y_true.cast(y_pred.dtype());
    let pos = ops::sum(&(&t * y_pred), -1, false);
    let neg = ops::max(&((1.0 - &t) * y_pred), -1, false);
    ops::maximum(neg - pos + 1.0, 0.0)
}
