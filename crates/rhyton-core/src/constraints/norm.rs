//! Constraints on the Euclidean norm of weights: `MaxNorm`, `UnitNorm`, `MinMaxNorm`.

use serde::{Deserialize, Serialize};

use super::Constraint;
use crate::config::epsilon;
use crate::error::Result;
use crate::keras_object;
use crate::ops::{self, Axes, Number};
use crate::tensor::Tensor;

/// Norms over `axis` are at most `max_value`: `w · min(‖w‖, max_value) / (‖w‖ + ε)`.
///
/// The axis is that over which the norm goes: 0 for the inputs of a `Dense` kernel, `[0, 1, 2]` for a `Conv2D`'s.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaxNorm {
    max_value: Number,
    axis: Axes,
}

/// Norms over `axis` are 1: `w / (‖w‖ + ε)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitNorm {
    axis: Axes,
}

/// Norms over `axis` come by `rate` of the way into `[min_value, max_value]`:
/// `w · (rate · clip(‖w‖) + (1 − rate) · ‖w‖) / (‖w‖ + ε)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinMaxNorm {
    min_value: f64,
    max_value: f64,
    rate: f64,
    axis: Axes,
}

keras_object!(MaxNorm, UnitNorm, MinMaxNorm);

impl Default for MaxNorm {
    fn default() -> MaxNorm {
        MaxNorm { max_value: Number::Int(2), axis: Axes::One(0) }
    }
}

impl MaxNorm {
    /// Norms of at most 2 over axis 0.
    pub fn new() -> MaxNorm {
        MaxNorm::default()
    }

    /// The largest norm.
    pub fn max_value(mut self, max_value: impl Into<Number>) -> MaxNorm {
        self.max_value = max_value.into();
        self
    }

    /// Over what the norm goes.
    pub fn axis(mut self, axis: impl Into<Axes>) -> MaxNorm {
        self.axis = axis.into();
        self
    }
}

impl Default for UnitNorm {
    fn default() -> UnitNorm {
        UnitNorm { axis: Axes::One(0) }
    }
}

impl UnitNorm {
    /// Norms of 1 over axis 0.
    pub fn new() -> UnitNorm {
        UnitNorm::default()
    }

    /// Over what the norm goes.
    pub fn axis(mut self, axis: impl Into<Axes>) -> UnitNorm {
        self.axis = axis.into();
        self
    }
}

impl Default for MinMaxNorm {
    fn default() -> MinMaxNorm {
        MinMaxNorm { min_value: 0.0, max_value: 1.0, rate: 1.0, axis: Axes::One(0) }
    }
}

impl MinMaxNorm {
    /// Norms from 0 to 1 over axis 0, at once.
    pub fn new() -> MinMaxNorm {
        MinMaxNorm::default()
    }

    /// The smallest norm.
    pub fn min_value(mut self, min_value: f64) -> MinMaxNorm {
        self.min_value = min_value;
        self
    }

    /// The largest norm.
    pub fn max_value(mut self, max_value: f64) -> MinMaxNorm {
        self.max_value = max_value;
        self
    }

    /// How far a norm goes each time towards where it may be; 1 unless said.
    pub fn rate(mut self, rate: f64) -> MinMaxNorm {
        self.rate = rate;
        self
    }

    /// Over what the norm goes.
    pub fn axis(mut self, axis: impl Into<Axes>) -> MinMaxNorm {
        self.axis = axis.into();
        self
    }
}

fn norms(w: &Tensor, axis: &Axes) -> Tensor {
    ops::sqrt(&ops::sum(&ops::square(w), axis.clone(), true))
}

impl Constraint for MaxNorm {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = norms(weight, &self.axis);
        let desired = ops::clip(&norms, 0.0, self.max_value);
        (weight * (desired / (norms + epsilon()))).check().cloned()
    }
}

impl Constraint for UnitNorm {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        (weight / (norms(weight, &self.axis) + epsilon())).check().cloned()
    }
}

impl Constraint for MinMaxNorm {
    fn call(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = norms(weight, &self.axis);
        let desired = ops::clip(&norms, self.min_value, self.max_value) * self.rate + &norms * (1.0 - self.rate);
        (weight * (desired / (norms + epsilon()))).check().cloned()
    }
}
