//! `Ftrl`: follow the regularized leader.

use serde::{Deserialize, Serialize};

use super::arithmetic::power;
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::{Error, Result};
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// With `p = −learning_rate_power`, `λ₂ = l2 + β / 2η`, `g̃ = g + 2·l2_shrinkage·w`, `a' = a + g²`:
/// `z ← z + g̃ − (a'ᵖ − aᵖ) / η · w`, `w ← (clip(z, ±l1) − z) / (a'ᵖ / η + 2·λ₂)`, `a ← a'`.
///
/// # Errors
/// If an argument is on the wrong side of 0.
///
/// # References
/// McMahan et al., 2013, <https://research.google.com/pubs/archive/41159.pdf>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ftrl {
    #[serde(skip)]
    base: OptimizerBase,
    learning_rate_power: f64,
    initial_accumulator_value: f64,
    l1_regularization_strength: f64,
    l2_regularization_strength: f64,
    l2_shrinkage_regularization_strength: f64,
    beta: f64,
}

keras_optimizer!(Ftrl);

impl Default for Ftrl {
    fn default() -> Ftrl {
        Ftrl::new(0.001)
    }
}

impl Ftrl {
    /// Ftrl with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Ftrl {
        Ftrl {
            base: OptimizerBase::new(learning_rate),
            learning_rate_power: -0.5,
            initial_accumulator_value: 0.1,
            l1_regularization_strength: 0.0,
            l2_regularization_strength: 0.0,
            l2_shrinkage_regularization_strength: 0.0,
            beta: 0.0,
        }
    }

    /// How the learning rate falls with the sum of squares, at most 0; −0.5 unless said.
    pub fn learning_rate_power(mut self, learning_rate_power: f64) -> Ftrl {
        self.learning_rate_power = learning_rate_power;
        self
    }

    /// What the sum of squares starts as; 0.1 unless said.
    pub fn initial_accumulator_value(mut self, initial_accumulator_value: f64) -> Ftrl {
        self.initial_accumulator_value = initial_accumulator_value;
        self
    }

    /// The penalty on magnitudes; 0 unless said.
    pub fn l1_regularization_strength(mut self, l1_regularization_strength: f64) -> Ftrl {
        self.l1_regularization_strength = l1_regularization_strength;
        self
    }

    /// The penalty on squares; 0 unless said.
    pub fn l2_regularization_strength(mut self, l2_regularization_strength: f64) -> Ftrl {
        self.l2_regularization_strength = l2_regularization_strength;
        self
    }

    /// The penalty on squares that acts on the gradient; 0 unless said.
    pub fn l2_shrinkage_regularization_strength(mut self, l2_shrinkage_regularization_strength: f64) -> Ftrl {
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength;
        self
    }

    /// The paper's `β`; 0 unless said.
    pub fn beta(mut self, beta: f64) -> Ftrl {
        self.beta = beta;
        self
    }
}

impl UpdateRule for Ftrl {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn validate(&self) -> Result<()> {
        let nonnegative = [
            ("initial_accumulator_value", self.initial_accumulator_value),
            ("learning_rate_power", -self.learning_rate_power),
            ("l1_regularization_strength", self.l1_regularization_strength),
            ("l2_regularization_strength", self.l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", self.l2_shrinkage_regularization_strength),
        ];
        match nonnegative.iter().find(|(_, value)| *value < 0.0) {
            Some((name, value)) => {
                let (wrong, right) =
                    if *name == "learning_rate_power" { (-value, "at most") } else { (*value, "at least") };
                Err(Error::argument(*name, format!("it is {wrong}"), format!("give {right} 0")))
            }
            None => Ok(()),
        }
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add_with(&[("accumulator", self.initial_accumulator_value), ("linear", 0.0)]);
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let (a, z) = (&slots[0], &slots[1]);
        let lr = step.learning_rate(variable.dtype());
        let l2 = self.l2_regularization_strength + self.beta / (2.0 * &lr);
        let shrunk = gradient + variable * (2.0 * self.l2_shrinkage_regularization_strength);
        let a_new = a + ops::square(gradient);
        let raised = power(&a_new, -self.learning_rate_power);
        let z = z + (shrunk - (&raised - power(a, -self.learning_rate_power)) / &lr * variable);
        let quadratic = raised / lr + 2.0 * l2;
        let l1 = self.l1_regularization_strength;
        let clipped = ops::minimum(ops::maximum(&z, -l1), l1);
        Updated { variable: (clipped - &z) / quadratic, slots: vec![a_new, z] }
    }
}
