//! What an optimizer is to those who use it, and the rule that makes one.

use rhyton_ir::DType;

use super::apply;
use super::base::OptimizerBase;
use super::schedules::ScheduleRef;
use super::slots::NewSlots;
use crate::error::{Error, Result};
use crate::saving::KerasObject;
use crate::tensor::Tensor;
use crate::variable::Variable;

/// Updates weights from gradients. To write one, implement [`UpdateRule`].
pub trait Optimizer: KerasObject {
    /// The name, the first part of the paths of its variables.
    fn name(&self) -> &str;

    /// Makes the slots for `variables`; does nothing if they are there already.
    ///
    /// # Errors
    /// If an argument of the optimizer is out of its range.
    fn build(&self, variables: &[Variable]) -> Result<()>;

    /// Whether the slots are there.
    fn built(&self) -> bool;

    /// The state, in the order in which Keras stores it: the count of steps, the learning rate (unless it is a
    /// schedule), averages, accumulated gradients, slots.
    fn variables(&self) -> Vec<Variable>;

    /// Optimizers inside, whose state Keras stores once more in places of their own.
    fn children(&self) -> Vec<super::OptimizerRef> {
        Vec::new()
    }

    /// Updates `variables` by their `gradients`, builds if need be. Inside a trace the assignments become part of it.
    ///
    /// # Errors
    /// If the counts or shapes differ, if one of the variables is not one that the optimizer was built with, or if a
    /// gradient carries an error.
    fn apply(&self, gradients: &[Tensor], variables: &[Variable]) -> Result<()>;

    /// The loss, scaled so that small gradients do not vanish in half precision; [`Optimizer::apply`] undoes it.
    fn scale_loss(&self, loss: &Tensor) -> Tensor;

    /// What is due after the last step: with moving averages, the weights become their averages.
    ///
    /// # Errors
    /// If one of the variables is not one that the optimizer was built with.
    fn finalize(&self, variables: &[Variable]) -> Result<()>;

    /// The weights with their moving averages; none if the optimizer keeps none, or is not built yet.
    fn averages(&self) -> Vec<(Variable, Variable)>;

    /// The learning rate, if it is a number; it may be assigned at any time.
    fn learning_rate(&self) -> Option<Variable>;

    /// The learning rate, if it is a schedule.
    fn schedule(&self) -> Option<ScheduleRef>;

    /// The count of calls of [`Optimizer::apply`], `int64`.
    fn iterations(&self) -> Variable;

    /// The learning rate of the next step.
    ///
    /// # Errors
    /// If a schedule has arguments out of range.
    fn current_learning_rate(&self) -> Result<Tensor> {
        match (self.schedule(), self.learning_rate()) {
            (Some(schedule), _) => schedule.call(&self.iterations().value()),
            (None, Some(variable)) => Ok(variable.value()),
            (None, None) => Err(Error::argument(self.name(), "it has no learning rate", "give it one")),
        }
    }

    /// Sets the learning rate.
    ///
    /// # Errors
    /// If it is a schedule.
    fn set_learning_rate(&self, learning_rate: f64) -> Result<()> {
        match self.learning_rate() {
            Some(variable) => variable.assign(learning_rate as f32),
            None => Err(Error::argument(
                self.name(),
                "the learning rate is a schedule, which cannot be set to a number",
                "make the optimizer with a number as its learning rate",
            )),
        }
    }
}

/// The values after a step: of the weight, and of its slots in their order.
pub struct Updated {
    /// The weight.
    pub variable: Tensor,
    /// The slots.
    pub slots: Vec<Tensor>,
}

/// What a rule knows of the step.
pub struct Step<'s> {
    pub(super) learning_rate: &'s Tensor,
    pub(super) iterations: &'s Tensor,
    pub(super) shared: &'s [Tensor],
}

impl Step<'_> {
    /// The learning rate, as a scalar of `dtype`.
    pub fn learning_rate(&self, dtype: DType) -> Tensor {
        self.learning_rate.cast(dtype)
    }

    /// The number of the update, counted from 1, as a scalar of `dtype`.
    pub fn count(&self, dtype: DType) -> Tensor {
        (self.iterations + 1i64).cast(dtype)
    }

    /// The state that belongs to no single weight, as [`UpdateRule::advance`] gave it.
    pub fn shared(&self) -> &[Tensor] {
        self.shared
    }
}

/// The part of an optimizer that is its own: which slots it keeps, and how a step changes a weight and its slots. All
/// that implement it are [`Optimizer`]s.
pub trait UpdateRule: KerasObject {
    /// The options and state that all optimizers have.
    fn base(&self) -> &OptimizerBase;

    /// Checks the arguments.
    ///
    /// # Errors
    /// If one is out of its range.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Makes the slots.
    ///
    /// # Errors
    /// If they cannot be made for these variables.
    fn create_slots(&self, slots: &mut NewSlots) -> Result<()>;

    /// The values after a step; `gradient` has the dtype of `variable`. Errors travel in the tensors.
    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated;

    /// The state that belongs to no single weight after a step; called before the weights are updated.
    fn advance(&self, step: &Step, shared: &[Tensor]) -> Vec<Tensor> {
        let _ = step;
        shared.to_vec()
    }

    /// By how much `variable` decays at a step, in units of the learning rate.
    ///
    /// # Errors
    /// If a pattern that would name variables is none.
    fn weight_decay(&self, variable: &Variable) -> Result<Option<f64>> {
        let _ = variable;
        Ok(self.base().options().weight_decay)
    }
}

impl<R: UpdateRule> Optimizer for R {
    fn name(&self) -> &str {
        self.base().name(self.class_name())
    }

    fn build(&self, variables: &[Variable]) -> Result<()> {
        if self.built() {
            return Ok(());
        }
        self.base().check(self)?;
        self.base().build(self.class_name(), variables, |slots| self.create_slots(slots))
    }

    fn built(&self) -> bool {
        self.base().slots().is_some()
    }

    fn variables(&self) -> Vec<Variable> {
        self.base().variables(self.class_name())
    }

    fn apply(&self, gradients: &[Tensor], variables: &[Variable]) -> Result<()> {
        if gradients.is_empty() {
            return Ok(());
        }
        self.build(variables)?;
        apply::apply(self, gradients, variables).map_err(|e| e.within(self.name()))
    }

    fn scale_loss(&self, loss: &Tensor) -> Tensor {
        match self.base().options().loss_scale_factor {
            Some(factor) => loss * factor,
            None => loss.clone(),
        }
    }

    fn finalize(&self, variables: &[Variable]) -> Result<()> {
        apply::finalize(self.base(), variables).map_err(|e| e.within(self.name()))
    }

    fn averages(&self) -> Vec<(Variable, Variable)> {
        let slots = self.base().slots().into_iter();
        slots.flat_map(|s| s.trained.iter().cloned().zip(s.averages.iter().cloned())).collect()
    }

    fn learning_rate(&self) -> Option<Variable> {
        self.base().learning_rate(self.class_name())
    }

    fn schedule(&self) -> Option<ScheduleRef> {
        self.base().options().learning_rate.schedule().cloned()
    }

    fn iterations(&self) -> Variable {
        self.base().iterations(self.class_name())
    }
}
