//! Activation functions by Keras's names.

mod functions;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, unknown};
use crate::tensor::Tensor;

pub use functions::*;

macro_rules! activations {
    ($($(#[$doc:meta])* $variant:ident $name:literal $function:path;)*) => {
        /// An activation function; [`Activation::Linear`] by default.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Activation {
            $($(#[$doc])* $variant,)*
        }

        impl Activation {
            /// Every activation.
            pub const ALL: &[Activation] = &[$(Activation::$variant,)*];

            /// Keras's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Activation::$variant => $name,)*
                }
            }

            /// Applies it.
            #[track_caller]
            pub fn call(self, x: &Tensor) -> Tensor {
                match self {
                    $(Activation::$variant => $function(x),)*
                }
            }
        }
    };
}

activations! {
    /// `x`.
    #[default]
    Linear "linear" linear;
    /// `max(x, 0)`; the gradient at 0 is 0.
    Relu "relu" relu;
    /// `tanh x`.
    Tanh "tanh" tanh;
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid "sigmoid" sigmoid;
}

impl std::str::FromStr for Activation {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Activation> {
        Activation::ALL
            .iter()
            .copied()
            .find(|a| a.name() == name)
            .ok_or_else(|| unknown("activation", name, Activation::ALL.iter().map(|a| a.name())))
    }
}

impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Activation {
    /// From a name, `null` (linear), or the object that Keras writes for a function.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Activation, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let name = match &value {
            Value::Null => return Ok(Activation::Linear),
            Value::String(name) => name.clone(),
            object => {
                let parts = saving::Parts::of(object, "activation").map_err(serde::de::Error::custom)?;
                let function = parts.config.as_str().map(str::to_owned);
                function.unwrap_or_else(|| crate::naming::snake_case(&parts.class_name))
            }
        };
        name.parse().map_err(serde::de::Error::custom)
    }
}
