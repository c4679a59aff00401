//! `Identity`: what comes in.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};

/// `x`: a placeholder for a layer that may be something else.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    #[serde(skip)]
    base: Base,
}

keras_layer!(Identity);

impl Identity {
    /// A new layer.
    pub fn new() -> Identity {
        Identity::default()
    }
}

impl Layer for Identity {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        inputs.first().cloned()
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
        check_layer("identity");
    }
}
