//! `Masking`: steps that hold nothing but a given value are masked.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// `x` with 0 at the steps whose features all equal `mask_value`, and a mask that is false there.
///
/// # Shapes
/// `(batch, steps, features)`, unchanged; the mask `(batch, steps)`.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = Masking::new().call(&Tensor::new([1, 2, 1], vec![0.0f32, 3.0]));
/// assert_eq!(y.mask().map(|m| m.to_vec::<bool>()).transpose()?, Some(vec![false, true]));
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Masking {
    #[serde(skip)]
    base: Base,
    mask_value: f64,
}

keras_layer!(Masking);

impl Masking {
    /// Masks steps of zeros.
    pub fn new() -> Masking {
        Masking::default()
    }

    builders! {
        /// The value of steps to mask; 0 unless said.
        mask_value: f64,
    }
}

impl Layer for Masking {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let counted = ops::any(&ops::not_equal(x, self.mask_value), -1, true);
        let mask = ops::squeeze(&counted, -1);
        Ok(ops::r#where(&counted, x, 0.0).check()?.with_mask(Some(mask)).into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn compute_mask(&self, inputs: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(ops::any(&ops::not_equal(inputs.tensor()?, self.mask_value), -1, false))])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("masking");
    }
}
