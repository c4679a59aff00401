//! `SGD`: gradient descent, with momentum.

use serde::{Deserialize, Serialize};

use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::{Error, Result};
use crate::keras_optimizer;
use crate::tensor::Tensor;

/// Gradient descent: `w ← w − η·g`. With momentum `μ`: `v ← μ·v − η·g`, `w ← w + v`; by Nesterov, `w ← w + μ·v − η·g`.
///
/// # Errors
/// If the momentum is not from 0 to 1.
///
/// # Examples
/// ```
/// use rhyton_core::optimizers::{Optimizer, SGD};
/// use rhyton_core::{Array, Tensor, Variable};
///
/// let w = Variable::state("w", Array::scalar(1.0f32));
/// SGD::new(0.5).apply(&[Tensor::from(1.0f32)], std::slice::from_ref(&w))?;
/// assert_eq!(w.value().item()?, 0.5);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
///
/// # References
/// Sutskever et al., 2013, <https://proceedings.mlr.press/v28/sutskever13.html>, for Nesterov's momentum.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SGD {
    #[serde(skip)]
    base: OptimizerBase,
    momentum: f64,
    nesterov: bool,
}

keras_optimizer!(SGD);

impl Default for SGD {
    fn default() -> SGD {
        SGD::new(0.01)
    }
}

impl SGD {
    /// Gradient descent with this learning rate; Keras's default is 0.01.
    pub fn new(learning_rate: impl Into<LearningRate>) -> SGD {
        SGD { base: OptimizerBase::new(learning_rate), momentum: 0.0, nesterov: false }
    }

    /// How much of the last step is repeated, from 0 to 1; 0 unless said.
    pub fn momentum(mut self, momentum: f64) -> SGD {
        self.momentum = momentum;
        self
    }

    /// Whether the momentum is Nesterov's; it is not unless said.
    pub fn nesterov(mut self, nesterov: bool) -> SGD {
        self.nesterov = nesterov;
        self
    }
}

impl UpdateRule for SGD {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::argument("momentum", format!("it is {}", self.momentum), "give a number from 0 to 1"));
        }
        Ok(())
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        if self.momentum != 0.0 {
            slots.add(&["momentum"], 0.0);
        }
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let scaled = gradient * step.learning_rate(variable.dtype());
        let Some(m) = slots.first() else {
            return Updated { variable: variable - scaled, slots: vec![] };
        };
        let m = m * self.momentum - &scaled;
        let change = if self.nesterov { &m * self.momentum - scaled } else { m.clone() };
        Updated { variable: variable + change, slots: vec![m] }
    }
}
