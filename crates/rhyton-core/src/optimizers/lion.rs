//! `Lion`: steps by the sign of the momentum.

use serde::{Deserialize, Serialize};

use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::{Error, Result};
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// `w ← w − η·sign(β₁·m + (1−β₁)·g)`, `m ← β₂·m + (1−β₂)·g`.
///
/// # Errors
/// If `β₁` is not above 0 and at most 1.
///
/// # References
/// Chen et al., 2023, <https://arxiv.org/abs/2302.06675>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lion {
    #[serde(skip)]
    base: OptimizerBase,
    beta_1: f64,
    beta_2: f64,
}

keras_optimizer!(Lion);

impl Default for Lion {
    fn default() -> Lion {
        Lion::new(0.001)
    }
}

impl Lion {
    /// Lion with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Lion {
        Lion { base: OptimizerBase::new(learning_rate), beta_1: 0.9, beta_2: 0.99 }
    }

    /// How much of the momentum is in the step; 0.9 unless said.
    pub fn beta_1(mut self, beta_1: f64) -> Lion {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the momentum stays at a step; 0.99 unless said.
    pub fn beta_2(mut self, beta_2: f64) -> Lion {
        self.beta_2 = beta_2;
        self
    }
}

impl UpdateRule for Lion {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn validate(&self) -> Result<()> {
        if self.beta_1 <= 0.0 || self.beta_1 > 1.0 {
            let fix =
                "give a number above 0 and at most 1; for steps by the sign of the gradient alone there is no class";
            return Err(Error::argument("beta_1", format!("it is {}", self.beta_1), fix));
        }
        Ok(())
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add(&["momentum"], 0.0);
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let m = &slots[0];
        let direction = ops::sign(&(m * self.beta_1 + gradient * (1.0 - self.beta_1)));
        let variable = variable - step.learning_rate(variable.dtype()) * direction;
        Updated { variable, slots: vec![m * self.beta_2 + gradient * (1.0 - self.beta_2)] }
    }
}
