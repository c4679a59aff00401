//! `AUC`: the area under a curve of rates over thresholds.

use rhyton_ir::DType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::super::define::{metric, out_of_range};
use super::super::{Direction, Metric, MetricBase};
use super::evenly;
use super::update::{Counts, Options, update};
use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::ops::{self, Axes};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// Which curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AucCurve {
    /// True positive rate over false positive rate.
    #[default]
    #[serde(alias = "roc")]
    ROC,
    /// Precision over recall.
    #[serde(alias = "pr")]
    PR,
    /// Precision gain over recall gain (Flach and Kull, 2015).
    #[serde(alias = "prgain")]
    PRGAIN,
}

/// How the area between two thresholds is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SummationMethod {
    /// By trapezoids; for [`AucCurve::PR`] by the right interpolation (Davis and Goadrich, 2006).
    #[default]
    #[serde(alias = "Interpolation")]
    Interpolation,
    /// By the larger height: an upper bound.
    #[serde(alias = "Majoring")]
    Majoring,
    /// By the smaller height: a lower bound.
    #[serde(alias = "Minoring")]
    Minoring,
}

metric! {
    /// The area under the ROC or precision-recall curve, by Riemann sums over thresholds.
    ///
    /// # Shapes
    /// Labels of 0 and 1 and predictions in `[0, 1]` of one shape; with `multi_label`, `(batch, labels)`.
    ///
    /// # Errors
    /// If there are fewer than two thresholds, or one is not in `[0, 1]`.
    AUC (None, F32, 0)
    {
        "How many thresholds are looked at; 200 unless said." num_thresholds: usize = 200,
        "Which curve; ROC unless said." curve: AucCurve = AucCurve::ROC,
        "How the area between two thresholds is filled." summation_method: SummationMethod = SummationMethod::Interpolation,
        "Whether the area is that of each label, averaged, rather than that of all together." multi_label: bool = false,
    }
    {
        num_labels: Option<usize> = None,
        #[serde(serialize_with = "write_weights", deserialize_with = "read_weights")]
        label_weights: Option<Vec<f64>> = None,
        from_logits: bool = false,
        #[serde(skip_serializing_if = "Option::is_none")]
        thresholds: Option<Vec<f64>> = None,
    }
}

/// Keras holds the weights as a tensor.
fn write_weights<S: Serializer>(weights: &Option<Vec<f64>>, serializer: S) -> Result<S::Ok, S::Error> {
    let tensor =
        |values: &Vec<f64>| json!({"class_name": "__tensor__", "config": {"value": values, "dtype": "float32"}});
    weights.as_ref().map(tensor).serialize(serializer)
}

fn read_weights<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f64>>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let inner = value.get("config").and_then(|c| c.get("value")).cloned().unwrap_or(value);
    serde_json::from_value(inner).map_err(serde::de::Error::custom)
}

impl AUC {
    /// With Keras's defaults: the area under the ROC curve, over 200 thresholds.
    pub fn new() -> AUC {
        AUC::default()
    }

    /// How many labels there are, so that variables can be made before the first batch; for `multi_label` only.
    pub fn num_labels(mut self, labels: usize) -> AUC {
        self.num_labels = Some(labels);
        self
    }

    /// The weight of each label.
    pub fn label_weights(mut self, weights: impl Into<Vec<f64>>) -> AUC {
        self.label_weights = Some(weights.into());
        self
    }

    /// Whether `y_pred` are logits rather than probabilities.
    pub fn from_logits(mut self, from_logits: bool) -> AUC {
        self.from_logits = from_logits;
        self
    }

    /// Thresholds of one's own; those below 0 and above 1 are added.
    pub fn thresholds(mut self, thresholds: impl Into<Vec<f64>>) -> AUC {
        let mut thresholds = thresholds.into();
        thresholds.sort_by(f64::total_cmp);
        self.num_thresholds = thresholds.len() + 2;
        self.thresholds = Some(thresholds);
        self
    }

    /// All thresholds: the first a little below 0, the last a little above 1.
    fn all_thresholds(&self) -> Result<Vec<f64>> {
        let mut all = match &self.thresholds {
            Some(own) => [&[0.0], own.as_slice(), &[1.0]].concat(),
            None => evenly(self.num_thresholds),
        };
        if all.len() < 2 || all.len() != self.num_thresholds {
            let what = format!("there are {} thresholds", self.num_thresholds);
            return Err(out_of_range(self, what, "give at least 2"));
        }
        if let Some(wrong) = all.iter().find(|t| !(0.0..=1.0).contains(*t)) {
            return Err(out_of_range(self, format!("a threshold is {wrong}"), "give numbers from 0 to 1"));
        }
        let last = all.len() - 1;
        (all[0], all[last]) = (-epsilon(), 1.0 + epsilon());
        Ok(all)
    }

    fn counts(&self, labels: usize) -> [Variable; 4] {
        let shape = if self.multi_label { vec![self.num_thresholds, labels] } else { vec![self.num_thresholds] };
        let names = ["true_positives", "false_positives", "true_negatives", "false_negatives"];
        names.map(|name| self.add_variable(name, &shape))
    }

    fn weights(&self) -> Option<Tensor> {
        let values = self.label_weights.as_ref()?.iter().map(|&w| w as f32).collect::<Vec<_>>();
        Some(Tensor::new([values.len()], values))
    }

    /// The sum over thresholds, of labels kept apart their weighted mean.
    fn area(&self, terms: &Tensor) -> Tensor {
        if !self.multi_label {
            return ops::sum(terms, Axes::All, false);
        }
        let areas = ops::sum(terms, 0, false);
        match self.weights() {
            None => ops::mean(&areas, Axes::All, false),
            Some(weights) => {
                let total = ops::sum(&weights, Axes::All, false);
                ops::divide_no_nan(ops::sum(&(areas * weights), Axes::All, false), total)
            }
        }
    }

    /// The terms of the area under the precision-recall curve, interpolated in true positives over all found.
    fn interpolated(&self, tp: &Tensor, fp: &Tensor, misses: &Tensor) -> Tensor {
        let (before, after) = steps(tp);
        let (found_before, found_after) = steps(&(tp + fp));
        let hits = before - &after;
        let slope = ops::divide_no_nan(&hits, ops::maximum(&found_before - &found_after, 0.0));
        let intercept = &after - &slope * &found_after;
        let both = ops::logical_and(ops::greater(&found_before, 0.0), ops::greater(&found_after, 0.0));
        let ratio = ops::divide_no_nan(&found_before, ops::maximum(&found_after, 0.0));
        let ratio = ops::r#where(both, ratio, 1.0);
        let positives = ops::maximum(after + steps(misses).1, 0.0);
        ops::divide_no_nan(slope * (hits + intercept * ops::log(&ratio)), positives)
    }

    /// Both axes of the curve at each threshold.
    fn curve_of(&self, [tp, fp, tn, misses]: &[Tensor; 4]) -> (Tensor, Tensor) {
        let share = |a: &Tensor, b: &Tensor| ops::divide_no_nan(a, a + b);
        match self.curve {
            AucCurve::ROC => (share(fp, tn), share(tp, misses)),
            AucCurve::PR => (share(tp, misses), share(tp, fp)),
            AucCurve::PRGAIN => {
                let scale = ops::divide_no_nan(tp + misses, tn + fp);
                let gain = |wrong: &Tensor, nothing: f64| {
                    let gain = 1.0 - &scale * ops::divide_no_nan(wrong, tp);
                    ops::r#where(ops::equal(tp, 0.0), nothing, gain)
                };
                (ops::maximum(gain(misses, 0.0), 0.0), gain(fp, 1.0))
            }
        }
    }
}

/// The values at all thresholds but the last, and at all but the first.
fn steps(x: &Tensor) -> (Tensor, Tensor) {
    let last = x.dim(0).known().unwrap_or(1).saturating_sub(1);
    let rows = |from: usize, to: usize| {
        let mut start = vec![0; x.rank()];
        let mut limit: Vec<rhyton_ir::Dim> = x.shape().to_vec();
        (start[0], limit[0]) = (from, to.into());
        Tensor::apply(rhyton_ir::op::Slice { start, limit, stride: vec![1; x.rank()] }, &[x])
    };
    (rows(0, last), rows(1, last + 1))
}

impl Metric for AUC {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn build(&self) {
        match (self.multi_label, self.num_labels) {
            (false, _) => drop(self.counts(1)),
            (true, Some(labels)) => drop(self.counts(labels)),
            (true, None) => {}
        }
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let thresholds = self.all_thresholds()?;
        let labels = y_pred.dim(-1).known().filter(|_| !self.multi_label || y_pred.rank() == 2).ok_or_else(|| {
            let what = format!("predictions have shape {}", y_pred.shape());
            Error::shape(Metric::name(self), what, "give them as (batch, labels) with multi_label")
        })?;
        let [tp, fp, tn, misses] = self.counts(labels).map(Some);
        let counts = Counts { true_positives: tp, false_positives: fp, true_negatives: tn, false_negatives: misses };
        let p = if self.from_logits { ops::sigmoid(&y_pred.cast(DType::F32)) } else { y_pred.clone() };
        let weights = self.weights().filter(|_| !self.multi_label);
        let options = Options { multi_label: self.multi_label, label_weights: weights.as_ref(), ..Options::default() };
        let outcome = update(&counts, y_true, &p, &thresholds, sample_weight, &options);
        outcome.map_err(|e| e.within(Metric::name(self)))
    }

    fn result(&self) -> Result<Tensor> {
        self.all_thresholds()?;
        self.build();
        let variables = self.base.variables();
        let [tp, fp, tn, misses] = variables.as_slice() else {
            return Err(out_of_range(self, "no batch has been seen".into(), "call update_state before result"));
        };
        let counts = [tp, fp, tn, misses].map(|v| v.value());
        if self.curve == AucCurve::PR && self.summation_method == SummationMethod::Interpolation {
            return self.area(&self.interpolated(&counts[0], &counts[1], &counts[3])).check().cloned();
        }
        let (x, y) = self.curve_of(&counts);
        let ((x0, x1), (y0, y1)) = (steps(&x), steps(&y));
        let heights = match self.summation_method {
            SummationMethod::Interpolation => (y0 + y1) / 2.0,
            SummationMethod::Minoring => ops::minimum(y0, y1),
            SummationMethod::Majoring => ops::maximum(y0, y1),
        };
        self.area(&((x0 - x1) * heights)).check().cloned()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}
