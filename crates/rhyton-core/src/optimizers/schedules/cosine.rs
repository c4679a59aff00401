//! `CosineDecay`: a rate that falls along half a cosine, after a warm-up.

use rhyton_ir::DType;
use rhyton_ir::op::{Direction, UnaryKind};
use serde::{Deserialize, Serialize};

use super::super::arithmetic::{compare, scalar, select, unary};
use super::LearningRateSchedule;
use crate::error::Result;
use crate::keras_object;
use crate::ops;
use crate::tensor::Tensor;

/// `η₀ · ((1 − α)·½·(1 + cos(π·p)) + α)` with `p = min(step, decay_steps) / decay_steps`.
///
/// With a `warmup_target`, the rate first goes from `η₀` to the target in a line over `warmup_steps`, then falls from there.
///
/// # Errors
/// If `decay_steps` is not above 0.
///
/// # References
/// Loshchilov and Hutter, 2017, <https://arxiv.org/abs/1608.03983>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CosineDecay {
    initial_learning_rate: f64,
    #[serde(with = "super::whole")]
    decay_steps: f64,
    alpha: f64,
    name: String,
    warmup_target: Option<f64>,
    #[serde(with = "super::whole")]
    warmup_steps: f64,
}

keras_object!(CosineDecay);

impl Default for CosineDecay {
    fn default() -> CosineDecay {
        CosineDecay::new(0.0, 0.0)
    }
}

impl CosineDecay {
    /// The schedule with these arguments.
    pub fn new(initial_learning_rate: f64, decay_steps: f64) -> CosineDecay {
        CosineDecay {
            initial_learning_rate,
            decay_steps,
            alpha: 0.0,
            warmup_target: None,
            warmup_steps: 0.0,
            name: "CosineDecay".into(),
        }
    }

    /// The end of the decay, as a fraction of where it starts; 0 unless said.
    pub fn alpha(mut self, alpha: f64) -> CosineDecay {
        self.alpha = alpha;
        self
    }

    /// Where the warm-up leads; none unless said.
    pub fn warmup_target(mut self, warmup_target: f64) -> CosineDecay {
        self.warmup_target = Some(warmup_target);
        self
    }

    /// How long the warm-up takes.
    pub fn warmup_steps(mut self, warmup_steps: f64) -> CosineDecay {
        self.warmup_steps = warmup_steps;
        self
    }

    /// Names the schedule.
    pub fn name(mut self, name: impl Into<String>) -> CosineDecay {
        self.name = name.into();
        self
    }
}

impl LearningRateSchedule for CosineDecay {
    fn validate(&self) -> Result<()> {
        super::positive("decay_steps", self.decay_steps)
    }

    fn call(&self, step: &Tensor) -> Result<Tensor> {
        self.validate()?;
        let step = step.cast(DType::F32);
        let Some(target) = self.warmup_target else {
            let step = ops::minimum(step, self.decay_steps);
            return Ok(self.initial_learning_rate * self.decayed(&step));
        };
        let step = ops::minimum(step, scalar(self.decay_steps, DType::F32) + self.warmup_steps);
        let rise = scalar(target, DType::F32) - self.initial_learning_rate;
        let warm = rise * (&step / self.warmup_steps) + self.initial_learning_rate;
        let decayed = target * self.decayed(&(&step - self.warmup_steps));
        Ok(select(&compare(&step, Direction::Lt, self.warmup_steps), warm, &decayed))
    }
}

impl CosineDecay {
    /// The fraction that is left at `step`.
    fn decayed(&self, step: &Tensor) -> Tensor {
        let cosine = unary(UnaryKind::Cos, &(std::f64::consts::PI * (step / self.decay_steps)));
        (1.0 - self.alpha) * (0.5 * (1.0 + cosine)) + self.alpha
    }
}
