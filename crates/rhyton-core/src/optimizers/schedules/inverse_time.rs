//! `InverseTimeDecay`: a rate that falls as one over the steps.

use rhyton_ir::DType;
use rhyton_ir::op::UnaryKind;
use serde::{Deserialize, Serialize};

use super::super::arithmetic::unary;
use super::LearningRateSchedule;
use crate::error::Result;
use crate::keras_object;
use crate::tensor::Tensor;

/// `η₀ / (1 + rate·p)` with `p = step / decay_steps`, of which the staircase takes the whole part.
///
/// # Errors
/// If `decay_steps` is not above 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InverseTimeDecay {
    initial_learning_rate: f64,
    #[serde(with = "super::whole")]
    decay_steps: f64,
    decay_rate: f64,
    staircase: bool,
    name: String,
}

keras_object!(InverseTimeDecay);

impl Default for InverseTimeDecay {
    fn default() -> InverseTimeDecay {
        InverseTimeDecay::new(0.0, 0.0, 0.0)
    }
}

impl InverseTimeDecay {
    /// The schedule with these arguments.
    pub fn new(initial_learning_rate: f64, decay_steps: f64, decay_rate: f64) -> InverseTimeDecay {
        InverseTimeDecay {
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase: false,
            name: "InverseTimeDecay".into(),
        }
    }

    /// Whether the rate changes only every `decay_steps` steps; it changes at each unless said.
    pub fn staircase(mut self, staircase: bool) -> InverseTimeDecay {
        self.staircase = staircase;
        self
    }

    /// Names the schedule.
    pub fn name(mut self, name: impl Into<String>) -> InverseTimeDecay {
        self.name = name.into();
        self
    }
}

impl LearningRateSchedule for InverseTimeDecay {
    fn validate(&self) -> Result<()> {
        super::positive("decay_steps", self.decay_steps)
    }

    fn call(&self, step: &Tensor) -> Result<Tensor> {
        self.validate()?;
        let mut p = step.cast(DType::F32) / self.decay_steps;
        if self.staircase {
            p = unary(UnaryKind::Floor, &p);
        }
        Ok(self.initial_learning_rate / (1.0 + self.decay_rate * p))
    }
}
