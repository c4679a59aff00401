//! `LeakyReLU`: a small slope below 0.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;

/// `x` from 0 on, `negative_slope · x` below.
///
/// # Shapes
/// The shape of the input.
///
/// # Errors
/// If the slope is negative.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeakyReLU {
    #[serde(skip)]
    base: Base,
    negative_slope: f64,
}

keras_layer!(LeakyReLU);

impl Default for LeakyReLU {
    fn default() -> LeakyReLU {
        LeakyReLU { base: Base::default(), negative_slope: 0.3 }
    }
}

impl LeakyReLU {
    /// With a slope of 0.3.
    pub fn new() -> LeakyReLU {
        LeakyReLU::default()
    }

    builders! {
        /// The slope below 0; 0.3 unless said.
        negative_slope: f64,
    }
}

impl Layer for LeakyReLU {
    fn build(&self, _: &InputShapes) -> Result<()> {
        if self.negative_slope.is_nan() || self.negative_slope < 0.0 {
            return Err(Error::argument(
                "negative_slope",
                format!("{} is negative", self.negative_slope),
                "give at least 0",
            ));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        Ok(ops::leaky_relu(inputs.tensor()?, self.negative_slope).into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("leaky_relu");
    }
}
