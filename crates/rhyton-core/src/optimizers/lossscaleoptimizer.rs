//! `LossScaleOptimizer`: another optimizer, with a loss scale that adapts.

use std::sync::OnceLock;

use rhyton_ir::op::{BinaryKind, Direction, Reduce, ReduceKind, UnaryKind};
use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arithmetic::{binary, compare, select, unary};
use super::schedules::ScheduleRef;
use super::slots::values;
use super::{Optimizer, OptimizerBase, OptimizerRef};
use crate::error::{Error, Result};
use crate::ops::{self, Number};
use crate::saving::{self, KerasObject};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// Scales the loss by `s` and gradients by `1/s`, so that gradients in half precision do not vanish. A step whose gradients
/// are not all finite is left out and halves `s`; after `dynamic_growth_steps` finite steps in a row, `s` doubles.
///
/// # Errors
/// If the inner optimizer has a `loss_scale_factor` of its own.
#[derive(Debug)]
pub struct LossScaleOptimizer {
    base: OptimizerBase,
    arguments: Arguments,
    state: OnceLock<State>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    inner_optimizer: OptimizerRef,
    #[serde(default = "initial_scale")]
    initial_scale: Number,
    #[serde(default = "dynamic_growth_steps")]
    dynamic_growth_steps: u64,
}

fn initial_scale() -> Number {
    Number::Float(32768.0)
}

fn dynamic_growth_steps() -> u64 {
    2000
}

#[derive(Debug)]
struct State {
    step_counter: Variable,
    dynamic_scale: Variable,
    trained: Vec<Variable>,
}

const CLASS: &str = "LossScaleOptimizer";

impl LossScaleOptimizer {
    /// `inner_optimizer` with a loss scale that starts as 2¹⁵.
    pub fn new(inner_optimizer: impl Into<OptimizerRef>) -> LossScaleOptimizer {
        LossScaleOptimizer::with(Arguments {
            inner_optimizer: inner_optimizer.into(),
            initial_scale: initial_scale(),
            dynamic_growth_steps: dynamic_growth_steps(),
        })
    }

    fn with(arguments: Arguments) -> LossScaleOptimizer {
        LossScaleOptimizer { base: OptimizerBase::new(0.0), arguments, state: OnceLock::new() }
    }

    /// What the scale starts as; 2¹⁵ unless said.
    pub fn initial_scale(mut self, initial_scale: impl Into<Number>) -> LossScaleOptimizer {
        self.arguments.initial_scale = initial_scale.into();
        self
    }

    /// After how many finite steps the scale doubles; 2000 unless said.
    pub fn dynamic_growth_steps(mut self, steps: u64) -> LossScaleOptimizer {
        self.arguments.dynamic_growth_steps = steps;
        self
    }

    /// Names the optimizer: the first part of the paths of its variables.
    pub fn name(mut self, name: impl Into<String>) -> LossScaleOptimizer {
        self.base.options_mut().name = Some(name.into());
        self
    }

    /// The optimizer that makes the updates.
    pub fn inner_optimizer(&self) -> &OptimizerRef {
        &self.arguments.inner_optimizer
    }

    /// Rebuilds one from Keras's configuration.
    pub(super) fn from_config(config: Value) -> Result<LossScaleOptimizer> {
        let (common, mut own) = OptimizerBase::split(config)?;
        if let Some(key) = common.keys().find(|k| *k != "name" && !common[*k].is_null()) {
            return Err(Error::content(
                CLASS,
                format!("{key} is not one of its arguments"),
                "set it on inner_optimizer",
            ));
        }
        // Keras takes the inner optimizer's own scale away.
        if let Some(inner) = own.pointer_mut("/inner_optimizer/config").and_then(Value::as_object_mut) {
            inner.remove("loss_scale_factor");
        }
        let mut optimizer = LossScaleOptimizer::with(saving::from_config(CLASS, own)?);
        optimizer.base.options_mut().name = common.get("name").and_then(Value::as_str).map(str::to_owned);
        Ok(optimizer)
    }

    /// The inner optimizer's update of gradients that may not be finite: then nothing changes but the scale.
    fn step(&self, state: &State, gradients: &[Tensor], variables: &[Variable]) -> Result<()> {
        let finite = all_finite(gradients);
        let (scale, count) = (state.dynamic_scale.value(), state.step_counter.value());
        let unscaled: Vec<Tensor> = gradients.iter().map(|g| g / scale.cast(g.dtype())).collect();

        let mut guarded = self.inner_optimizer().variables();
        guarded.extend(state.trained.iter().cloned());
        let before = values(&guarded);
        self.inner_optimizer().apply(&unscaled, variables)?;
        for (variable, before) in guarded.iter().zip(&before) {
            let after = variable.value();
            if !after.is(before) {
                variable.assign(select(&finite, after, before))?;
            }
        }

        let grow = compare(&count, Direction::Eq, self.arguments.dynamic_growth_steps as i64 - 1);
        let grown = select(&grow, &scale * 2.0, &scale);
        let counted = select(&grow, 0i64, &(&count + 1i64));
        state.dynamic_scale.assign(select(&finite, grown, &(scale * 0.5)))?;
        state.step_counter.assign(select(&finite, counted, &ops::zeros_like(&count)))
    }
}

/// Whether all elements are finite: a scalar.
fn all_finite(gradients: &[Tensor]) -> Tensor {
    let finite = gradients.iter().map(|g| {
        let finite = unary(UnaryKind::IsFinite, g);
        if g.rank() == 0 {
            return finite;
        }
        Tensor::apply(Reduce { kind: ReduceKind::And, axes: (0..g.rank()).collect() }, &[&finite])
    });
    let both = |a: Tensor, b: Tensor| binary(BinaryKind::And, &a, b);
    finite.reduce(both).unwrap_or_else(|| Tensor::from(true))
}

impl KerasObject for LossScaleOptimizer {
    fn class_name(&self) -> &'static str {
        CLASS
    }

    fn config(&self) -> Value {
        let mut config = serde_json::json!({ "name": self.base.name(CLASS) });
        if let (Value::Object(config), Value::Object(own)) = (&mut config, saving::config_of(&self.arguments)) {
            config.extend(own);
        }
        config
    }
}

impl Optimizer for LossScaleOptimizer {
    fn name(&self) -> &str {
        self.base.name(CLASS)
    }

    fn build(&self, variables: &[Variable]) -> Result<()> {
        if self.built() {
            return Ok(());
        }
        if !self.inner_optimizer().config()["loss_scale_factor"].is_null() {
            return Err(Error::argument(
                "inner_optimizer",
                "it has a loss_scale_factor of its own",
                "leave the scaling to the LossScaleOptimizer",
            ));
        }
        let path = |variable: &str| crate::naming::path_of(&format!("{}/{variable}", self.base.name(CLASS)));
        let state = State {
            step_counter: Variable::state(&path("step_counter"), Array::scalar(0i64)),
            dynamic_scale: Variable::state(
                &path("dynamic_scale"),
                Array::scalar_of(DType::F32, self.arguments.initial_scale.value()),
            ),
            trained: variables.to_vec(),
        };
        self.inner_optimizer().build(variables)?;
        // Set already only when two threads build at once.
        let _ = self.state.set(state);
        Ok(())
    }

    fn built(&self) -> bool {
        self.state.get().is_some()
    }

    fn variables(&self) -> Vec<Variable> {
        let mut variables = vec![self.base.iterations(CLASS)];
        variables.extend(self.base.learning_rate(CLASS));
        variables.extend(self.state.get().into_iter().flat_map(|s| [s.step_counter.clone(), s.dynamic_scale.clone()]));
        variables.extend(self.inner_optimizer().variables());
        variables
    }

    fn apply(&self, gradients: &[Tensor], variables: &[Variable]) -> Result<()> {
        self.build(variables)?;
        match self.state.get() {
            Some(state) if !gradients.is_empty() => self.step(state, gradients, variables),
            _ => Ok(()),
        }
    }

    fn scale_loss(&self, loss: &Tensor) -> Tensor {
        match self.state.get() {
            Some(state) => loss * state.dynamic_scale.value().cast(loss.dtype()),
            None => loss * self.arguments.initial_scale.value(),
        }
    }

    fn finalize(&self, variables: &[Variable]) -> Result<()> {
        self.inner_optimizer().finalize(variables)
    }

    fn averages(&self) -> Vec<(Variable, Variable)> {
        self.inner_optimizer().averages()
    }

    fn learning_rate(&self) -> Option<Variable> {
        self.inner_optimizer().learning_rate()
    }

    fn schedule(&self) -> Option<ScheduleRef> {
        self.inner_optimizer().schedule()
    }

    fn iterations(&self) -> Variable {
        self.inner_optimizer().iterations()
    }
}
