//! Activation functions by Keras's names.

mod functions;
#[cfg(test)]
pub(crate) mod golden_test;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::layers::activated;
use crate::ops;
use crate::saving::{self, unknown};
use crate::tensor::Tensor;

pub use functions::*;

macro_rules! activations {
    ($($(#[$doc:meta])* $variant:ident $name:literal $function:expr;)*) => {
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
                    $(Activation::$variant => {
                        let function: fn(&Tensor) -> Tensor = $function;
                        activated(function, x)
                    })*
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
    Relu "relu" ops::relu;
    /// `min(max(x, 0), 6)`.
    Relu6 "relu6" ops::relu6;
    /// `x` above 0, else `0.2 x`.
    LeakyRelu "leaky_relu" |x| ops::leaky_relu(x, 0.2);
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid "sigmoid" ops::sigmoid;
    /// `tanh x`.
    Tanh "tanh" ops::tanh;
    /// `eˣ / Σ eˣ` over the last axis.
    Softmax "softmax" |x| ops::softmax(x, -1);
    /// `ln softmax(x)` over the last axis.
    LogSoftmax "log_softmax" |x| ops::log_softmax(x, -1);
    /// `x` above 0, else `eˣ − 1`.
    Elu "elu" |x| ops::elu(x, 1.0);
    /// `max(x, 0) + min(eˣ − 1, 0)`.
    Celu "celu" |x| ops::celu(x, 1.0);
    /// `1.0507… · elu(x)` with alpha 1.6733… (Klambauer et al., 2017).
    Selu "selu" ops::selu;
    /// `x · Φ(x)`, by the error function.
    Gelu "gelu" |x| ops::gelu(x, false);
    /// `a · sigmoid(b)` of the halves `a`, `b` of the last axis.
    Glu "glu" |x| ops::glu(x, -1);
    /// `x · sigmoid(x)`, also called swish.
    Silu "silu" ops::silu;
    /// `x · tanh(softplus(x))`.
    Mish "mish" mish;
    /// `eˣ`.
    Exponential "exponential" exponential;
    /// `ln(1 + eˣ)`.
    Softplus "softplus" ops::softplus;
    /// `x / (1 + |x|)`.
    Softsign "softsign" ops::softsign;
    /// `(x + √(x² + 4)) / 2`.
    Squareplus "squareplus" |x| ops::squareplus(x, 4.0);
    /// `ln sigmoid(x)`.
    LogSigmoid "log_sigmoid" ops::log_sigmoid;
    /// `min(max(x/6 + ½, 0), 1)`.
    HardSigmoid "hard_sigmoid" ops::hard_sigmoid;
    /// `x · hard_sigmoid(x)`, also called hard swish.
    HardSilu "hard_silu" ops::hard_silu;
    /// `min(max(x, −1), 1)`.
    HardTanh "hard_tanh" ops::hard_tanh;
    /// `x` where `|x| > ½`, else 0.
    HardShrink "hard_shrink" |x| ops::hard_shrink(x, 0.5);
    /// `x` drawn towards 0 by ½.
    SoftShrink "soft_shrink" |x| ops::soft_shrink(x, 0.5);
    /// `x − tanh x`.
    TanhShrink "tanh_shrink" ops::tanh_shrink;
    /// 0 up to −1, `x` from 1, `(x + 1)² / 4` between.
    SparsePlus "sparse_plus" ops::sparse_plus;
    /// 0 up to −1, 1 from 1, `(x + 1) / 2` between.
    SparseSigmoid "sparse_sigmoid" ops::sparse_sigmoid;
    /// The nearest point of the simplex of the last axis (Martins and Astudillo, 2016).
    Sparsemax "sparsemax" |x| ops::sparsemax(x, -1);
}

impl std::str::FromStr for Activation {
    type Err = crate::Error;

    /// By Keras's name; `swish` is `silu`, `hard_swish` is `hard_silu`.
    fn from_str(name: &str) -> Result<Activation> {
        let name = match name {
            "swish" => "silu",
            "hard_swish" => "hard_silu",
            own => own,
        };
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
