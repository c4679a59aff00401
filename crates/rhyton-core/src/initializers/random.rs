//! Initializers that draw from one distribution whatever the shape: `RandomNormal`, `RandomUniform`, `TruncatedNormal`.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::Initializer;
use crate::error::Result;
use crate::keras_object;
use crate::ops::Number;
use crate::random;
use crate::tensor::Tensor;

macro_rules! random_initializer {
    ($($(#[$doc:meta])* $name:ident($draw:path, $a:ident: $a_default:literal $a_doc:literal, $b:ident: $b_default:literal $b_doc:literal);)*) => {$(
        $(#[$doc])*
        ///
        /// Without a seed, other numbers each time; with one, the same.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            seed: Option<u64>,
            $a: Number,
            $b: Number,
        }
        keras_object!($name);

        impl Default for $name {
            fn default() -> $name {
                $name { seed: None, $a: Number::Float($a_default), $b: Number::Float($b_default) }
            }
        }

        impl $name {
            /// With Keras's defaults.
            pub fn new() -> $name {
                $name::default()
            }

            #[doc = $a_doc]
            pub fn $a(mut self, $a: f64) -> $name {
                self.$a = Number::Float($a);
                self
            }

            #[doc = $b_doc]
            pub fn $b(mut self, $b: f64) -> $name {
                self.$b = Number::Float($b);
                self
            }

            /// Where the random numbers start.
            pub fn seed(mut self, seed: u64) -> $name {
                self.seed = Some(seed);
                self
            }
        }

        impl Initializer for $name {
            fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
                $draw(shape, self.$a.value(), self.$b.value(), dtype, self.seed.unwrap_or_else(random::next_seed))
            }
        }
    )*};
}

random_initializer! {
    /// Normally distributed numbers.
    RandomNormal(random::normal, mean: 0.0 "The mean; 0 unless said.", stddev: 0.05 "The standard deviation; 0.05 unless said.");
    /// Normally distributed numbers, of which those beyond two standard deviations are drawn again.
    TruncatedNormal(random::truncated_normal, mean: 0.0 "The mean; 0 unless said.", stddev: 0.05 "The standard deviation before truncation; 0.05 unless said.");
    /// Numbers uniform in `[minval, maxval)`.
    RandomUniform(random::uniform, minval: -0.05 "The lower bound; −0.05 unless said.", maxval: 0.05 "The upper bound; 0.05 unless said.");
}
