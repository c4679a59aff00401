//! `ReLU`: the rectified linear unit with its variants.

use serde::{Deserialize, Serialize};

use crate::activations::relu_with;
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};

/// `max_value` where `x ≥ max_value`, `x` from `threshold` on, `negative_slope · (x − threshold)` below; the gradient at
/// 0 is 0.
///
/// # Shapes
/// The shape of the input.
///
/// # Errors
/// If an argument is negative.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = ReLU::new().max_value(1.0).negative_slope(0.5).call(&Tensor::new([3], vec![-2.0f32, 0.5, 3.0]));
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 0.5, 1.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReLU {
    #[serde(skip)]
    base: Base,
    max_value: Option<f64>,
    negative_slope: f64,
    threshold: f64,
}

keras_layer!(ReLU);

impl ReLU {
    /// `max(x, 0)`.
    pub fn new() -> ReLU {
        ReLU::default()
    }

    builders! {
        /// The largest value; none unless said.
        max_value: some f64,
        /// The slope below the threshold; 0 unless said.
        negative_slope: f64,
        /// From where `x` passes; 0 unless said.
        threshold: f64,
    }
}

impl Layer for ReLU {
    fn build(&self, _: &InputShapes) -> Result<()> {
        let given = [self.max_value.unwrap_or(0.0), self.negative_slope, self.threshold];
        if given.iter().any(|v| v.is_nan() || *v < 0.0) {
            return Err(Error::argument("ReLU", format!("{self:?} has a negative argument"), "give at least 0"));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let y = relu_with(inputs.tensor()?, self.negative_slope, self.max_value, self.threshold);
        Ok(y.check()?.into())
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
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("relu");
    }

    #[test]
    fn negative_arguments_are_refused() {
        assert!(ReLU::new().threshold(-1.0).call(Tensor::from(1.0f32)).eval().is_err());
    }
}
