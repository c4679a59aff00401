//! Metrics of regression: means of errors, their root, cosine similarity.

use super::define::{mean_metric, metric};
use super::reduction::{mean_result, mean_variables, update_mean};
use super::{Direction, Metric, MetricBase};
use crate::error::Result;
use crate::losses::{self, same_rank};
use crate::ops;
use crate::tensor::Tensor;

mean_metric! {
    /// The mean of `(y_true − y_pred)²`.
    MeanSquaredError "mean_squared_error" Some(Direction::Down), |_, t, p| losses::mean_squared_error(t, p);
    {} {}
}

mean_metric! {
    /// The mean of `|y_true − y_pred|`.
    MeanAbsoluteError "mean_absolute_error" Some(Direction::Down), |_, t, p| losses::mean_absolute_error(t, p);
    {} {}
}

mean_metric! {
    /// The mean of `100 · |y_true − y_pred| / max(|y_true|, ε)`.
    MeanAbsolutePercentageError "mean_absolute_percentage_error" Some(Direction::Down),
        |_, t, p| losses::mean_absolute_percentage_error(t, p);
    {} {}
}

mean_metric! {
    /// The mean of `(ln(y_true + 1) − ln(y_pred + 1))²`.
    MeanSquaredLogarithmicError "mean_squared_logarithmic_error" Some(Direction::Down),
        |_, t, p| losses::mean_squared_logarithmic_error(t, p);
    {} {}
}

mean_metric! {
    /// The mean cosine of the angle between labels and predictions: 1 for the same direction.
    CosineSimilarity "cosine_similarity" Some(Direction::Up), |this, t, p| losses::cosine(t, p, this.axis);
    { "Along which axis the vectors lie; the last unless said. Keras does not save it." #[serde(skip_serializing)] axis: i64 = -1, }
    {}
}

mean_metric! {
    /// The mean of `ln cosh(y_pred − y_true)`.
    LogCoshError "logcosh" Some(Direction::Down), |_, t, p| losses::log_cosh(t, p);
    {} {}
}

metric! {
    /// The root of the mean of `(y_true − y_pred)²`.
    RootMeanSquaredError (Some("root_mean_squared_error"), F32, 0) {} {}
}

impl RootMeanSquaredError {
    /// With Keras's defaults.
    pub fn new() -> RootMeanSquaredError {
        RootMeanSquaredError::default()
    }
}

impl Metric for RootMeanSquaredError {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn build(&self) {
        mean_variables(self);
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let dtype = Metric::dtype(self);
        let (t, p) = same_rank(&y_true.cast(dtype).without_mask(), &y_pred.cast(dtype).without_mask(), true);
        let values = ops::square(&(p - t));
        values.check().map_err(|e| e.within(Metric::name(self)))?;
        update_mean(self, &values, sample_weight)
    }

    fn result(&self) -> Result<Tensor> {
        ops::sqrt(&mean_result(self)?).check().cloned()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Down)
    }
}
