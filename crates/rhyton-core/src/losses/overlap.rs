//! Losses of segmentation: `Dice` and `Tversky`.

use super::define::loss;
use crate::config::epsilon;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

loss! {
    /// `1 − 2 Σ y_true y_pred / (Σ y_true + Σ y_pred + ε)` over `axis`.
    Dice "dice" |this, t, p| dice(t, p, this.axis.clone());
    {}
    { axis: Axes = Axes::All, }
}

loss! {
    /// `1 − i / (i + alpha · fp + beta · fn + ε)` over `axis`, with `i = Σ y_true y_pred`, `fp = Σ y_true (1 − y_pred)`
    /// and `fn = Σ (1 − y_true) y_pred`, as Keras has them (Salehi et al., 2017).
    Tversky "tversky" |this, t, p| tversky(t, p, this.alpha, this.beta, this.axis.clone());
    {
        "The weight of what is missed; 0.5 unless said." alpha: f64 = 0.5,
        "The weight of what is found wrongly; 0.5 unless said." beta: f64 = 0.5,
    }
    { axis: Axes = Axes::All, }
}

impl Dice {
    /// Over which axes the overlap goes; all unless said.
    pub fn axis(mut self, axis: impl Into<Axes>) -> Dice {
        self.axis = axis.into();
        self
    }
}

impl Tversky {
    /// Over which axes the overlap goes; all unless said.
    pub fn axis(mut self, axis: impl Into<Axes>) -> Tversky {
        self.axis = axis.into();
        self
    }
}

/// `1 − 2 Σ y_true y_pred / (Σ y_true + Σ y_pred + ε)` over `axis`.
pub fn dice(y_true: &Tensor, y_pred: &Tensor, axis: impl Into<Axes>) -> Tensor {
    let (axis, t) = (axis.into(), y_true.cast(y_pred.dtype()));
    let total = |x: &Tensor| ops::sum(x, axis.clone(), false);
    let both = total(&(&t * y_pred));
    1.0 - (both * 2.0) / (total(&t) + total(y_pred) + epsilon())
}

/// `1 − i / (i + alpha · Σ y_true (1 − y_pred) + beta · Σ (1 − y_true) y_pred + ε)` over `axis`, with `i = Σ y_true y_pred`.
pub fn tversky(y_true: &Tensor, y_pred: &Tensor, alpha: f64, beta: f64, axis: impl Into<Axes>) -> Tensor {
    let (axis, t) = (axis.into(), y_true.cast(y_pred.dtype()));
    let total = |x: &Tensor| ops::sum(x, axis.clone(), false);
    let both = total(&(&t * y_pred));
    let missed = total(&((1.0 - y_pred) * &t));
    let wrong = total(&(y_pred * (1.0 - &t)));
    1.0 - &both / (&both + missed * alpha + wrong * beta + epsilon())
}
