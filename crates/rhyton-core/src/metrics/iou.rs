//! Intersection over union: `IoU`, `MeanIoU`, `BinaryIoU`, `OneHotIoU`, `OneHotMeanIoU`.

use rhyton_ir::DType;

use super::define::{metric, out_of_range};
use super::{Direction, Metric, MetricBase};
use crate::config::epsilon;
use crate::error::Result;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// What the metrics of this file have in common: how labels and predictions are read.
struct Reading {
    classes: usize,
    ignore_class: Option<i64>,
    sparse_y_true: bool,
    sparse_y_pred: bool,
    axis: i64,
}

fn matrix(metric: &dyn Metric, classes: usize) -> Variable {
    metric.base().variable(metric.name(), "total_confusion_matrix", &[classes, classes], metric.dtype())
}

/// Adds a batch to the confusion matrix.
fn update(
    metric: &dyn Metric,
    reading: &Reading,
    [y_true, y_pred]: [&Tensor; 2],
    sample_weight: Option<&Tensor>,
) -> Result<()> {
    let dtype = metric.dtype();
    let flat = |x: &Tensor, sparse: bool| {
        let x = if sparse { x.clone() } else { ops::argmax(x, Some(reading.axis), false) };
        ops::reshape(&x.cast(dtype).without_mask(), &[-1])
    };
    let (t, p) = (flat(y_true, reading.sparse_y_true), flat(y_pred, reading.sparse_y_pred));
    let ones = ops::ones_like(&t);
    let weight = match sample_weight {
        Some(weight) if weight.rank() > 1 => ops::reshape(&weight.cast(dtype), &[-1]),
        Some(weight) => weight.cast(dtype) * ones,
        None => ones,
    };
    let n = reading.classes as i64;
    let inside = |x: &Tensor| ops::logical_and(ops::greater_equal(x, 0), ops::less(x, n));
    let mut counts = ops::logical_and(inside(&t), inside(&p));
    if let Some(ignored) = reading.ignore_class {
        counts = ops::logical_and(counts, ops::not_equal(&t, ignored));
    }
    let kept = |x: Tensor| ops::r#where(&counts, x, 0);
    let cell = (kept(t).cast(DType::I32) * n + kept(p).cast(DType::I32)).cast(DType::I32);
    let sums = ops::segment_sum(&kept(weight), &cell, Some(reading.classes * reading.classes), false);
    let total = matrix(metric, reading.classes);
    total.assign(total.value() + ops::reshape(&sums, &[n, n]))
}

/// The mean of `tp / (tp + fp + fn)` of the target classes that occur.
fn result(metric: &dyn Metric, classes: usize, targets: &[i64]) -> Result<Tensor> {
    if let Some(wrong) = targets.iter().find(|t| !(0..classes as i64).contains(t)) {
        let what = format!("target class {wrong} is not one of {classes}");
        return Err(out_of_range(metric, what, "give class numbers below num_classes"));
    }
    let total = matrix(metric, classes).value();
    let hits = ops::diagonal(&total, 0, 0, 1);
    let union = ops::sum(&total, 0, false) + ops::sum(&total, 1, false) - &hits;
    let targets = Tensor::new([targets.len()], targets.iter().map(|&t| t as i32).collect::<Vec<_>>());
    let of_targets = |x: &Tensor| ops::take(x, &targets, Some(0)).cast(DType::F32);
    let (hits, union) = (of_targets(&hits), of_targets(&union));
    let valid = ops::greater(&union, 1e-9);
    let ratios = ops::r#where(&valid, hits / (union + epsilon()), 0.0);
    let number = ops::sum(&valid.cast(DType::F32), Axes::All, false);
    (ops::sum(&ratios, Axes::All, false) / (number + epsilon())).check().cloned()
}

metric! {
    /// The mean of `tp / (tp + fp + fn)` of some classes, of labels and predictions that are numbers of classes.
    ///
    /// Sample weights are converted to the metric's dtype, `int64` unless said.
    IoU (None, I64, 0)
    {}
    {
        num_classes: usize = 0,
        target_class_ids: Vec<i64> = vec![],
        ignore_class: Option<i64> = None,
        sparse_y_true: bool = true,
        sparse_y_pred: bool = true,
        axis: i64 = -1,
    }
}

metric! {
    /// The mean of `tp / (tp + fp + fn)` over all classes; see [`IoU`].
    MeanIoU (None, I64, 1)
    {}
    {
        num_classes: usize = 0,
        ignore_class: Option<i64> = None,
        sparse_y_true: bool = true,
        sparse_y_pred: bool = true,
        axis: i64 = -1,
    }
}

metric! {
    /// The mean of `tp / (tp + fp + fn)` of labels and predictions of two classes; predictions of at least `threshold` are 1.
    BinaryIoU (None, I64, 2)
    {}
    { target_class_ids: Vec<i64> = vec![0, 1], threshold: f64 = 0.5, }
}

metric! {
    /// [`IoU`] of one-hot labels, and of scores unless predictions are sparse.
    OneHotIoU (None, I64, 2)
    {}
    {
        num_classes: usize = 0,
        target_class_ids: Vec<i64> = vec![],
        ignore_class: Option<i64> = None,
        sparse_y_pred: bool = false,
        axis: i64 = -1,
    }
}

metric! {
    /// [`MeanIoU`] of one-hot labels, and of scores unless predictions are sparse.
    OneHotMeanIoU (None, I64, 1)
    {}
    {
        num_classes: usize = 0,
        ignore_class: Option<i64> = None,
        sparse_y_pred: bool = false,
        axis: i64 = -1,
    }
}

/// The builders that these metrics share.
macro_rules! builders {
    ($class:ident: $($builder:ident)*) => {
        impl $class {
            $(builders!(@ $builder);)*
        }
    };
    (@ ignore_class) => {
        /// The class whose samples do not count.
        pub fn ignore_class(mut self, class: i64) -> Self {
            self.ignore_class = Some(class);
            self
        }
    };
    (@ sparse_y_true) => {
        /// Whether labels are numbers of classes rather than one-hot.
        pub fn sparse_y_true(mut self, sparse: bool) -> Self {
            self.sparse_y_true = sparse;
            self
        }
    };
    (@ sparse_y_pred) => {
        /// Whether predictions are numbers of classes rather than scores.
        pub fn sparse_y_pred(mut self, sparse: bool) -> Self {
            self.sparse_y_pred = sparse;
            self
        }
    };
    (@ axis) => {
        /// The axis of classes, where they are not sparse; the last unless said.
        pub fn axis(mut self, axis: i64) -> Self {
            self.axis = axis;
            self
        }
    };
}
builders!(IoU: ignore_class sparse_y_true sparse_y_pred axis);
builders!(MeanIoU: ignore_class sparse_y_true sparse_y_pred axis);
builders!(OneHotIoU: ignore_class sparse_y_pred axis);
builders!(OneHotMeanIoU: ignore_class sparse_y_pred axis);

impl IoU {
    /// Of the classes `target_class_ids` among `num_classes`.
    pub fn new(num_classes: usize, target_class_ids: impl Into<Vec<i64>>) -> IoU {
        IoU { num_classes, target_class_ids: target_class_ids.into(), ..IoU::default() }
    }
}

impl MeanIoU {
    /// Of `num_classes` classes.
    pub fn new(num_classes: usize) -> MeanIoU {
        MeanIoU { num_classes, ..MeanIoU::default() }
    }
}

impl BinaryIoU {
    /// Of both classes, with threshold 0.5.
    pub fn new() -> BinaryIoU {
        BinaryIoU::default()
    }

    /// Of which classes; `[0, 1]` unless said.
    pub fn target_class_ids(mut self, classes: impl Into<Vec<i64>>) -> BinaryIoU {
        self.target_class_ids = classes.into();
        self
    }

    /// From which on a prediction is 1; 0.5 unless said.
    pub fn threshold(mut self, threshold: f64) -> BinaryIoU {
        self.threshold = threshold;
        self
    }
}

impl OneHotIoU {
    /// Of the classes `target_class_ids` among `num_classes`.
    pub fn new(num_classes: usize, target_class_ids: impl Into<Vec<i64>>) -> OneHotIoU {
        OneHotIoU { num_classes, target_class_ids: target_class_ids.into(), ..OneHotIoU::default() }
    }
}

impl OneHotMeanIoU {
    /// Of `num_classes` classes.
    pub fn new(num_classes: usize) -> OneHotMeanIoU {
        OneHotMeanIoU { num_classes, ..OneHotMeanIoU::default() }
    }
}

/// Implements [`Metric`] from how a class reads its arguments and which classes it looks at.
macro_rules! iou {
    ($($class:ident |$this:ident| $reading:expr, $targets:expr, |$pred:ident| $prepared:expr;)*) => {$(
        impl Metric for $class {
            fn base(&self) -> &MetricBase {
                &self.base
            }

            fn build(&self) {
                let $this = self;
                matrix(self, $reading.classes);
            }

            fn update_state(&self, y_true: &Tensor, $pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                let $this = self;
                let outcome = update(self, &$reading, [y_true, &$prepared], sample_weight);
                outcome.map_err(|e| e.within(Metric::name(self)))
            }

            fn result(&self) -> Result<Tensor> {
                let $this = self;
                let targets: Vec<i64> = $targets;
                result(self, $reading.classes, &targets)
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    )*};
}

impl IoU {
    fn reading(&self) -> Reading {
        Reading {
            classes: self.num_classes,
            ignore_class: self.ignore_class,
            sparse_y_true: self.sparse_y_true,
            sparse_y_pred: self.sparse_y_pred,
            axis: self.axis,
        }
    }
}

impl MeanIoU {
    fn reading(&self) -> Reading {
        Reading {
            classes: self.num_classes,
            ignore_class: self.ignore_class,
            sparse_y_true: self.sparse_y_true,
            sparse_y_pred: self.sparse_y_pred,
            axis: self.axis,
        }
    }
}

impl BinaryIoU {
    fn reading(&self) -> Reading {
        Reading { classes: 2, ignore_class: None, sparse_y_true: true, sparse_y_pred: true, axis: -1 }
    }
}

/// A one-hot metric's way of reading.
fn one_hot(classes: usize, ignore_class: Option<i64>, sparse_y_pred: bool, axis: i64) -> Reading {
    Reading { classes, ignore_class, sparse_y_true: false, sparse_y_pred, axis }
}

iou! {
    IoU |this| this.reading(), this.target_class_ids.clone(), |p| p.clone();
    MeanIoU |this| this.reading(), (0..this.num_classes as i64).collect(), |p| p.clone();
    BinaryIoU |this| this.reading(), this.target_class_ids.clone(),
        |p| ops::greater_equal(p.cast(DType::F32), this.threshold);
    OneHotIoU |this| one_hot(this.num_classes, this.ignore_class, this.sparse_y_pred, this.axis),
        this.target_class_ids.clone(), |p| p.clone();
    OneHotMeanIoU |this| one_hot(this.num_classes, this.ignore_class, this.sparse_y_pred, this.axis),
        (0..this.num_classes as i64).collect(), |p| p.clone();
}
