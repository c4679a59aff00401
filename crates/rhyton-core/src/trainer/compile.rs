//! `compile`: what a model is trained with.

use std::sync::{Arc, MutexGuard};

use serde_json::{Value, json};

use super::{Spec, Steps, Trainer};
use crate::error::{Error, Result};
use crate::layers::{Layer, LayerObject};
use crate::losses::LossRef;
use crate::metrics::MetricRef;
use crate::model::Model;
use crate::optimizers::{LossScaleOptimizer, OptimizerRef};

/// What a model is trained with; [`Model::compile`] takes the three that most need.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let model = Sequential::new().add(Input::new([4])).add(Dense::new(2));
/// model.compile_with(Compile::new(Adam::new(1e-3)).loss("mse").metrics(["mae"]).steps_per_execution(8))?;
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Compile {
    pub(crate) optimizer: Option<OptimizerRef>,
    pub(crate) loss: Spec<LossRef>,
    pub(crate) loss_weights: Spec<f64>,
    pub(crate) metrics: Spec<MetricRef>,
    pub(crate) weighted_metrics: Spec<MetricRef>,
    pub(crate) run_eagerly: bool,
    pub(crate) steps_per_execution: usize,
    pub(crate) steps: Option<Arc<dyn Steps>>,
    auto_scale_loss: bool,
    /// The optimizer that was given, where `optimizer` is that one in a `LossScaleOptimizer`: configurations hold this one.
    unscaled: Option<OptimizerRef>,
}

impl Compile {
    /// With an optimizer.
    pub fn new(optimizer: impl Into<OptimizerRef>) -> Compile {
        Compile { optimizer: Some(optimizer.into()), ..Compile::without_optimizer() }
    }

    /// For evaluation only.
    pub fn without_optimizer() -> Compile {
        Compile {
            optimizer: None,
            loss: Spec::None,
            loss_weights: Spec::None,
            metrics: Spec::None,
            weighted_metrics: Spec::None,
            run_eagerly: false,
            steps_per_execution: 1,
            steps: None,
            auto_scale_loss: true,
            unscaled: None,
        }
    }

    /// The loss, or one an output.
    pub fn loss(mut self, loss: impl Into<Spec<LossRef>>) -> Compile {
        self.loss = loss.into();
        self
    }

    /// How much the loss of each output counts.
    pub fn loss_weights(mut self, weights: impl Into<Spec<f64>>) -> Compile {
        self.loss_weights = weights.into();
        self
    }

    /// Metrics that count all samples alike.
    pub fn metrics(mut self, metrics: impl Into<Spec<MetricRef>>) -> Compile {
        self.metrics = metrics.into();
        self
    }

    /// Metrics that count samples by their weights.
    pub fn weighted_metrics(mut self, metrics: impl Into<Spec<MetricRef>>) -> Compile {
        self.weighted_metrics = metrics.into();
        self
    }

    /// Runs each step operation by operation, so that values can be looked at; for finding mistakes.
    pub fn run_eagerly(mut self, run_eagerly: bool) -> Compile {
        self.run_eagerly = run_eagerly;
        self
    }

    /// How many steps go by between calls of callbacks.
    pub fn steps_per_execution(mut self, steps: usize) -> Compile {
        self.steps_per_execution = steps.max(1);
        self
    }

    /// Whether the optimizer of a model whose policy is `mixed_float16` is put into a
    /// [`LossScaleOptimizer`](crate::optimizers::LossScaleOptimizer), so that small gradients do not vanish; it is unless said.
    pub fn auto_scale_loss(mut self, auto_scale_loss: bool) -> Compile {
        self.auto_scale_loss = auto_scale_loss;
        self
    }

    /// Steps of your own (Keras's overridden `train_step`, `test_step`, `predict_step`).
    pub fn steps(mut self, steps: impl Steps + 'static) -> Compile {
        self.steps = Some(Arc::new(steps));
        self
    }
}

impl From<f64> for Spec<f64> {
    fn from(weight: f64) -> Spec<f64> {
        Spec::One(weight)
    }
}

impl Model {
    /// Sets what the model is trained with. May be called again, to train with something else.
    ///
    /// # Errors
    /// If a name is no loss or metric.
    pub fn compile(
        &self,
        optimizer: impl Into<OptimizerRef>,
        loss: impl Into<Spec<LossRef>>,
        metrics: impl Into<Spec<MetricRef>>,
    ) -> Result<()> {
        self.compile_with(Compile::new(optimizer).loss(loss).metrics(metrics))
    }

    /// Sets what the model is trained with, with all that can be set.
    ///
    /// # Errors
    /// As [`Model::compile`].
    pub fn compile_with(&self, compile: Compile) -> Result<()> {
        self.set_compiled(compile)?;
        self.build_optimizer()
    }

    /// Compiles without making the optimizer's slots.
    fn set_compiled(&self, mut compile: Compile) -> Result<()> {
        if compile.auto_scale_loss && self.base().policy().name() == "mixed_float16" {
            let given = compile.optimizer.take_if(|o| o.class_name() != "LossScaleOptimizer");
            if let Some(given) = given {
                compile.optimizer = Some(LossScaleOptimizer::new(given.clone()).name("loss_scale_optimizer").into());
                compile.unscaled = Some(given);
            }
        }
        compile.loss.check()?;
        compile.loss_weights.check()?;
        compile.metrics.check()?;
        compile.weighted_metrics.check()?;
        *self.lock_trainer() = Trainer::compiled(compile);
        Ok(())
    }

    /// Makes the optimizer's slots, if there are an optimizer and weights to make them for.
    pub(crate) fn build_optimizer(&self) -> Result<()> {
        match self.optimizer().filter(|_| self.built()) {
            Some(optimizer) => optimizer.build(&self.trainable_weights()),
            None => Ok(()),
        }
    }

    /// The optimizer, if the model is compiled with one.
    pub fn optimizer(&self) -> Option<OptimizerRef> {
        self.lock_trainer().compile.as_ref().and_then(|c| c.optimizer.clone())
    }

    /// Whether the model is compiled.
    pub fn compiled(&self) -> bool {
        self.lock_trainer().compile.is_some()
    }

    /// What the model is compiled with, as Keras writes it; `None` if it is not.
    pub fn compile_config(&self) -> Option<Value> {
        let trainer = self.lock_trainer();
        let compile = trainer.compile.as_ref()?;
        let optimizer = compile.unscaled.as_ref().or(compile.optimizer.as_ref());
        Some(json!({
            "optimizer": optimizer.map(OptimizerRef::to_json),
            "loss": compile.loss.to_json(&LossRef::to_json),
            "loss_weights": compile.loss_weights.to_json(&|w| Value::from(*w)),
            "metrics": compile.metrics.to_json(&MetricRef::to_json),
            "weighted_metrics": compile.weighted_metrics.to_json(&MetricRef::to_json),
            "run_eagerly": compile.run_eagerly,
            "steps_per_execution": compile.steps_per_execution,
            "jit_compile": false,
        }))
    }

    /// Compiles with what Keras wrote. The optimizer's slots are not made yet: some start as copies of the weights, which
    /// may still have to be read.
    ///
    /// # Errors
    /// If it names what is not known.
    pub(crate) fn compile_from_config(&self, config: &Value) -> Result<()> {
        let optimizer = match &config["optimizer"] {
            Value::Null => None,
            optimizer => Some(OptimizerRef::from_json(optimizer)?),
        };
        let weight = |v: &Value| {
            v.as_f64().ok_or_else(|| Error::content("loss_weights", format!("{v} is no number"), "the file is damaged"))
        };
        self.set_compiled(Compile {
            optimizer,
            loss: Spec::from_json(&config["loss"], &LossRef::from_json)?,
            loss_weights: Spec::from_json(&config["loss_weights"], &weight)?,
            metrics: Spec::from_json(&config["metrics"], &MetricRef::from_json)?,
            weighted_metrics: Spec::from_json(&config["weighted_metrics"], &MetricRef::from_json)?,
            run_eagerly: config["run_eagerly"].as_bool().unwrap_or(false),
            steps_per_execution: config["steps_per_execution"].as_u64().unwrap_or(1).max(1) as usize,
            ..Compile::without_optimizer()
        })
    }

    pub(crate) fn lock_trainer(&self) -> MutexGuard<'_, Trainer> {
        self.trainer.lock().unwrap_or_else(|e| e.into_inner())
    }
}
