//! `Adam`: adaptive moments.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::arithmetic::{power, scalar};
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// Adaptive moments: `m ← β₁·m + (1−β₁)·g`, `v ← β₂·v + (1−β₂)·g²`,
/// `w ← w − η·√(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε)`; with AMSGrad, `v` is the largest so far.
///
/// `ε` is the paper's "epsilon hat" (just before its section 2.1).
///
/// # References
/// Kingma and Ba, 2014, <https://arxiv.org/abs/1412.6980>; Reddi et al., 2018, for AMSGrad.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    #[serde(skip)]
    base: OptimizerBase,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    amsgrad: bool,
}

keras_optimizer!(Adam);

impl Default for Adam {
    fn default() -> Adam {
        Adam::new(0.001)
    }
}

impl Adam {
    /// Adam with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adam {
        Adam { base: OptimizerBase::new(learning_rate), beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false }
    }

    /// How much of the first moment stays at a step; 0.9 unless said.
    pub fn beta_1(mut self, beta_1: f64) -> Adam {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the second moment stays at a step; 0.999 unless said.
    pub fn beta_2(mut self, beta_2: f64) -> Adam {
        self.beta_2 = beta_2;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> Adam {
        self.epsilon = epsilon;
        self
    }

    /// Whether the largest second moment so far is used; it is not unless said.
    pub fn amsgrad(mut self, amsgrad: bool) -> Adam {
        self.amsgrad = amsgrad;
        self
    }
}

impl UpdateRule for Adam {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        create_slots(slots, self.amsgrad);
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let lr = step.learning_rate(variable.dtype());
        Moments { beta_1: self.beta_1, beta_2: self.beta_2, epsilon: self.epsilon }
            .update(step, &lr, variable, gradient, slots)
    }
}

/// The slots of Adam and those that differ from it in nothing but their arguments.
pub(super) fn create_slots(slots: &mut NewSlots, amsgrad: bool) {
    slots.add(&["momentum", "velocity"], 0.0);
    if amsgrad {
        slots.add(&["velocity_hat"], 0.0);
    }
}

/// The arguments of Adam's rule.
pub(super) struct Moments {
    pub(super) beta_1: f64,
    pub(super) beta_2: f64,
    pub(super) epsilon: f64,
}

impl Moments {
    /// The two moments after a step.
    pub(super) fn moments(&self, gradient: &Tensor, slots: &[Tensor]) -> (Tensor, Tensor) {
        let (m, v) = (&slots[0], &slots[1]);
        let m = m + (gradient - m) * (1.0 - self.beta_1);
        let v = v + (ops::square(gradient) - v) * (1.0 - self.beta_2);
        (m, v)
    }

    /// `1 − β₁ᵗ` and `1 − β₂ᵗ`.
    pub(super) fn corrections(&self, step: &Step, dtype: DType) -> (Tensor, Tensor) {
        let t = step.count(dtype);
        let correction = |beta: f64| 1.0 - power(&scalar(beta, dtype), &t);
        (correction(self.beta_1), correction(self.beta_2))
    }

    /// Adam's rule; with AMSGrad if there is a third slot.
    pub(super) fn update(
        &self,
        step: &Step,
        lr: &Tensor,
        variable: &Tensor,
        gradient: &Tensor,
        slots: &[Tensor],
    ) -> Updated {
        let (correction_1, correction_2) = self.corrections(step, variable.dtype());
        let alpha = lr * ops::sqrt(&correction_2) / correction_1;
        let (m, v) = self.moments(gradient, slots);
        let largest = slots.get(2).map(|hat| ops::maximum(hat, &v));
        let denominator = ops::sqrt(largest.as_ref().unwrap_or(&v)) + self.epsilon;
        let variable = variable - &m * alpha / denominator;
        Updated { variable, slots: [m, v].into_iter().chain(largest).collect() }
    }
}
