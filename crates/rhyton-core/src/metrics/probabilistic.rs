//! Means of losses of classification: hinges, cross-entropies, `KLDivergence`, `Poisson`.

use super::Direction;
use super::define::mean_metric;
use crate::losses;
use crate::ops::Number;

mean_metric! {
    /// The mean of `max(1 − y_true · y_pred, 0)`.
    Hinge "hinge" Some(Direction::Down), |_, t, p| losses::hinge(t, p);
    {} {}
}

mean_metric! {
    /// The mean of `max(1 − y_true · y_pred, 0)²`.
    SquaredHinge "squared_hinge" Some(Direction::Down), |_, t, p| losses::squared_hinge(t, p);
    {} {}
}

mean_metric! {
    /// The mean of `max(max((1 − y_true) · y_pred) − Σ y_true · y_pred + 1, 0)`.
    CategoricalHinge "categorical_hinge" Some(Direction::Down), |_, t, p| losses::categorical_hinge(t, p);
    {} {}
}

mean_metric! {
    /// The mean of `Σ y_true ln(y_true / y_pred)`.
    KLDivergence "kl_divergence" Some(Direction::Down), |_, t, p| losses::kl_divergence(t, p);
    {} {}
}

mean_metric! {
    /// The mean of `y_pred − y_true ln(y_pred + ε)`.
    Poisson "poisson" Some(Direction::Down), |_, t, p| losses::poisson(t, p);
    {} {}
}

mean_metric! {
    /// The mean of the binary cross-entropy.
    BinaryCrossentropy "binary_crossentropy" Some(Direction::Down),
        |this, t, p| losses::binary_crossentropy(t, p, this.from_logits, this.label_smoothing.value(), -1);
    { "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false, }
    { label_smoothing: Number = Number::Int(0), }
}

mean_metric! {
    /// The mean of the cross-entropy of one-hot labels.
    CategoricalCrossentropy "categorical_crossentropy" Some(Direction::Down),
        |this, t, p| losses::categorical_crossentropy(t, p, this.from_logits, this.label_smoothing.value(), this.axis);
    { "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false, }
    { label_smoothing: Number = Number::Int(0), axis: i64 = -1, }
}

impl BinaryCrossentropy {
    /// How far labels are drawn towards ½; 0 unless said.
    pub fn label_smoothing(mut self, smoothing: f64) -> Self {
        self.label_smoothing = Number::Float(smoothing);
        self
    }
}

impl CategoricalCrossentropy {
    /// How far labels are drawn towards the uniform distribution; 0 unless said.
    pub fn label_smoothing(mut self, smoothing: f64) -> Self {
        self.label_smoothing = Number::Float(smoothing);
        self
    }

    /// The axis of classes; the last unless said.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }
}

mean_metric! {
    /// The mean of the cross-entropy of labels that are numbers of classes.
    SparseCategoricalCrossentropy "sparse_categorical_crossentropy" Some(Direction::Down),
        |this, t, p| losses::sparse_categorical_crossentropy(t, p, this.from_logits, this.ignore_class, this.axis);
    { "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false, }
    { ignore_class: Option<i64> = None, axis: i64 = -1, }
}

impl SparseCategoricalCrossentropy {
    /// The class whose samples give 0.
    pub fn ignore_class(mut self, class: i64) -> Self {
        self.ignore_class = Some(class);
        self
    }

    /// The axis of classes, which must be the last.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }
}
