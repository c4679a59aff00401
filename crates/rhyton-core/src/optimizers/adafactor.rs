//! `Adafactor`: adaptive steps with the memory of a row and a column.

use rhyton_ir::{Array, Dim};
use serde::{Deserialize, Serialize};

use super::arithmetic::{power, scalar};
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::Result;
use crate::keras_optimizer;
use crate::ops;
use crate::ops::Axes;
use crate::tensor::Tensor;

/// With `ρ = min(η, 1/√t)`, `α = max(ε₂, rms(w))·ρ`, `β = 1 − t^beta_2_decay`, `s = g² + ε₁`: of matrices (and their stacks)
/// rows `r ← β·r + (1−β)·mean(s, −1)` and columns `c ← β·c + (1−β)·mean(s, −2)` are kept, and `v = r / mean(r) · c`; of others
/// `v ← β·v + (1−β)·s`. Then `u = g / √v`, `w ← w − α·u / max(1, rms(u) / clip_threshold)`.
///
/// # References
/// Shazeer and Stern, 2018, <https://arxiv.org/abs/1804.04235>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adafactor {
    #[serde(skip)]
    base: OptimizerBase,
    beta_2_decay: f64,
    epsilon_1: f64,
    epsilon_2: f64,
    clip_threshold: f64,
    relative_step: bool,
}

keras_optimizer!(Adafactor);

impl Default for Adafactor {
    fn default() -> Adafactor {
        Adafactor::new(0.001)
    }
}

impl Adafactor {
    /// Adafactor with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adafactor {
        Adafactor {
            base: OptimizerBase::new(learning_rate),
            beta_2_decay: -0.8,
            epsilon_1: 1e-30,
            epsilon_2: 0.001,
            clip_threshold: 1.0,
            relative_step: true,
        }
    }

    /// How the mean of squares comes to reach further back; −0.8 unless said.
    pub fn beta_2_decay(mut self, beta_2_decay: f64) -> Adafactor {
        self.beta_2_decay = beta_2_decay;
        self
    }

    /// Added to squares of gradients; 1e-30 unless said.
    pub fn epsilon_1(mut self, epsilon_1: f64) -> Adafactor {
        self.epsilon_1 = epsilon_1;
        self
    }

    /// The smallest scale of a weight; 0.001 unless said.
    pub fn epsilon_2(mut self, epsilon_2: f64) -> Adafactor {
        self.epsilon_2 = epsilon_2;
        self
    }

    /// The largest root mean square of an update; 1 unless said.
    pub fn clip_threshold(mut self, clip_threshold: f64) -> Adafactor {
        self.clip_threshold = clip_threshold;
        self
    }

    /// Whether a learning rate that is a number is bounded by `1/√t`; it is unless said.
    pub fn relative_step(mut self, relative_step: bool) -> Adafactor {
        self.relative_step = relative_step;
        self
    }
}

impl UpdateRule for Adafactor {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn create_slots(&self, slots: &mut NewSlots) -> Result<()> {
        for (i, variable) in slots.variables().iter().enumerate() {
            let (name, shape, dtype) = (variable.name(), variable.shape(), variable.dtype());
            if let [stack @ .., rows, columns] = shape {
                let path = format!("{}/{name}", slots.optimizer());
                slots.add_array(i, &path, Array::zeros(dtype, [stack, &[*rows]].concat()));
                slots.add_array(i, &path, Array::zeros(dtype, [stack, &[*columns]].concat()));
            } else {
                // Keras keeps a place for them in files.
                slots.add_unused(name, Array::scalar(0i32));
                slots.add_unused(name, Array::scalar(0i32));
            }
            slots.add_like(i, "velocity", 0.0);
        }
        Ok(())
    }

    fn update(&self, step: &Step, variable: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Updated {
        let dtype = variable.dtype();
        let t = step.count(dtype);
        let rms = |x: &Tensor| ops::sqrt(&ops::mean(&ops::square(x), Axes::All, false));
        let mut lr = step.learning_rate(dtype);
        if self.relative_step && self.base.options().learning_rate.schedule().is_none() {
            lr = ops::minimum(lr, 1.0 / ops::sqrt(&t));
        }
        let rho = ops::minimum(lr, 1.0 / ops::sqrt(&t));
        let alpha = ops::maximum(scalar(self.epsilon_2, dtype), rms(variable)) * rho;
        let squares = ops::square(gradient) + self.epsilon_1;
        let beta = 1.0 - power(&t, self.beta_2_decay);
        let blend = |old: &Tensor, new: &Tensor| &beta * old + (1.0 - &beta) * new;
        let (v, slots) = match slots {
            [r, c, _] => {
                let r = blend(r, &ops::mean(&squares, -1, false));
                let c = blend(c, &ops::mean(&squares, -2, false));
                let (mut down, mut across) = (r.shape().to_vec(), c.shape().to_vec());
                down.push(Dim::Known(1));
                across.insert(across.len() - 1, Dim::Known(1));
                let rows = ops::reshape_to(&(&r / ops::mean(&r, -1, true)), down);
                let v = rows * ops::reshape_to(&c, across);
                (v.clone(), vec![r, c, v])
            }
            _ => {
                let v = blend(&slots[0], &squares);
                (v.clone(), vec![v])
            }
        };
        let u = gradient / ops::sqrt(&v);
        let u = &u / ops::maximum(scalar(1.0, dtype), rms(&u) / self.clip_threshold);
        Updated { variable: variable - alpha * u, slots }
    }
}
