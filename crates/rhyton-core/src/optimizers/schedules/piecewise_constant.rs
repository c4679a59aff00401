//! `PiecewiseConstantDecay`: a rate for each range of steps.

use rhyton_ir::DType;
use rhyton_ir::op::Direction;
use serde::{Deserialize, Serialize};

use super::super::arithmetic::{compare, scalar, select};
use super::LearningRateSchedule;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::tensor::Tensor;

/// `values[0]` up to step `boundaries[0]`, the last value after the last boundary, and `values[i]` from above
/// `boundaries[i − 1]` up to `boundaries[i]`.
///
/// Boundaries between whole steps are taken as the step before.
///
/// # Errors
/// If there is no boundary, or not one value more than boundaries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PiecewiseConstantDecay {
    #[serde(with = "super::whole_list")]
    boundaries: Vec<f64>,
    values: Vec<f64>,
    #[serde(default = "default_name")]
    name: String,
}

keras_object!(PiecewiseConstantDecay);

fn default_name() -> String {
    "PiecewiseConstant".into()
}

impl PiecewiseConstantDecay {
    /// The schedule with these steps, ascending, and the rates between them.
    pub fn new(boundaries: impl Into<Vec<f64>>, values: impl Into<Vec<f64>>) -> PiecewiseConstantDecay {
        PiecewiseConstantDecay { boundaries: boundaries.into(), values: values.into(), name: default_name() }
    }

    /// Names the schedule.
    pub fn name(mut self, name: impl Into<String>) -> PiecewiseConstantDecay {
        self.name = name.into();
        self
    }
}

impl LearningRateSchedule for PiecewiseConstantDecay {
    fn validate(&self) -> Result<()> {
        if self.boundaries.is_empty() || self.boundaries.len() + 1 != self.values.len() {
            return Err(Error::argument(
                "PiecewiseConstantDecay",
                format!("{} boundaries and {} values", self.boundaries.len(), self.values.len()),
                "give at least one boundary, and one value more than boundaries",
            ));
        }
        Ok(())
    }

    fn call(&self, step: &Tensor) -> Result<Tensor> {
        self.validate()?;
        let mut rate = scalar(self.values[0], DType::F32);
        for (boundary, value) in self.boundaries.iter().zip(&self.values[1..]) {
            let boundary = if step.dtype().is_float() { *boundary } else { boundary.trunc() };
            let after = compare(step, Direction::Gt, scalar(boundary, step.dtype()));
            rate = select(&after, *value, &rate);
        }
        Ok(rate)
    }
}
