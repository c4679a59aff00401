//! Training, evaluating and using models: Keras's `compile`, `fit`, `evaluate`, `predict` and their kin.
//!
//! A step (forward, backward, update, metrics) is traced once a signature of its batch and compiled into one program; see
//! [`Steps`] for steps of your own.

mod compile;
mod compiled_loss;
mod compiled_metrics;
mod data;
mod evaluate;
mod fit;
mod predict;
mod program;
mod scores;
mod spec;
mod step;
mod tracker;

use std::sync::Arc;

use crate::error::Result;
use crate::model::Model;
use crate::tensor::Tensor;

pub use compile::Compile;
pub(crate) use data::permutation;
pub use data::{Batch, Batches, Data, Dataset, Generated, IntoArrays, Pass, has_non_finite};
pub use evaluate::Evaluate;
pub use fit::Fit;
pub use predict::Predict;
pub use scores::{History, Score, Scores};
pub use spec::Spec;
pub use step::{StepLogs, Steps};

use compiled_loss::CompiledLoss;
use compiled_metrics::CompiledMetrics;
use program::Programs;
use step::DefaultSteps;
use tracker::Tracker;

/// How steps are grouped between calls of callbacks: `steps_per_execution` at a time.
struct Executions(usize);

impl Executions {
    fn of(model: &Model) -> Executions {
        Executions(model.lock_trainer().compile.as_ref().map_or(1, |c| c.steps_per_execution))
    }

    /// Whether a group begins with `step`.
    fn begins(&self, step: usize) -> bool {
        step.is_multiple_of(self.0)
    }

    /// The number of the last step of its group, if `step` ends one. As in Keras, that of a full group even where the data
    /// ends before.
    fn ends(&self, step: usize, is_last: bool) -> Option<usize> {
        (is_last || self.begins(step + 1)).then(|| step - step % self.0 + self.0 - 1)
    }
}

/// What a model keeps for training.
pub(crate) struct Trainer {
    pub(crate) compile: Option<Compile>,
    pub(crate) loss_tracker: Tracker,
    loss: Option<CompiledLoss>,
    metrics: Option<CompiledMetrics>,
    programs: Programs,
    /// Which weights have last been said to have no gradients.
    idle: Vec<String>,
}

impl Default for Trainer {
    fn default() -> Trainer {
        Trainer {
            compile: None,
            loss_tracker: Tracker::new("loss"),
            loss: None,
            metrics: None,
            programs: Programs::default(),
            idle: Vec::new(),
        }
    }
}

impl Trainer {
    fn compiled(compile: Compile) -> Trainer {
        Trainer { compile: Some(compile), ..Trainer::default() }
    }

    /// The compiled loss, resolved for outputs named `names` on first use.
    fn loss_for(&mut self, names: &[String]) -> Result<CompiledLoss> {
        if self.loss.is_none() {
            let (loss, weights) = match &self.compile {
                Some(compile) => (compile.loss.clone(), compile.loss_weights.clone()),
                None => (Spec::None, Spec::None),
            };
            self.loss = Some(CompiledLoss::new(&loss, &weights, names)?);
        }
        Ok(self.loss.clone().unwrap_or_else(CompiledLoss::none))
    }

    /// The compiled metrics, resolved for these outputs on first use.
    fn metrics_for(&mut self, names: &[String], y: &[Option<Tensor>], y_pred: &[Tensor]) -> Result<CompiledMetrics> {
        if self.metrics.is_none() {
            let (metrics, weighted) = match &self.compile {
                Some(compile) => (compile.metrics.clone(), compile.weighted_metrics.clone()),
                None => (Spec::None, Spec::None),
            };
            self.metrics = Some(CompiledMetrics::new(&metrics, &weighted, names, y, y_pred)?);
        }
        Ok(self.metrics.clone().unwrap_or_else(CompiledMetrics::none))
    }

    /// Says which weights have no gradients, unless that has been said.
    fn warn_of_idle(&mut self, paths: Vec<String>) {
        if !paths.is_empty() && paths != self.idle {
            eprintln!(
                "warning: the loss does not depend on {}, which will not train; if that is not meant, compile with a loss of all outputs",
                paths.join(", ")
            );
        }
        self.idle = paths;
    }

    /// The steps to run.
    fn steps(&self) -> Arc<dyn Steps> {
        self.compile.as_ref().and_then(|c| c.steps.clone()).unwrap_or_else(|| Arc::new(DefaultSteps))
    }

    /// Starts all metrics anew.
    fn reset_metrics(&self) -> Result<()> {
        self.loss_tracker.reset()?;
        self.loss.iter().flat_map(CompiledLoss::trackers).try_for_each(Tracker::reset)?;
        self.metrics.iter().flat_map(CompiledMetrics::metrics).try_for_each(|m| m.reset_state())
    }

    /// All results by name, sorted as Keras sorts logs.
    fn results(&self) -> Result<Vec<(String, Tensor)>> {
        let mut results = vec![(self.loss_tracker.name().to_owned(), self.loss_tracker.result())];
        results.extend(self.loss.iter().flat_map(CompiledLoss::trackers).map(|t| (t.name().to_owned(), t.result())));
        if let Some(metrics) = &self.metrics {
            results.extend(metrics.results()?);
        }
        results.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(results)
    }
}
