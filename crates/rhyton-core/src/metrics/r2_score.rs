//! `R2Score`: the share of the variance that is explained.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::base::add_to;
use super::define::{metric, out_of_range};
use super::{Direction, Metric, MetricBase};
use crate::error::{Error, Result};
use crate::losses::{count, same_rank};
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

/// How the scores of the outputs become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassAggregation {
    /// Their mean.
    UniformAverage,
    /// Their mean weighted by the variance of each.
    VarianceWeightedAverage,
}

metric! {
    /// `1 − Σ (y_true − y_pred)² / Σ (y_true − mean)²` of each output, aggregated; adjusted for `num_regressors` if given.
    ///
    /// # Shapes
    /// Labels and predictions `(batch, outputs)`.
    R2Score (Some("r2_score"), F32, 0)
    { "How the scores of the outputs become one; their mean unless said. `None` leaves them apart."
        class_aggregation: Option<ClassAggregation> = Some(ClassAggregation::UniformAverage),
      "How many independent variables the score is adjusted for; 0 unless said." num_regressors: usize = 0, }
    {}
}

impl R2Score {
    /// With Keras's defaults.
    pub fn new() -> R2Score {
        R2Score::default()
    }
}

/// The names of the variables that have a value for each output.
const OUTPUTS: [&str; 4] = ["squared_sum", "sum", "residual", "count"];

impl Metric for R2Score {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn build(&self) {
        self.add_variable("num_samples", &[]);
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let dtype = Metric::dtype(self);
        let (t, p) = same_rank(&y_true.cast(dtype).without_mask(), &y_pred.cast(dtype).without_mask(), true);
        let outputs = p.dim(-1).known().filter(|_| t.rank() == 2 && p.rank() == 2).ok_or_else(|| {
            let what = format!("labels have shape {} and predictions {}", t.shape(), p.shape());
            Error::shape(Metric::name(self), what, "give both as (batch, outputs)")
        })?;
        self.build();
        let [squared_sum, sum, residual, weights] = OUTPUTS.map(|name| self.add_variable(name, &[outputs]));
        let weight = sample_weight.map_or_else(|| Tensor::from(1.0f32), Tensor::clone).cast(dtype);
        let weight = if weight.rank() == 1 { ops::expand_dims(&weight, 1) } else { weight };
        let weight = weight + ops::zeros_like(&t);
        let weighted = &t * &weight;
        let total = |x: &Tensor| ops::sum(x, 0, false);
        add_to(&sum, &total(&weighted))?;
        add_to(&squared_sum, &total(&(&t * &weighted)))?;
        add_to(&residual, &total(&(ops::square(&(&t - p)) * &weight)))?;
        add_to(&weights, &total(&weight))?;
        add_to(&self.add_variable("num_samples", &[]), &count(&t, DType::F32))
    }

    fn result(&self) -> Result<Tensor> {
        let variables = self.base.variables();
        let value =
            |name: &str| {
                variables.iter().find(|v| v.name() == name).map(|v| v.value()).ok_or_else(|| {
                    out_of_range(self, "no batch has been seen".into(), "call update_state before result")
                })
            };
        let (squared, sum, residual) = (value("squared_sum")?, value("sum")?, value("residual")?);
        let mean = &sum / value("count")?;
        let variance = squared - sum * mean;
        let raw = 1.0 - residual / &variance;
        let raw = ops::r#where(ops::isinf(&raw), 0.0, &raw);
        let score = match self.class_aggregation {
            Some(ClassAggregation::UniformAverage) => ops::mean(&raw, Axes::All, false),
            Some(ClassAggregation::VarianceWeightedAverage) => {
                ops::sum(&(&variance * raw), Axes::All, false) / ops::sum(&variance, Axes::All, false)
            }
            None => raw,
        };
        if self.num_regressors == 0 {
            return score.check().cloned();
        }
        // With too few samples for an adjustment, the score stays as it is.
        let (n, p) = (value("num_samples")?, self.num_regressors as f64);
        let freedom = n.clone() - p - 1.0;
        let adjusted = 1.0 - (1.0 - &score) * (n - 1.0) / &freedom;
        ops::r#where(ops::greater(&freedom, 0.0), adjusted, score).check().cloned()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}
