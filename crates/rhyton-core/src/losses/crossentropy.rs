//! Losses between distributions: cross-entropies, `KLDivergence`, `Poisson`.

use rhyton_ir::DType;

use super::define::loss;
use crate::config::epsilon;
use crate::error::Error;
use crate::ops::{self, axis as axis_of};
use crate::tensor::Tensor;

loss! {
    /// `−mean(y_true ln y_pred + (1 − y_true) ln(1 − y_pred))` over `axis`, for labels of 0 and 1.
    BinaryCrossentropy "binary_crossentropy"
        |this, t, p| binary_crossentropy(t, p, this.from_logits, this.label_smoothing, this.axis);
    {
        "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false,
        "How far labels are drawn towards ½; 0 unless said." label_smoothing: f64 = 0.0,
        "Over which axis the mean goes; the last unless said." axis: i64 = -1,
    }
    {}
}

loss! {
    /// `−Σ y_true ln y_pred` over `axis`, for labels as one-hot vectors.
    CategoricalCrossentropy "categorical_crossentropy"
        |this, t, p| categorical_crossentropy(t, p, this.from_logits, this.label_smoothing, this.axis);
    {
        "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false,
        "How far labels are drawn towards the uniform distribution; 0 unless said." label_smoothing: f64 = 0.0,
        "The axis of classes; the last unless said." axis: i64 = -1,
    }
    {}
}

loss! {
    /// `−ln y_pred[y_true]`, for labels as numbers of classes, which lie along the last axis.
    SparseCategoricalCrossentropy "sparse_categorical_crossentropy"
        |this, t, p| sparse_categorical_crossentropy(t, p, this.from_logits, this.ignore_class, this.axis);
    { "Whether `y_pred` are logits rather than probabilities." from_logits: bool = false, }
    {
        ignore_class: Option<i64> = None,
        #[serde(skip_serializing)] axis: i64 = -1,
    }
}

impl SparseCategoricalCrossentropy {
    /// The class whose samples do not count.
    pub fn ignore_class(mut self, class: i64) -> Self {
        self.ignore_class = Some(class);
        self
    }

    /// The axis of classes, which must be the last. Keras does not save it.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }
}

loss! {
    /// `(1 − p^q) / q` for the probability `p` of the true class: between cross-entropy (`q → 0`) and absolute error
    /// (`q → 1`), robust to wrong labels (Zhang and Sabuncu, 2018). Labels are numbers of classes.
    ///
    /// # Errors
    /// If `q` is not between 0 and 1.
    CategoricalGeneralizedCrossEntropy "categorical_generalized_cross_entropy"
        |this, t, p| categorical_generalized_cross_entropy(t, p, this.q);
    { "Between 0 and 1; 0.5 unless said." q: f64 = 0.5, }
    {}
}

loss! {
    /// `Σ y_true ln(y_true / y_pred)` over the last axis, of values within `[ε, 1]`.
    KLDivergence "kl_divergence" |_, t, p| kl_divergence(t, p);
    {} {}
}

loss! {
    /// `mean(y_pred − y_true ln(y_pred + ε))` over the last axis.
    Poisson "poisson" |_, t, p| poisson(t, p);
    {} {}
}

/// `y_true (1 − s) + s / classes`, where `s` is the smoothing.
pub(super) fn smooth_classes(y_true: Tensor, smoothing: f64) -> Tensor {
    if smoothing == 0.0 {
        return y_true;
    }
    match y_true.dim(-1).known() {
        Some(classes) => y_true * (1.0 - smoothing) + smoothing / classes as f64,
        None => Tensor::invalid(Error::shape(
            "label_smoothing",
            format!("the number of classes of {} is not known", y_true.shape()),
            "give the labels a last axis of known size",
        )),
    }
}

/// `y_true (1 − s) + s / 2`, where `s` is the smoothing.
pub(super) fn smooth_binary(y_true: Tensor, smoothing: f64) -> Tensor {
    if smoothing == 0.0 { y_true } else { y_true * (1.0 - smoothing) + 0.5 * smoothing }
}

/// `−mean(y_true ln y_pred + (1 − y_true) ln(1 − y_pred))` over `axis`.
pub fn binary_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Tensor {
    let t = smooth_binary(y_true.cast(y_pred.dtype()), label_smoothing);
    ops::mean(&ops::binary_crossentropy(&t, y_pred, from_logits), axis, false)
}

/// `−Σ y_true ln y_pred` over `axis`.
pub fn categorical_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Tensor {
    let t = smooth_classes(y_true.cast(y_pred.dtype()), label_smoothing);
    ops::categorical_crossentropy(&t, y_pred, from_logits, axis)
}

/// `−ln y_pred[y_true]`; samples of the class `ignore_class` give 0 and are masked in the result.
pub fn sparse_categorical_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    from_logits: bool,
    ignore_class: Option<i64>,
    axis: i64,
) -> Tensor {
    let mut t = y_true.clone();
    if t.rank() == y_pred.rank() && axis_of(axis, t.rank()).is_ok_and(|a| t.dim(a as isize).is(1)) {
        t = ops::squeeze(&t, axis);
    }
    let Some(ignored) = ignore_class else {
        return ops::sparse_categorical_crossentropy(&t, y_pred, from_logits, axis);
    };
    let valid = ops::not_equal(&t, ignored);
    let t = ops::r#where(&valid, &t, 0);
    let p = ops::r#where(ops::expand_dims(&valid, axis), y_pred, 0.0);
    let values = ops::sparse_categorical_crossentropy(&t, &p, from_logits, axis);
    ops::r#where(&valid, values, 0.0).with_mask(Some(valid))
}

/// `(1 − p^q) / q` for the probability `p` of the true class.
pub fn categorical_generalized_cross_entropy(y_true: &Tensor, y_pred: &Tensor, q: f64) -> Tensor {
    if q.is_nan() || q <= 0.0 || q >= 1.0 {
        return Tensor::invalid(Error::argument(
            "categorical_generalized_cross_entropy",
            format!("q is {q}"),
            "give a number between 0 and 1",
        ));
    }
    let Some(classes) = y_pred.dim(-1).known() else {
        return Tensor::invalid(Error::shape(
            "categorical_generalized_cross_entropy",
            format!("the number of classes of {} is not known", y_pred.shape()),
            "give the predictions a last axis of known size",
        ));
    };
    let hot = ops::one_hot(&y_true.cast(DType::I32), classes, -1, Some(y_pred.dtype()));
    let p = ops::sum(&(y_pred * hot), -1, false);
    (1.0 - ops::power(p, q)) / q
}

/// `Σ y_true ln(y_true / y_pred)` over the last axis, of values within `[ε, 1]`.
pub fn kl_divergence(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let t = ops::clip(&y_true.cast(y_pred.dtype()), epsilon(), 1.0);
    let p = ops::clip(y_pred, epsilon(), 1.0);
    ops::sum(&(&t * ops::log(&(&t / p))), -1, false)
}

/// `mean(y_pred − y_true ln(y_pred + ε))` over the last axis.
pub fn poisson(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let t = y_true.cast(y_pred.dtype());
    ops::mean(&(y_pred - t * ops::log(&(y_pred + epsilon()))), -1, false)
}
