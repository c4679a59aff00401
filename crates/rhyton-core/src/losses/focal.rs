//! Cross-entropies that look away from what is easy: `BinaryFocalCrossentropy`, `CategoricalFocalCrossentropy` (Lin et
//! al., 2017).

use serde::{Deserialize, Serialize};

use super::crossentropy::{smooth_binary, smooth_classes};
use super::define::loss;
use crate::config::epsilon;
use crate::ops;
use crate::tensor::Tensor;

loss! {
    /// Binary cross-entropy times `(1 − p)^gamma`, where `p` is the probability given to the true label; the mean over
    /// `axis`.
    BinaryFocalCrossentropy "binary_focal_crossentropy" |this, t, p| {
        let alpha = this.apply_class_balancing.then_some(this.alpha);
        binary_focal_crossentropy(t, p, alpha, this.gamma, this.from_logits, this.label_smoothing, this.axis)
    };
    {
        "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false,
        "How far labels are drawn towards ½; 0 unless said." label_smoothing: f64 = 0.0,
        "Over which axis the mean goes; the last unless said." axis: i64 = -1,
        "Whether samples of label 1 weigh `alpha`, others `1 − alpha`." apply_class_balancing: bool = false,
        "The weight of label 1; 0.25 unless said." alpha: f64 = 0.25,
        "How much easy samples count less; 2 unless said." gamma: f64 = 2.0,
    }
    {}
}

loss! {
    /// `Σ −alpha (1 − p)^gamma y_true ln p` over `axis`, for labels as one-hot vectors.
    CategoricalFocalCrossentropy "categorical_focal_crossentropy" |this, t, p| {
        categorical_focal_crossentropy(t, p, this.alpha.clone(), this.gamma, this.from_logits, this.label_smoothing, this.axis)
    };
    {
        "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false,
        "How far labels are drawn towards the uniform distribution; 0 unless said." label_smoothing: f64 = 0.0,
        "The axis of classes; the last unless said." axis: i64 = -1,
    }
    {
        alpha: FocalAlpha = FocalAlpha::One(0.25),
        gamma: f64 = 2.0,
    }
}

impl CategoricalFocalCrossentropy {
    /// The weight of all classes, or of each; 0.25 unless said.
    pub fn alpha(mut self, alpha: impl Into<FocalAlpha>) -> CategoricalFocalCrossentropy {
        self.alpha = alpha.into();
        self
    }

    /// How much easy samples count less; 2 unless said.
    pub fn gamma(mut self, gamma: f64) -> CategoricalFocalCrossentropy {
        self.gamma = gamma;
        self
    }
}

/// What classes weigh in [`CategoricalFocalCrossentropy`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FocalAlpha {
    /// All the same.
    One(f64),
    /// Each class its own.
    Each(Vec<f64>),
}

impl From<f64> for FocalAlpha {
    fn from(alpha: f64) -> FocalAlpha {
        FocalAlpha::One(alpha)
    }
}

impl From<Vec<f64>> for FocalAlpha {
    fn from(alpha: Vec<f64>) -> FocalAlpha {
        FocalAlpha::Each(alpha)
    }
}

impl<const N: usize> From<[f64; N]> for FocalAlpha {
    fn from(alpha: [f64; N]) -> FocalAlpha {
        FocalAlpha::Each(alpha.to_vec())
    }
}

/// Binary cross-entropy times `(1 − p)^gamma`, weighted by `alpha` for label 1 and `1 − alpha` for label 0 if given.
pub fn binary_focal_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    alpha: Option<f64>,
    gamma: f64,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Tensor {
    let t = smooth_binary(y_true.cast(y_pred.dtype()), label_smoothing);
    let p = if from_logits { ops::sigmoid(y_pred) } else { y_pred.clone() };
    let crossentropy = ops::binary_crossentropy(&t, &p, false);
    let truth = &t * &p + (1.0 - &t) * (1.0 - &p);
    let mut values = ops::power(1.0 - truth, gamma) * crossentropy;
    if let Some(alpha) = alpha {
        values = (&t * alpha + (1.0 - &t) * (1.0 - alpha)) * values;
    }
    ops::mean(&values, axis, false)
}

/// `Σ −alpha (1 − p)^gamma y_true ln p` over `axis`; several `alpha` go along the last axis.
pub fn categorical_focal_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    alpha: impl Into<FocalAlpha>,
    gamma: f64,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Tensor {
    let t = smooth_classes(y_true.cast(y_pred.dtype()), label_smoothing);
    let p = if from_logits { ops::softmax(y_pred, axis) } else { y_pred.clone() };
    let p = &p / ops::sum(&p, axis, true);
    let p = ops::clip(&p, epsilon(), 1.0 - epsilon());
    let crossentropy = -t * ops::log(&p);
    let factor = ops::power(1.0 - p, gamma);
    let factor = match alpha.into() {
        FocalAlpha::One(alpha) => factor * alpha,
        FocalAlpha::Each(alpha) => &factor * Tensor::new([alpha.len()], alpha).cast(factor.dtype()),
    };
    ops::sum(&(factor * crossentropy), axis, false)
}
