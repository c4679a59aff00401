//! `Lamb`: Adam with steps in proportion to the weights, for large batches.

use rhyton_ir::op::Direction;
use serde::{Deserialize, Serialize};

use super::adam::Moments;
use super::arithmetic::{compare, select};
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::ops::Axes;
use crate::tensor::Tensor;

/// Moments as Adam's, `u = m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε)`, `w ← w − ‖w‖/‖u‖ · η·u`; the ratio is 1 if one of the norms is 0.
///
/// # References
/// You et al., 2019, <https://arxiv.org/abs/1904.00962>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lamb {
    #[serde(skip)]
    base: OptimizerBase,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

keras_optimizer!(Lamb);

impl Default for Lamb {
    fn default() -> Lamb {
        Lamb::new(0.001)
    }
}

impl Lamb {
    /// Lamb with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Lamb {
        Lamb { base: OptimizerBase::new(learning_rate), beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }

    /// How much of the first moment stays at a step; 0.9 unless said.
    pub fn beta_1(mut self, beta_1: f64) -> Lamb {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the second moment stays at a step; 0.999 unless said.
    pub fn beta_2(mut self, beta_2: f64) -> Lamb {
        self.beta_2 = beta_2;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> Lamb {
        self.epsilon = epsilon;
        self
    }
}

impl UpdateRule for Lamb {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add(&["momentum", "velocity"], 0.0);
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let dtype = variable.dtype();
        let moments = Moments { beta_1: self.beta_1, beta_2: self.beta_2, epsilon: self.epsilon };
        let (correction_1, correction_2) = moments.corrections(step, dtype);
        let (m, v) = moments.moments(gradient, slots);
        let update = &m / correction_1 / (ops::sqrt(&(&v / correction_2)) + self.epsilon);
        let norm = |x: &Tensor| ops::sqrt(&ops::sum(&ops::square(x), Axes::All, false));
        let (w_norm, u_norm) = (norm(variable), norm(&update));
        let positive = |norm: &Tensor| compare(norm, Direction::Gt, 0.0);
        let one = ops::ones_like(&w_norm);
        let ratio = select(&positive(&u_norm), &w_norm / &u_norm, &one);
        let ratio = select(&positive(&w_norm), ratio, &one);
        Updated { variable: variable - ratio * step.learning_rate(dtype) * update, slots: vec![m, v] }
    }
}
