//! `FBetaScore` and `F1Score`: means of precision and recall.

use serde::{Deserialize, Serialize};

use super::base::add_to;
use super::define::{metric, out_of_range};
use super::{Direction, Metric, MetricBase};
use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

/// How the scores of the classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Counted over all classes together.
    Micro,
    /// Their mean.
    Macro,
    /// Their mean, weighted by how often each class is true.
    Weighted,
}

metric! {
    /// `(1 + β²) · precision · recall / (β² · precision + recall)` of each class, or averaged.
    ///
    /// Without a threshold, the largest of a sample's predictions is what is predicted.
    ///
    /// # Shapes
    /// Labels (one-hot or several of 1) and predictions `(batch, classes)`; weights `(batch)`.
    ///
    /// # Errors
    /// If `beta` is not above 0, or the threshold not above 0 and at most 1.
    FBetaScore (Some("fbeta_score"), F32, 0)
    {
        "How the scores of the classes become one; they stay apart unless said." average: Option<Average> = None,
        "The weight of recall against precision; 1 unless said." beta: f64 = 1.0,
    }
    { threshold: Option<f64> = None, }
}

metric! {
    /// `2 · precision · recall / (precision + recall)` of each class, or averaged; see [`FBetaScore`].
    F1Score (Some("f1_score"), F32, 0)
    { "How the scores of the classes become one; they stay apart unless said." average: Option<Average> = None, }
    { threshold: Option<f64> = None, }
}

impl FBetaScore {
    /// With Keras's defaults.
    pub fn new() -> FBetaScore {
        FBetaScore::default()
    }

    /// Above which a class is predicted; only the largest is unless said.
    pub fn threshold(mut self, threshold: f64) -> FBetaScore {
        self.threshold = Some(threshold);
        self
    }
}

impl F1Score {
    /// With Keras's defaults.
    pub fn new() -> F1Score {
        F1Score::default()
    }

    /// Above which a class is predicted; only the largest is unless said.
    pub fn threshold(mut self, threshold: f64) -> F1Score {
        self.threshold = Some(threshold);
        self
    }
}

fn update(
    metric: &dyn Metric,
    average: Option<Average>,
    threshold: Option<f64>,
    [y_true, y_pred]: [&Tensor; 2],
    sample_weight: Option<&Tensor>,
) -> Result<()> {
    if threshold.is_some_and(|t| t.is_nan() || t <= 0.0 || t > 1.0) {
        return Err(out_of_range(metric, format!("threshold is {threshold:?}"), "give a number above 0, at most 1"));
    }
    let dtype = metric.dtype();
    let (t, p) = (y_true.cast(dtype).without_mask(), y_pred.cast(dtype).without_mask());
    let classes = p.dim(-1).known().filter(|_| t.rank() == 2 && p.rank() == 2).ok_or_else(|| {
        let what = format!("labels have shape {} and predictions {}", t.shape(), p.shape());
        Error::shape(metric.name(), what, "give both as (batch, classes)")
    })?;
    let found = match threshold {
        Some(threshold) => ops::greater(&p, threshold),
        None => {
            let largest = ops::max(&p, -1, true);
            ops::logical_and(ops::greater_equal(&p, largest), ops::greater(ops::absolute(&p), 1e-9))
        }
    };
    let p = found.cast(dtype);
    let (shape, axes) = match average {
        Some(Average::Micro) => (vec![], Axes::All),
        _ => (vec![classes], Axes::One(0)),
    };
    let weight = sample_weight.map(|w| ops::expand_dims(&w.cast(dtype), 1));
    let add = |name: &str, x: Tensor| {
        let x = weight.as_ref().map_or_else(|| x.clone(), |w| &x * w);
        let variable = metric.base().variable(metric.name(), name, &shape, dtype);
        add_to(&variable, &ops::sum(&x, axes.clone(), false))
    };
    add("true_positives", &p * &t)?;
    add("false_positives", &p * (1.0 - &t))?;
    add("false_negatives", (1.0 - &p) * &t)?;
    add("intermediate_weights", t)
}

fn result(metric: &dyn Metric, average: Option<Average>, beta: f64) -> Result<Tensor> {
    if beta.is_nan() || beta <= 0.0 {
        return Err(out_of_range(metric, format!("beta is {beta}"), "give a number above 0"));
    }
    let variables = metric.base().variables();
    let [tp, fp, misses, weights] = variables.as_slice() else {
        return Err(out_of_range(metric, "no batch has been seen".into(), "call update_state before result"));
    };
    let (tp, fp, misses) = (tp.value(), fp.value(), misses.value());
    let precision = &tp / (&tp + fp + epsilon());
    let recall = &tp / (&tp + misses + epsilon());
    let square = beta * beta;
    let score = &precision * &recall / (&precision * square + &recall + epsilon()) * (1.0 + square);
    let score = match average {
        None => score,
        Some(Average::Weighted) => {
            let weights = weights.value();
            let share = &weights / (ops::sum(&weights, Axes::All, false) + epsilon());
            ops::sum(&(score * share), Axes::All, false)
        }
        Some(_) => ops::mean(&score, Axes::All, false),
    };
    score.check().cloned()
}

impl Metric for FBetaScore {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        update(self, self.average, self.threshold, [y_true, y_pred], sample_weight)
    }

    fn result(&self) -> Result<Tensor> {
        result(self, self.average, self.beta)
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

impl Metric for F1Score {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        update(self, self.average, self.threshold, [y_true, y_pred], sample_weight)
    }

    fn result(&self) -> Result<Tensor> {
        result(self, self.average, 1.0)
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}
