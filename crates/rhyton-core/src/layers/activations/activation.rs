//! `Activation`: any activation function as a layer.

use serde::{Deserialize, Serialize};

use crate::activations;
use crate::error::Result;
use crate::keras_layer;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};

/// `y = activation(x)`.
///
/// The prelude's `Activation` is the function ([`activations::Activation`]); this layer is `layers::Activation`.
///
/// # Shapes
/// The shape of the input.
///
/// # Examples
/// ```
/// use rhyton_core::layers;
/// use rhyton_core::prelude::*;
///
/// let layer = layers::Activation::new(Activation::Relu);
/// assert_eq!(layer.call(&Tensor::new([2], vec![-1.0f32, 2.0])).to_vec::<f32>()?, [0.0, 2.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    #[serde(skip)]
    base: Base,
    activation: activations::Activation,
}

keras_layer!(Activation);

impl Activation {
    /// Applies `activation`.
    pub fn new(activation: activations::Activation) -> Activation {
        Activation { base: Base::default(), activation }
    }
}

impl Layer for Activation {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        Ok(self.activation.call(inputs.tensor()?).into())
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
        check_layer("activation");
    }
}
