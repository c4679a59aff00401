//! `PolynomialDecay`: a rate that falls to an end along a power.

use rhyton_ir::DType;
use rhyton_ir::op::{Direction, UnaryKind};
use serde::{Deserialize, Serialize};

use super::super::arithmetic::{compare, power, scalar, select, unary};
use super::LearningRateSchedule;
use crate::error::Result;
use crate::keras_object;
use crate::ops;
use crate::tensor::Tensor;

/// `(η₀ − η₁)·(1 − p)^power + η₁` with `p = min(step, decay_steps) / decay_steps`; in cycles, `decay_steps` is multiplied by
/// as much as it takes to be no less than `step`.
///
/// # Errors
/// If `decay_steps` is not above 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolynomialDecay {
    initial_learning_rate: f64,
    #[serde(with = "super::whole")]
    decay_steps: f64,
    end_learning_rate: f64,
    power: f64,
    cycle: bool,
    name: String,
}

keras_object!(PolynomialDecay);

impl Default for PolynomialDecay {
    fn default() -> PolynomialDecay {
        PolynomialDecay::new(0.0, 0.0)
    }
}

impl PolynomialDecay {
    /// The schedule with these arguments.
    pub fn new(initial_learning_rate: f64, decay_steps: f64) -> PolynomialDecay {
        PolynomialDecay {
            initial_learning_rate,
            decay_steps,
            end_learning_rate: 0.0001,
            power: 1.0,
            cycle: false,
            name: "PolynomialDecay".into(),
        }
    }

    /// The rate at the end; 0.0001 unless said.
    pub fn end_learning_rate(mut self, end_learning_rate: f64) -> PolynomialDecay {
        self.end_learning_rate = end_learning_rate;
        self
    }

    /// The power; 1 (a line) unless said.
    pub fn power(mut self, power: f64) -> PolynomialDecay {
        self.power = power;
        self
    }

    /// Whether it starts anew, more slowly, at the end; it does not unless said.
    pub fn cycle(mut self, cycle: bool) -> PolynomialDecay {
        self.cycle = cycle;
        self
    }

    /// Names the schedule.
    pub fn name(mut self, name: impl Into<String>) -> PolynomialDecay {
        self.name = name.into();
        self
    }
}

impl LearningRateSchedule for PolynomialDecay {
    fn validate(&self) -> Result<()> {
        super::positive("decay_steps", self.decay_steps)
    }

    fn call(&self, step: &Tensor) -> Result<Tensor> {
        self.validate()?;
        let mut step = step.cast(DType::F32);
        let mut decay_steps = scalar(self.decay_steps, DType::F32);
        if self.cycle {
            let cycles = unary(UnaryKind::Ceil, &(&step / self.decay_steps));
            decay_steps = decay_steps * select(&compare(&step, Direction::Eq, 0.0), 1.0, &cycles);
        } else {
            step = ops::minimum(step, &decay_steps);
        }
        let left = 1.0 - step / decay_steps;
        // The difference is taken in float32, as Keras takes it.
        let span = scalar(self.initial_learning_rate, DType::F32) - self.end_learning_rate;
        Ok(span * power(&left, self.power) + self.end_learning_rate)
    }
}
