//! `Softmax`: positive numbers with sum 1.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, Layer, first_mask};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};

/// `exp(x) / Σ exp(x)`, with the sum over `axis`; 0 where a mask (`mask`, of the input's trailing shape) is false.
///
/// # Shapes
/// The shape of the input.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = Softmax::new().call(&Tensor::new([1, 2], vec![3.0f32, 3.0]));
/// assert_eq!(y.to_vec::<f32>()?, [0.5, 0.5]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Softmax {
    #[serde(skip)]
    base: Base,
    axis: Axes,
}

keras_layer!(Softmax);

impl Default for Softmax {
    fn default() -> Softmax {
        Softmax { base: Base::default(), axis: Axes::One(-1) }
    }
}

impl Softmax {
    /// Over the last axis.
    pub fn new() -> Softmax {
        Softmax::default()
    }

    builders! {
        /// The axis or axes that the sum goes over; the last unless said.
        axis: into Axes,
    }
}

impl Layer for Softmax {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let Some(mask) = first_mask(inputs) else {
            return Ok(ops::softmax(x, self.axis.clone()).into());
        };
        let mask = if mask.dtype() == DType::Bool { mask } else { ops::greater(&mask, 0.5) };
        // Keras's, which leaves the sum of a row that is masked whole finite.
        let excluded = if x.dtype() == DType::F16 { -30000.0 } else { -1e9 };
        let y = ops::softmax(&ops::r#where(&mask, x, excluded), self.axis.clone());
        Ok(ops::r#where(&mask, &y, 0.0).check()?.into())
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
        check_layer("softmax");
    }
}
