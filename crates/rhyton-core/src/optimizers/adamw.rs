//! `AdamW`: Adam with decoupled weight decay.

use serde::{Deserialize, Serialize};

use super::adam::{Moments, create_slots};
use super::{LearningRate, NewSlots, OptimizerBase, Step, UpdateRule, Updated};
use crate::error::{Error, Result};
use crate::keras_optimizer;
use crate::tensor::Tensor;

/// [`Adam`](super::Adam) after weights have decayed by `λ·η·w`, with `λ = weight_decay`.
///
/// # References
/// Loshchilov and Hutter, 2019, <https://arxiv.org/abs/1711.05101>; Kingma and Ba, 2014, <https://arxiv.org/abs/1412.6980>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamW {
    #[serde(skip)]
    base: OptimizerBase,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    amsgrad: bool,
}

keras_optimizer!(AdamW);

impl Default for AdamW {
    fn default() -> AdamW {
        AdamW::new(0.001)
    }
}

impl AdamW {
    /// AdamW with this learning rate; Keras's default is 0.001.
    pub fn new(learning_rate: impl Into<LearningRate>) -> AdamW {
        AdamW {
            base: OptimizerBase::new(learning_rate).with_weight_decay(0.004),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
        }
    }

    /// How much of the first moment stays at a step; 0.9 unless said.
    pub fn beta_1(mut self, beta_1: f64) -> AdamW {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the second moment stays at a step; 0.999 unless said.
    pub fn beta_2(mut self, beta_2: f64) -> AdamW {
        self.beta_2 = beta_2;
        self
    }

    /// Keeps the division finite; 1e-7 unless said.
    pub fn epsilon(mut self, epsilon: f64) -> AdamW {
        self.epsilon = epsilon;
        self
    }

    /// Whether the largest second moment so far is used; it is not unless said.
    pub fn amsgrad(mut self, amsgrad: bool) -> AdamW {
        self.amsgrad = amsgrad;
        self
    }
}

impl UpdateRule for AdamW {
    fn base(&self) -> &OptimizerBase {
        &self.base
    }

    fn validate(&self) -> Result<()> {
        if self.base.options().weight_decay.is_none() {
            return Err(Error::argument("weight_decay", "it is null", "give a number, or use Adam"));
        }
        Ok(())
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
