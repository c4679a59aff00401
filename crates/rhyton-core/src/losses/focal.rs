//! Cross-entropies that look away from what is easy: `BinaryFocalCrossentropy`, `CategoricalFocalCrossentropy` (Lin et
//! al., 2017).

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
        categorical_focal_crossentropy(t, p, this.alpha, this.gamma, this.from_logits, this.label_smoothing, this.axis)
    };
    {
        "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false,
        "How far labels are drawn towards the uniform distribution; 0 unless said." label_smoothing: f64 = 0.0,
        "The axis of classes; the last unless said." axis: i64 = -1,
        "The weight of all classes; 0.25 unless said." alpha: f64 = 0.25,
        "How much easy samples count less; 2 unless said." gamma: f64 = 2.0,
    }
    {}
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

/// `Σ −alpha (1 − p)^gamma y_true ln p` over `axis`.
pub fn categorical_focal_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    alpha: f64,
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
    ops::sum(&(ops::power(1.0 - p, gamma) * alpha * crossentropy), axis, false)
}
