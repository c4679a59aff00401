//! `Adadelta`: steps in the units of the weights.

use serde::{Deserialize, Serialize};

use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// `a ← ρ·a + (1−ρ)·g²`, `δ = −√(d + ε) / √(a + ε) · g`, `d ← ρ·d + (1−ρ)·δ²`, `w ← w + η·δ`.
///
/// The paper has `η = 1`.
///
/// # References
/// Zeiler, 2012, <https://arxiv.org/abs/1212.5701>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adadelta {
    #[serde(skip)]
    base: OptimizerBase,
    rho: f64,
    epsilon: f64,
}

keras_optimizer!(Adadelta);

impl Default for Adadelta {
    fn default() -> Adadelta {
        Adadelta::new(0.001)
    }
}

impl Adadelta {
    /// Adadelta with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adadelta {
        Adadelta { base: OptimizerBase::new(learning_rate), rho: 0.95, epsilon: 1e-7 }
    }

    /// How much of the mean squares stays at a step; 0.95 unless said.
    pub fn rho(mut self, rho: f64) -> Adadelta {
        self.rho = rho;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> Adadelta {
        self.epsilon = epsilon;
        self
    }
}

impl UpdateRule for Adadelta {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add(&["accumulated_grad", "accumulated_delta_var"], 0.0);
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let (rho, keep) = (self.rho, 1.0 - self.rho);
        let rms = |x: &Tensor| ops::sqrt(&(x + self.epsilon));
        let a = rho * &slots[0] + keep * ops::square(gradient);
        let delta = -(rms(&slots[1]) * gradient / rms(&a));
        let d = rho * &slots[1] + keep * ops::square(&delta);
        let variable = variable + step.learning_rate(variable.dtype()) * delta;
        Updated { variable, slots: vec![a, d] }
    }
}
