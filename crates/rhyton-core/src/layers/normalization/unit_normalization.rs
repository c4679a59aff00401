//! `UnitNormalization`: each example divided by its length.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};

/// `y = x / √(Σ x²)`, with the sum over `axis`; 0 stays 0.
///
/// # Shapes
/// The shape of the input.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = UnitNormalization::new().call(&Tensor::new([1, 2], vec![3.0f32, 4.0]));
/// assert_eq!(y.to_vec::<f32>()?, [0.6, 0.8]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitNormalization {
    #[serde(skip)]
    base: Base,
    axis: Axes,
}

keras_layer!(UnitNormalization);

impl Default for UnitNormalization {
    fn default() -> UnitNormalization {
        UnitNormalization { base: Base::default(), axis: Axes::One(-1) }
    }
}

impl UnitNormalization {
    /// Over the last axis.
    pub fn new() -> UnitNormalization {
        UnitNormalization::default()
    }

    builders! {
        /// The axis or axes to normalize over; the last unless said.
        axis: into Axes,
    }
}

impl Layer for UnitNormalization {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        Ok(ops::normalize(inputs.tensor()?, self.axis.clone(), 2, Some(1e-12)).check()?.into())
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
        check_layer("unit_normalization");
    }
}
