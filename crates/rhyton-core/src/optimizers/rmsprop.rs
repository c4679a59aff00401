//! `RMSprop`: steps divided by the root of the mean square of gradients.

use serde::{Deserialize, Serialize};

use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::tensor::Tensor;

/// `v ← ρ·v + (1−ρ)·g²`, `w ← w − η·g / √(v + ε)`.
///
/// Centered, the mean is taken out: `a ← ρ·a + (1−ρ)·g` and `v − a²` in place of `v` under the root. With momentum `μ`, the
/// step is `m ← μ·m + η·g / √(…)`.
///
/// # References
/// Hinton, 2012, lecture 6e, <https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RMSprop {
    #[serde(skip)]
    base: OptimizerBase,
    rho: f64,
    momentum: f64,
    epsilon: f64,
    centered: bool,
}

keras_optimizer!(RMSprop);

impl Default for RMSprop {
    fn default() -> RMSprop {
        RMSprop::new(0.001)
    }
}

impl RMSprop {
    /// RMSprop with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> RMSprop {
        RMSprop { base: OptimizerBase::new(learning_rate), rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }

    /// How much of the mean square stays at a step; 0.9 unless said.
    pub fn rho(mut self, rho: f64) -> RMSprop {
        self.rho = rho;
        self
    }

    /// How much of the last step is repeated; 0 unless said.
    pub fn momentum(mut self, momentum: f64) -> RMSprop {
        self.momentum = momentum;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> RMSprop {
        self.epsilon = epsilon;
        self
    }

    /// Whether the variance is used in place of the mean square; it is not unless said.
    pub fn centered(mut self, centered: bool) -> RMSprop {
        self.centered = centered;
        self
    }
}

impl UpdateRule for RMSprop {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        slots.add(&["velocity"], 0.0);
        if self.momentum > 0.0 {
            slots.add(&["momentum"], 0.0);
        }
        if self.centered {
            slots.add(&["average_gradient"], 0.0);
        }
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let (rho, keep) = (self.rho, 1.0 - self.rho);
        let mut old = slots.iter();
        let mut new = Vec::with_capacity(slots.len());
        let mut next = || old.next().cloned().unwrap_or_else(|| ops::zeros_like(variable));

        let v = rho * next() + keep * ops::square(gradient);
        let momentum = (self.momentum > 0.0).then(&mut next);
        new.push(v.clone());
        let mut spread = v;
        let average = self.centered.then(|| rho * next() + keep * gradient);
        if let Some(average) = &average {
            spread = spread - ops::square(average);
        }
        let mut change = step.learning_rate(variable.dtype()) * gradient / ops::sqrt(&(spread + self.epsilon));
        if let Some(momentum) = momentum {
            change = self.momentum * momentum + change;
            new.push(change.clone());
        }
        new.extend(average);
        Updated { variable: variable - change, slots: new }
    }
}
