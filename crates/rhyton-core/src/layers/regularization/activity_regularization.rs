//! `ActivityRegularization`: a penalty on what passes.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};

/// `x`; adds `(l1 · Σ |x| + l2 · Σ x²) / batch` to the loss.
///
/// # Shapes
/// The shape of the input.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActivityRegularization {
    #[serde(skip)]
    base: Base,
    l1: f64,
    l2: f64,
}

keras_layer!(ActivityRegularization);

impl ActivityRegularization {
    /// Without a penalty; set `l1`, `l2` or both.
    pub fn new() -> ActivityRegularization {
        ActivityRegularization::default()
    }

    builders! {
        /// The factor of absolute values; 0 unless said.
        l1: f64,
        /// The factor of squares; 0 unless said.
        l2: f64,
    }
}

impl Layer for ActivityRegularization {
    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let l1 = ops::sum(&ops::absolute(x), Axes::All, false) * self.l1;
        let l2 = ops::sum(&ops::square(x), Axes::All, false) * self.l2;
        let batch = x.dim(0).known().unwrap_or(1).max(1);
        cx.add_loss((l1 + l2) * (1.0 / batch as f64));
        Ok(x.into())
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
        check_layer("activity_regularization");
    }
}
