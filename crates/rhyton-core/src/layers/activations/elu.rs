//! `ELU`: the exponential linear unit.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops;

/// `x` from 0 on, `alpha · (eˣ − 1)` below.
///
/// # Shapes
/// The shape of the input.
///
/// # References
/// Clevert, Unterthiner and Hochreiter, 2015, <https://arxiv.org/abs/1511.07289>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ELU {
    #[serde(skip)]
    base: Base,
    alpha: f64,
}

keras_layer!(ELU);

impl Default for ELU {
    fn default() -> ELU {
        ELU { base: Base::default(), alpha: 1.0 }
    }
}

impl ELU {
    /// With an `alpha` of 1.
    pub fn new() -> ELU {
        ELU::default()
    }

    builders! {
        /// The limit towards −∞, negated; 1 unless said.
        alpha: f64,
    }
}

impl Layer for ELU {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        Ok(ops::elu(inputs.tensor()?, self.alpha).into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        true
    }

    /// In the order of Keras's constructor: the class has no `get_config` of its own.
    fn config(&self) -> Value {
        json!({
            "name": self.name(),
            "alpha": self.alpha,
            "trainable": self.base.trainable(),
            "dtype": self.base.policy().to_json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("elu");
    }
}
