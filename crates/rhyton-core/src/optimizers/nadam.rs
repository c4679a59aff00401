//! `Nadam`: Adam with Nesterov's momentum.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};

use super::arithmetic::{power, scalar};
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// With `μₜ = β₁·(1 − ½·0.96ᵗ)` and `Πₜ = μ₁⋯μₜ`: moments as Adam's,
/// `m̂ = μₜ₊₁·m / (1−Πₜ₊₁) + (1−μₜ)·g / (1−Πₜ)`, `v̂ = v / (1−β₂ᵗ)`, `w ← w − η·m̂ / (√v̂ + ε)`.
///
/// Keras computes `Πₜ` with `β₁·(1 − ½·0.96ᵗ)` in the dtype of the first weight.
///
/// # References
/// Dozat, 2015, <http://cs229.stanford.edu/proj2015/054_report.pdf>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nadam {
    #[serde(skip)]
    base: OptimizerBase,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

keras_optimizer!(Nadam);

impl Default for Nadam {
    fn default() -> Nadam {
        Nadam::new(0.001)
    }
}

impl Nadam {
    /// Nadam with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Nadam {
        Nadam { base: OptimizerBase::new(learning_rate), beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }

    /// How much of the first moment stays at a step; 0.9 unless said.
    pub fn beta_1(mut self, beta_1: f64) -> Nadam {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the second moment stays at a step; 0.999 unless said.
    pub fn beta_2(mut self, beta_2: f64) -> Nadam {
        self.beta_2 = beta_2;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> Nadam {
        self.epsilon = epsilon;
        self
    }
}

impl UpdateRule for Nadam {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add(&["momentum", "velocity"], 0.0);
        let dtype = slots.variables().first().map_or(DType::F32, |v| v.dtype());
        slots.add_shared("variable", Array::scalar_of(dtype, 1.0));
        Ok(())
    }

    fn advance(&self, step: &Step, shared: &[Tensor]) -> Vec<Tensor> {
        let momentum = |product: &Tensor| {
            let dtype = product.dtype();
            product * self.beta_1 * (1.0 - 0.5 * power(&scalar(0.96, dtype), step.count(dtype)))
        };
        shared.iter().map(momentum).collect()
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let dtype = variable.dtype();
        let t = step.count(dtype);
        let momentum = |t: &Tensor| (1.0 - 0.5 * power(&scalar(0.96, dtype), t)) * self.beta_1;
        let (u, u_next) = (momentum(&t), momentum(&(&t + 1.0)));
        let product = step.shared()[0].cast(dtype);
        let product_next = &product * &u_next;
        // 1 − β in the dtype of the weights, as Keras rounds it here.
        let rest = |beta: f64| 1.0 - scalar(beta, dtype);
        let (m, v) = (&slots[0], &slots[1]);
        let m = m + (gradient - m) * rest(self.beta_1);
        let v = v + (ops::square(gradient) - v) * rest(self.beta_2);
        let correction = 1.0 - power(&scalar(self.beta_2, dtype), &t);
        let m_hat = u_next * &m / (1.0 - product_next) + (1.0 - u) * gradient / (1.0 - product);
        let v_hat = &v / correction;
        let change = m_hat * step.learning_rate(dtype) / (ops::sqrt(&v_hat) + self.epsilon);
        Updated { variable: variable - change, slots: vec![m, v] }
    }
}
