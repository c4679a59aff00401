//! `Adamax`: Adam with the infinity norm.

use serde::{Deserialize, Serialize};

use super::arithmetic::{power, scalar};
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// `m ← β₁·m + (1−β₁)·g`, `u ← max(β₂·u, |g|)`, `w ← w − η·m / ((1−β₁ᵗ)·(u + ε))`.
///
/// # References
/// Kingma and Ba, 2014, section 7, <https://arxiv.org/abs/1412.6980>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adamax {
    #[serde(skip)]
    base: OptimizerBase,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

keras_optimizer!(Adamax);

impl Default for Adamax {
    fn default() -> Adamax {
        Adamax::new(0.001)
    }
}

impl Adamax {
    /// Adamax with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adamax {
        Adamax { base: OptimizerBase::new(learning_rate), beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }

    /// How much of the first moment stays at a step; 0.9 unless said.
    pub fn beta_1(mut self, beta_1: f64) -> Adamax {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the norm stays at a step; 0.999 unless said.
    pub fn beta_2(mut self, beta_2: f64) -> Adamax {
        self.beta_2 = beta_2;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> Adamax {
        self.epsilon = epsilon;
        self
    }
}

impl UpdateRule for Adamax {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add(&["momentum", "norm"], 0.0);
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let dtype = variable.dtype();
        let (m, u) = (&slots[0], &slots[1]);
        let m = m + (gradient - m) * (1.0 - self.beta_1);
        let u = ops::maximum(u * self.beta_2, ops::absolute(gradient));
        let correction = 1.0 - power(&scalar(self.beta_1, dtype), step.count(dtype));
        let change = step.learning_rate(dtype) * &m / (correction * (&u + self.epsilon));
        Updated { variable: variable - change, slots: vec![m, u] }
    }
}
