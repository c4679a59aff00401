//! `ExponentialDecay`: a rate that is multiplied again and again.

use rhyton_ir::DType;
use rhyton_ir::op::UnaryKind;
use serde::{Deserialize, Serialize};

use super::super::arithmetic::{power, scalar, unary};
use super::LearningRateSchedule;
use crate::error::Result;
use crate::keras_object;
use crate::tensor::Tensor;

/// `η₀ · rateᵖ` with `p = step / decay_steps`, of which the staircase takes the whole part.
///
/// # Errors
/// If `decay_steps` is not above 0.
///
/// # Examples
/// ```
/// use rhyton_core::Tensor;
/// use rhyton_core::optimizers::schedules::{ExponentialDecay, LearningRateSchedule};
///
/// let schedule = ExponentialDecay::new(1.0, 10.0, 0.25);
/// assert_eq!(schedule.call(&Tensor::from(5i64))?.item()?, 0.5);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExponentialDecay {
    initial_learning_rate: f64,
    #[serde(with = "super::whole")]
    decay_steps: f64,
    decay_rate: f64,
    staircase: bool,
    name: String,
}

keras_object!(ExponentialDecay);

impl Default for ExponentialDecay {
    fn default() -> ExponentialDecay {
        ExponentialDecay::new(0.0, 0.0, 0.0)
    }
}

impl ExponentialDecay {
    /// The schedule with these arguments.
    pub fn new(initial_learning_rate: f64, decay_steps: f64, decay_rate: f64) -> ExponentialDecay {
        ExponentialDecay {
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase: false,
            name: "ExponentialDecay".into(),
        }
    }

    /// Whether the rate changes only every `decay_steps` steps; it changes at each unless said.
    pub fn staircase(mut self, staircase: bool) -> ExponentialDecay {
        self.staircase = staircase;
        self
    }

    /// Names the schedule.
    pub fn name(mut self, name: impl Into<String>) -> ExponentialDecay {
        self.name = name.into();
        self
    }
}

impl LearningRateSchedule for ExponentialDecay {
    fn validate(&self) -> Result<()> {
        super::positive("decay_steps", self.decay_steps)
    }

    fn call(&self, step: &Tensor) -> Result<Tensor> {
        self.validate()?;
        let mut p = step.cast(DType::F32) / self.decay_steps;
        if self.staircase {
            p = unary(UnaryKind::Floor, &p);
        }
        Ok(self.initial_learning_rate * power(&scalar(self.decay_rate, DType::F32), p))
    }
}
