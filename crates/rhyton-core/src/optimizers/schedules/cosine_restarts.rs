//! `CosineDecayRestarts`: cosine decays, one after another.

use rhyton_ir::DType;
use rhyton_ir::op::UnaryKind;
use serde::{Deserialize, Serialize};

use super::super::arithmetic::{power, scalar, unary};
use super::LearningRateSchedule;
use crate::error::Result;
use crate::keras_object;
use crate::ops;
use crate::tensor::Tensor;

/// `η₀ · ((1 − α)·½·m·(1 + cos(π·p)) + α)`: run `i` takes `first_decay_steps · t_mulⁱ` steps, of which `p` is the fraction
/// done, and starts from `m = m_mulⁱ`.
///
/// # Errors
/// If `first_decay_steps` is not above 0.
///
/// # References
/// Loshchilov and Hutter, 2017, <https://arxiv.org/abs/1608.03983>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CosineDecayRestarts {
    initial_learning_rate: f64,
    #[serde(with = "super::whole")]
    first_decay_steps: f64,
    t_mul: f64,
    m_mul: f64,
    alpha: f64,
    name: String,
}

keras_object!(CosineDecayRestarts);

impl Default for CosineDecayRestarts {
    fn default() -> CosineDecayRestarts {
        CosineDecayRestarts::new(0.0, 0.0)
    }
}

impl CosineDecayRestarts {
    /// The schedule with these arguments.
    pub fn new(initial_learning_rate: f64, first_decay_steps: f64) -> CosineDecayRestarts {
        CosineDecayRestarts {
            initial_learning_rate,
            first_decay_steps,
            t_mul: 2.0,
            m_mul: 1.0,
            alpha: 0.0,
            name: "SGDRDecay".into(),
        }
    }

    /// How much longer each run is; 2 unless said.
    pub fn t_mul(mut self, t_mul: f64) -> CosineDecayRestarts {
        self.t_mul = t_mul;
        self
    }

    /// The start of each run over that of the one before; 1 unless said.
    pub fn m_mul(mut self, m_mul: f64) -> CosineDecayRestarts {
        self.m_mul = m_mul;
        self
    }

    /// The end of a run, as a fraction of `η₀`; 0 unless said.
    pub fn alpha(mut self, alpha: f64) -> CosineDecayRestarts {
        self.alpha = alpha;
        self
    }

    /// Names the schedule.
    pub fn name(mut self, name: impl Into<String>) -> CosineDecayRestarts {
        self.name = name.into();
        self
    }
}

impl LearningRateSchedule for CosineDecayRestarts {
    fn validate(&self) -> Result<()> {
        super::positive("first_decay_steps", self.first_decay_steps)
    }

    fn call(&self, step: &Tensor) -> Result<Tensor> {
        self.validate()?;
        let done = step.cast(DType::F32) / self.first_decay_steps;
        let (run, p) = if self.t_mul as f32 == 1.0 {
            let run = unary(UnaryKind::Floor, &done);
            let p = done - &run;
            (run, p)
        } else {
            let t_mul = scalar(self.t_mul, DType::F32);
            let grown = 1.0 - &t_mul;
            let run = unary(UnaryKind::Floor, &(ops::log(&(1.0 - &done * &grown)) / ops::log(&t_mul)));
            let length = power(&t_mul, &run);
            let before = (1.0 - &length) / grown;
            (run, (done - before) / length)
        };
        let cosine = unary(UnaryKind::Cos, &(std::f64::consts::PI * p));
        let start = power(&scalar(self.m_mul, DType::F32), run);
        let alpha = scalar(self.alpha, DType::F32);
        let decayed = (1.0 - &alpha) * (0.5 * start * (1.0 + cosine)) + alpha;
        Ok(self.initial_learning_rate * decayed)
    }
}
