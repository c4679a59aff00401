//! Counting true and false, positives and negatives, above each of several thresholds.

use rhyton_ir::{Array, DType};

use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::losses::same_rank;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// Low enough that no score is below: what is not among the best `top_k`.
pub(super) const NEVER: f64 = -1e10;

/// The counts that a metric keeps: one for each threshold (and label).
#[derive(Default)]
pub(super) struct Counts {
    pub(super) true_positives: Option<Variable>,
    pub(super) false_positives: Option<Variable>,
    pub(super) true_negatives: Option<Variable>,
    pub(super) false_negatives: Option<Variable>,
}

/// What is counted.
#[derive(Default)]
pub(super) struct Options<'a> {
    /// Only the largest so many of a sample count as found.
    pub(super) top_k: Option<usize>,
    /// Only this class.
    pub(super) class_id: Option<i64>,
    /// Each label apart.
    pub(super) multi_label: bool,
    /// The weights of labels.
    pub(super) label_weights: Option<&'a Tensor>,
}

/// Whether thresholds are even steps from 0 to 1, so that predictions can be sorted into buckets.
pub(super) fn evenly_distributed(thresholds: &[f64]) -> bool {
    let last = thresholds.len() as f64 - 1.0;
    let even = |(i, t): (usize, &f64)| {
        let step = i as f64 / last;
        (t - step).abs() <= epsilon() + 1e-5 * step
    };
    thresholds.len() >= 3 && thresholds.iter().enumerate().all(even)
}

/// Counts a batch.
pub(super) fn update(
    counts: &Counts,
    y_true: &Tensor,
    y_pred: &Tensor,
    thresholds: &[f64],
    sample_weight: Option<&Tensor>,
    options: &Options,
) -> Result<()> {
    let dtype = DType::F32;
    let (p, t) = same_rank(&y_pred.cast(dtype).without_mask(), &y_true.cast(dtype).without_mask(), true);
    let (mut p, mut t) = (p.check()?.clone(), t.check()?.clone());
    let weights = sample_weight.map(|w| same_rank(&t, &ops::expand_dims(&w.cast(dtype), -1), false).1);
    if let Some(k) = options.top_k {
        p = only_top(&p, k)?;
    }
    if let Some(class) = options.class_id {
        if p.rank() < 2 {
            let what = format!("predictions have shape {}", p.shape());
            return Err(Error::shape("class_id", what, "give them as (batch, classes)"));
        }
        let class = ops::axis(class, p.dim(-1).known().unwrap_or(0))? as i64;
        let one = |x: &Tensor| ops::take(x, Tensor::new([1], vec![class as i32]), Some(-1));
        (t, p) = (one(&t), one(&p));
    }
    let like = ops::zeros_like(&p);
    let mut weights = weights.map(|w| w + &like);
    if let Some(labels) = options.label_weights {
        let labels = ops::expand_dims(labels, 0) + &like;
        weights = Some(weights.map_or(labels.clone(), |w| w * labels));
    }
    let weights = weights.unwrap_or_else(|| ops::ones_like(&p));
    // (samples, labels), of which there is one unless they are kept apart.
    let labels = if options.multi_label { p.dim(-1).known().unwrap_or(1) as i64 } else { 1 };
    let table = |x: &Tensor| ops::reshape(x, &[-1, labels]);
    let positive = ops::not_equal(table(&t), 0.0).cast(dtype) * table(&weights);
    let negative = ops::equal(table(&t), 0.0).cast(dtype) * table(&weights);
    let p = table(&p);
    let above = |x: &Tensor| {
        if evenly_distributed(thresholds) {
            above_buckets(x, &p, thresholds, labels as usize)
        } else {
            above_each(x, &p, thresholds)
        }
    };
    let shaped = |x: Tensor| if options.multi_label { x } else { ops::squeeze(&x, 1) };
    let add = |variable: &Option<Variable>, amount: Tensor| match variable {
        Some(variable) => variable.assign(variable.value() + shaped(amount)),
        None => Ok(()),
    };
    let total = |x: &Tensor| ops::sum(x, 0, true);
    let (tp, fp) = (above(&positive), above(&negative));
    add(&counts.false_negatives, total(&positive) - &tp)?;
    add(&counts.true_negatives, total(&negative) - &fp)?;
    add(&counts.true_positives, tp)?;
    add(&counts.false_positives, fp)
}

/// The sum of `weights` where the prediction is above each threshold: `(thresholds, labels)`.
fn above_each(weights: &Tensor, p: &Tensor, thresholds: &[f64]) -> Tensor {
    let values = thresholds.iter().map(|&t| t as f32).collect::<Vec<_>>();
    let thresholds = Tensor::new([thresholds.len(), 1, 1], values);
    let found = ops::greater(ops::expand_dims(p, 0), thresholds);
    ops::sum(&ops::r#where(found, ops::expand_dims(weights, 0), 0.0), 1, false)
}

/// The same for even thresholds, in one pass: each sample falls into the bucket of the last threshold below it.
fn above_buckets(weights: &Tensor, p: &Tensor, thresholds: &[f64], labels: usize) -> Tensor {
    let count = thresholds.len();
    let p = ops::clip(p, 0.0, 1.0);
    let mut bucket = ops::ceil(&(p * (count as f64 - 1.0))) - 1.0;
    let mut weights = weights.clone();
    if thresholds[0] < 0.0 || thresholds[count - 1] > 1.0 {
        // The first threshold is below 0, so that 0 itself is above it.
        bucket = ops::maximum(bucket, 0.0);
    } else {
        weights = weights * ops::greater_equal(&bucket, 0.0).cast(DType::F32);
        bucket = ops::maximum(bucket, 0.0);
    }
    let offsets: Vec<i32> = (0..labels).map(|l| (l * count) as i32).collect();
    let bucket = bucket.cast(DType::I32) + Tensor::from(Array::new([1, labels], offsets));
    let flat = |x: &Tensor| ops::reshape(x, &[-1]);
    let sums = ops::segment_sum(&flat(&weights), &flat(&bucket), Some(labels * count), false);
    let sums = ops::reshape(&sums, &[labels as i64, count as i64]);
    let above = ops::flip(&ops::cumsum(&ops::flip(&sums, 1), Some(1), None), 1);
    ops::transpose(&above, Axes::All)
}

/// The `k` largest along the last axis as they are, the others as [`NEVER`].
fn only_top(p: &Tensor, k: usize) -> Result<Tensor> {
    let classes = p.dim(-1).known().filter(|&n| k <= n).ok_or_else(|| {
        Error::argument("top_k", format!("top_k is {k} for predictions of shape {}", p.shape()), "give at most as many")
    })?;
    let (_, at) = ops::top_k(p, k, true);
    let mask = ops::sum(&ops::one_hot(&at, classes, -1, Some(p.dtype())), Axes::One(-2), false);
    Ok(p * &mask + (1.0 - &mask) * NEVER)
}
