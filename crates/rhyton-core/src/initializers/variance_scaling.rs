//! Initializers that keep the variance of signals: `VarianceScaling`, and Glorot's, He's and LeCun's.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::Initializer;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::random;
use crate::tensor::Tensor;

/// By which number of connections the variance is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanMode {
    /// The inputs that reach an output.
    #[default]
    FanIn,
    /// The outputs that an input reaches.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// From which distribution the numbers are drawn; all have the same variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Normal, without what is beyond two standard deviations.
    #[default]
    #[serde(alias = "normal")]
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform about 0.
    Uniform,
}

/// Random numbers about 0 with variance `scale / n`, where `n` is the number of inputs or outputs of a weight (`mode`).
///
/// Without a seed, other numbers each time; with one, the same.
///
/// # Errors
/// If `scale` is not above 0, or `input_axes` or `output_axes` name an axis that is not there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VarianceScaling {
    seed: Option<u64>,
    scale: f64,
    mode: FanMode,
    distribution: Distribution,
    input_axes: Option<Vec<i64>>,
    output_axes: Option<Vec<i64>>,
}
keras_object!(VarianceScaling);

impl Default for VarianceScaling {
    fn default() -> VarianceScaling {
        VarianceScaling {
            seed: None,
            scale: 1.0,
            mode: FanMode::default(),
            distribution: Distribution::default(),
            input_axes: None,
            output_axes: None,
        }
    }
}

impl VarianceScaling {
    /// With Keras's defaults: scale 1, by the inputs, truncated normal.
    pub fn new() -> VarianceScaling {
        VarianceScaling::default()
    }

    /// The variance times the number of connections; 1 unless said.
    pub fn scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// Which connections count; the inputs unless said.
    pub fn mode(mut self, mode: FanMode) -> Self {
        self.mode = mode;
        self
    }

    /// The distribution; truncated normal unless said.
    pub fn distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Where the random numbers start.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Which axes of a weight are its inputs; has an effect only together with [`Self::output_axes`].
    pub fn input_axes(mut self, axes: impl Into<Vec<i64>>) -> Self {
        self.input_axes = Some(axes.into());
        self
    }

    /// Which axes of a weight are its outputs; has an effect only together with [`Self::input_axes`].
    pub fn output_axes(mut self, axes: impl Into<Vec<i64>>) -> Self {
        self.output_axes = Some(axes.into());
        self
    }
}

impl Initializer for VarianceScaling {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        if self.scale.is_nan() || self.scale <= 0.0 {
            let what = format!("scale is {}", self.scale);
            return Err(Error::argument("VarianceScaling", what, "give a number above 0"));
        }
        let (fan_in, fan_out) = match (&self.input_axes, &self.output_axes) {
            (Some(inputs), Some(outputs)) => (product(shape, inputs)?, product(shape, outputs)?),
            _ => fans(shape),
        };
        let n = match self.mode {
            FanMode::FanIn => fan_in,
            FanMode::FanOut => fan_out,
            FanMode::FanAvg => (fan_in + fan_out) / 2.0,
        };
        let variance = self.scale / n.max(1.0);
        let seed = self.seed.unwrap_or_else(random::next_seed);
        match self.distribution {
            Distribution::TruncatedNormal => {
                // The standard deviation of a standard normal truncated at ±2.
                let stddev = variance.sqrt() / 0.879_625_661_034_239_8;
                random::truncated_normal(shape, 0.0, stddev, dtype, seed)
            }
            Distribution::UntruncatedNormal => random::normal(shape, 0.0, variance.sqrt(), dtype, seed),
            Distribution::Uniform => {
                let limit = (3.0 * variance).sqrt();
                random::uniform(shape, -limit, limit, dtype, seed)
            }
        }
    }
}

/// The inputs and outputs that one weight serves, by Keras's convention: the last two axes are in and out, those before
/// them the window.
pub(crate) fn fans(shape: &[usize]) -> (f64, f64) {
    match shape {
        [] => (1.0, 1.0),
        [n] => (*n as f64, *n as f64),
        [window @ .., fan_in, fan_out] => {
            let size: usize = window.iter().product();
            ((fan_in * size) as f64, (fan_out * size) as f64)
        }
    }
}

/// The product of the sizes of `axes`.
fn product(shape: &[usize], axes: &[i64]) -> Result<f64> {
    axes.iter().map(|&a| Ok(shape[crate::ops::axis(a, shape.len())?] as f64)).product()
}

macro_rules! named_scaling {
    ($($(#[$doc:meta])* $name:ident($scale:literal, $mode:ident, $distribution:ident);)*) => {$(
        $(#[$doc])*
        ///
        /// Without a seed, other numbers each time; with one, the same.
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            seed: Option<u64>,
            input_axes: Option<Vec<i64>>,
            output_axes: Option<Vec<i64>>,
        }
        keras_object!($name);

        impl $name {
            /// Without a seed.
            pub fn new() -> $name {
                $name::default()
            }

            /// Where the random numbers start.
            pub fn seed(mut self, seed: u64) -> $name {
                self.seed = Some(seed);
                self
            }

            /// Which axes of a weight are its inputs; has an effect only together with [`Self::output_axes`].
            pub fn input_axes(mut self, axes: impl Into<Vec<i64>>) -> $name {
                self.input_axes = Some(axes.into());
                self
            }

            /// Which axes of a weight are its outputs; has an effect only together with [`Self::input_axes`].
            pub fn output_axes(mut self, axes: impl Into<Vec<i64>>) -> $name {
                self.output_axes = Some(axes.into());
                self
            }
        }

        impl Initializer for $name {
            fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
                let scaling = VarianceScaling {
                    seed: self.seed,
                    scale: $scale,
                    mode: FanMode::$mode,
                    distribution: Distribution::$distribution,
                    input_axes: self.input_axes.clone(),
                    output_axes: self.output_axes.clone(),
                };
                scaling.call(shape, dtype)
            }
        }
    )*};
}

named_scaling! {
    /// Uniform in `±√(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
    GlorotUniform(1.0, FanAvg, Uniform);
    /// Truncated normal with standard deviation `√(2 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
    GlorotNormal(1.0, FanAvg, TruncatedNormal);
    /// Uniform in `±√(6 / fan_in)` (He et al., 2015).
    HeUniform(2.0, FanIn, Uniform);
    /// Truncated normal with standard deviation `√(2 / fan_in)` (He et al., 2015).
    HeNormal(2.0, FanIn, TruncatedNormal);
    /// Uniform in `±√(3 / fan_in)` (LeCun et al., 1998).
    LecunUniform(1.0, FanIn, Uniform);
    /// Truncated normal with standard deviation `√(1 / fan_in)` (LeCun et al., 1998; Klambauer et al., 2017).
    LecunNormal(1.0, FanIn, TruncatedNormal);
}
