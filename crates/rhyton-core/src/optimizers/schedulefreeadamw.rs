//! `ScheduleFreeAdamW`: AdamW whose averaging makes schedules unnecessary.

use serde::{Deserialize, Serialize};

use super::arithmetic::{power, scalar};
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// With `y` the weights and `z` the momentum slot: `v ← β₂·v + (1−β₂)·g²`, `z ← z − η·g / (√(v/(1−β₂ᵗ)) + ε)`,
/// `x = (y − (1−β₁)·z) / β₁`, `x ← (1 − 1/t)·x + z/t`, `y ← (1−β₁)·z + β₁·x`; `η` grows over `warmup_steps`.
///
/// On TensorFlow, the `z` from which `x` is recovered is the new one, as here. `z` starts as the weights, as in Keras when the
/// optimizer is built before the first step; built within it, Keras's `z` starts at 0 there.
///
/// # References
/// Defazio et al., 2024, <https://arxiv.org/abs/2405.15682>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleFreeAdamW {
    #[serde(skip)]
    base: OptimizerBase,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    warmup_steps: u64,
}

keras_optimizer!(ScheduleFreeAdamW);

impl Default for ScheduleFreeAdamW {
    fn default() -> ScheduleFreeAdamW {
        ScheduleFreeAdamW::new(0.0025)
    }
}

impl ScheduleFreeAdamW {
    /// ScheduleFreeAdamW with this learning rate; Keras's default is 0.0025.
    pub fn new(learning_rate: impl Into<LearningRate>) -> ScheduleFreeAdamW {
        ScheduleFreeAdamW {
            base: OptimizerBase::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            warmup_steps: 0,
        }
    }

    /// How much the weights lean towards the average; 0.9 unless said.
    pub fn beta_1(mut self, beta_1: f64) -> ScheduleFreeAdamW {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the second moment stays at a step; 0.999 unless said.
    pub fn beta_2(mut self, beta_2: f64) -> ScheduleFreeAdamW {
        self.beta_2 = beta_2;
        self
    }

    /// Keeps the division finite; 1e-8 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> ScheduleFreeAdamW {
        self.epsilon = epsilon;
        self
    }

    /// Over how many steps the learning rate grows; 0 unless said.
    pub fn warmup_steps(mut self, warmup_steps: u64) -> ScheduleFreeAdamW {
        self.warmup_steps = warmup_steps;
        self
    }
}

impl UpdateRule for ScheduleFreeAdamW {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        for (i, variable) in slots.variables().iter().enumerate() {
            slots.add_array_like(i, "momentum", variable.array()?);
            slots.add_like(i, "velocity", 0.0);
        }
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let dtype = variable.dtype();
        let t = step.count(dtype);
        let mut lr = step.learning_rate(dtype);
        if self.warmup_steps > 0 {
            lr = lr * ops::minimum(&t / self.warmup_steps as f64, 1.0);
        }
        let (z, v) = (&slots[0], &slots[1]);
        // 1 − β in the dtype of the weights, as Keras rounds it.
        let rest = |beta: f64| 1.0 - scalar(beta, dtype);
        let v = v + (ops::square(gradient) - v) * rest(self.beta_2);
        let correction = 1.0 - power(&scalar(self.beta_2, dtype), &t);
        let z = z - lr * gradient / (ops::sqrt(&(&v / correction)) + self.epsilon);
        let weight = 1.0 / t;
        let x = (variable - rest(self.beta_1) * &z) / self.beta_1;
        let x = (1.0 - &weight) * x + weight * &z;
        let y = rest(self.beta_1) * &z + self.beta_1 * x;
        Updated { variable: y, slots: vec![z, v] }
    }
}
