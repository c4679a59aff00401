//! `Adagrad`: steps divided by the root of the sum of squares of gradients.

use serde::{Deserialize, Serialize};

use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// `a ← a + g²`, `w ← w − η·g / √(a + ε)`.
///
/// # References
/// Duchi et al., 2011, <https://www.jmlr.org/papers/volume12/duchi11a/duchi11a.pdf>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adagrad {
    #[serde(skip)]
    base: OptimizerBase,
    initial_accumulator_value: f64,
    epsilon: f64,
}

keras_optimizer!(Adagrad);

impl Default for Adagrad {
    fn default() -> Adagrad {
        Adagrad::new(0.001)
    }
}

impl Adagrad {
    /// Adagrad with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adagrad {
        Adagrad { base: OptimizerBase::new(learning_rate), initial_accumulator_value: 0.1, epsilon: 1e-7 }
    }

    /// What the sum of squares starts as; 0.1 unless said.
    pub fn initial_accumulator_value(mut self, initial_accumulator_value: f64) -> Adagrad {
        self.initial_accumulator_value = initial_accumulator_value;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> Adagrad {
        self.epsilon = epsilon;
        self
    }
}

impl UpdateRule for Adagrad {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add(&["accumulator"], self.initial_accumulator_value);
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let a = &slots[0] + ops::square(gradient);
        let change = step.learning_rate(variable.dtype()) * gradient / ops::sqrt(&(&a + self.epsilon));
        Updated { variable: variable - change, slots: vec![a] }
    }
}
