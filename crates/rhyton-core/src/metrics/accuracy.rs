//! Accuracies: how often predictions equal labels.

use rhyton_ir::DType;

use super::Direction;
use super::define::mean_metric;
use crate::losses::{aligned, same_rank};
use crate::ops;
use crate::tensor::Tensor;

mean_metric! {
    /// How often `y_pred` equals `y_true`.
    Accuracy "accuracy" Some(Direction::Up), |_, t, p| accuracy(t, p);
    {} {}
}

mean_metric! {
    /// How often `y_pred > threshold` equals a label of 0 or 1.
    BinaryAccuracy "binary_accuracy" Some(Direction::Up), |this, t, p| binary_accuracy(t, p, this.threshold);
    { "Above which a prediction is 1; 0.5 unless said." threshold: f64 = 0.5, }
    {}
}

mean_metric! {
    /// How often the largest of `y_pred` is where the largest of a one-hot `y_true` is.
    CategoricalAccuracy "categorical_accuracy" Some(Direction::Up), |_, t, p| categorical_accuracy(t, p);
    {} {}
}

mean_metric! {
    /// How often the largest of `y_pred` is at the number that `y_true` is.
    SparseCategoricalAccuracy "sparse_categorical_accuracy" Some(Direction::Up),
        |_, t, p| sparse_categorical_accuracy(t, p);
    {} {}
}

mean_metric! {
    /// How often the class of a one-hot `y_true` is among the `k` largest of `y_pred`.
    TopKCategoricalAccuracy "top_k_categorical_accuracy" Some(Direction::Up),
        |this, t, p| top_k_categorical_accuracy(t, p, this.k);
    { "How many classes count; 5 unless said." k: usize = 5, }
    {}
}

mean_metric! {
    /// How often the number that `y_true` is is among the `k` largest of `y_pred`.
    SparseTopKCategoricalAccuracy "sparse_top_k_categorical_accuracy" Some(Direction::Up),
        |this, t, p| sparse_top_k_categorical_accuracy(t, p, this.k, this.from_sorted_ids);
    {
        "How many classes count; 5 unless said." k: usize = 5,
        "Whether `y_pred` are numbers of classes, the likeliest first, rather than scores."
            #[serde(skip_serializing_if = "std::ops::Not::not")] from_sorted_ids: bool = false,
    }
    {}
}

/// A function of labels and predictions that gives a value for each sample.
pub(super) type Call = fn(&Tensor, &Tensor) -> Tensor;

/// Keras's functions of this file by name, with their default arguments.
pub(super) const ACCURACIES: &[(&str, Call)] = &[
    ("accuracy", accuracy),
    ("binary_accuracy", |t, p| binary_accuracy(t, p, 0.5)),
    ("categorical_accuracy", categorical_accuracy),
    ("sparse_categorical_accuracy", sparse_categorical_accuracy),
    ("top_k_categorical_accuracy", |t, p| top_k_categorical_accuracy(t, p, 5)),
    ("sparse_top_k_categorical_accuracy", |t, p| sparse_top_k_categorical_accuracy(t, p, 5, false)),
];

/// 1 where `y_pred` equals `y_true`, else 0.
pub fn accuracy(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let (t, p) = aligned(y_true, y_pred);
    ops::equal(&t, &p).cast(DType::F32)
}

/// 1 where `y_pred > threshold` equals `y_true`, else 0.
pub fn binary_accuracy(y_true: &Tensor, y_pred: &Tensor, threshold: f64) -> Tensor {
    let (t, p) = same_rank(y_true, y_pred, true);
    let found = ops::greater(&p, Tensor::from(threshold as f32)).cast(t.dtype());
    ops::equal(&t, found).cast(DType::F32)
}

/// 1 where the largest of `y_pred` is where the largest of `y_true` is along the last axis, else 0.
pub fn categorical_accuracy(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    hits(&ops::argmax(y_true, Some(-1), false), y_pred)
}

/// 1 where the largest of `y_pred` along the last axis is at the number that `y_true` is, else 0.
pub fn sparse_categorical_accuracy(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let matches = hits(y_true, y_pred);
    if matches.rank() > 1 && matches.dim(-1).is(1) { ops::squeeze(&matches, -1) } else { matches }
}

/// Whether the largest along the last axis is at `classes`, in the shape of those.
fn hits(classes: &Tensor, y_pred: &Tensor) -> Tensor {
    let classes = classes.cast(y_pred.dtype());
    let extra = classes.rank() == y_pred.rank() && classes.dim(-1).is(1);
    let flat = if extra { ops::squeeze(&classes, -1) } else { classes.clone() };
    let found = ops::argmax(y_pred, Some(-1), false).cast(flat.dtype());
    let matches = ops::equal(&flat, found).cast(DType::F32);
    if extra { ops::expand_dims(&matches, -1) } else { matches }
}

/// 1 where the class of a one-hot `y_true` is among the `k` largest of `y_pred`, else 0.
pub fn top_k_categorical_accuracy(y_true: &Tensor, y_pred: &Tensor, k: usize) -> Tensor {
    sparse_top_k_categorical_accuracy(&ops::argmax(y_true, Some(-1), false), y_pred, k, false)
}

/// 1 where `y_true` is among the `k` largest of `y_pred` (or among its first `k`, if these are sorted numbers), else 0.
pub fn sparse_top_k_categorical_accuracy(y_true: &Tensor, y_pred: &Tensor, k: usize, from_sorted_ids: bool) -> Tensor {
    let t = y_true.cast(if from_sorted_ids { y_pred.dtype() } else { DType::I32 });
    let shape = t.shape().clone();
    let flat = if t.rank() > 1 { ops::reshape(&t, &[-1]) } else { t };
    let p = if y_pred.rank() > 2 {
        let classes = y_pred.dim(-1).known().unwrap_or(1) as i64;
        ops::reshape(y_pred, &[-1, classes])
    } else {
        y_pred.clone()
    };
    let matches = if from_sorted_ids {
        let first = rhyton_ir::op::Slice {
            start: vec![0, 0],
            limit: vec![p.dim(0), p.dim(1).known().map_or(k, |n| n.min(k)).into()],
            stride: vec![1, 1],
        };
        let ids = Tensor::apply(first, &[&p]);
        ops::any(&ops::equal(ops::expand_dims(&flat, 1), ids), 1, false)
    } else {
        ops::in_top_k(&flat, &p, k)
    };
    ops::reshape_to(&matches.cast(DType::F32), shape)
}
