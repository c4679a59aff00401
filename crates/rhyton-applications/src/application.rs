//! What an application is: an entry of the table, and the type with its arguments as builder methods.

use rhyton_core::model::Model;
use rhyton_core::{Result, Tensor};

use crate::arguments::Arguments;

/// An entry of [`APPLICATIONS`](crate::APPLICATIONS).
#[derive(Clone, Copy, Debug)]
pub struct Application {
    /// Keras's name, `ResNet50`.
    pub name: &'static str,
    /// Makes the model; arguments that only this application takes have their defaults.
    pub build: fn(Arguments) -> Result<Model>,
    /// Brings images with values from 0 to 255 to what the model takes.
    pub preprocess_input: fn(&Tensor) -> Tensor,
}

/// `struct $name`, an application: builder methods for the arguments that all take and for its own, `build`, and its entry
/// of the table. `$network` makes the model with random weights.
macro_rules! application {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$own_doc:meta])* $own:ident: $t:ty = $default:expr),* $(,)? }
        network: $network:expr, preprocess_input: $preprocess:path
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            arguments: $crate::arguments::Arguments,
            $($own: $t,)*
        }

        impl Default for $name {
            fn default() -> $name {
                $name::from($crate::arguments::Arguments::default())
            }
        }

        impl From<$crate::arguments::Arguments> for $name {
            fn from(arguments: $crate::arguments::Arguments) -> $name {
                $name { arguments, $($own: $default,)* }
            }
        }

        impl $name {
            /// The entry of the table.
            pub const APPLICATION: $crate::Application = $crate::Application {
                name: stringify!($name),
                build: |arguments| $name::from(arguments).build(),
                preprocess_input: $preprocess,
            };

            /// With Keras's defaults.
            pub fn new() -> $name {
                $name::default()
            }

            $(
                $(#[$own_doc])*
                pub fn $own(mut self, $own: $t) -> Self {
                    self.$own = $own;
                    self
                }
            )*

            $crate::application::application! { @arguments
                /// Whether the classifier is part of the model; it is unless said.
                include_top: bool,
                /// Where the weights come from; ImageNet unless said, `None` for random ones.
                weights: impl Into<$crate::Weights>,
                /// Height, width and channels; the default size unless said, any size without top.
                input_shape: impl Into<$crate::InputShape>,
                /// How features are pooled without top; not unless said.
                pooling: impl Into<Option<$crate::Pooling>>,
                /// How many classes the top has; ImageNet's 1000 unless said.
                classes: usize,
                /// What is applied to the classes' scores; softmax unless said, `None` for the scores themselves.
                classifier_activation: impl Into<Option<rhyton_core::activations::Activation>>,
            }

            /// A symbol to start from in place of an input of the model's own.
            pub fn input_tensor(mut self, input_tensor: impl Into<rhyton_core::Tensor>) -> Self {
                self.arguments.input_tensor = Some(input_tensor.into());
                self
            }

            /// Names the model.
            pub fn name(mut self, name: &str) -> Self {
                self.arguments.name = Some(name.to_owned());
                self
            }

            /// Makes the model.
            ///
            /// # Errors
            /// If arguments do not go together or are out of range; if weights cannot be read or do not fit.
            pub fn build(&self) -> rhyton_core::Result<rhyton_core::model::Model> {
                self.arguments.build(stringify!($name), || self.network())
            }

            /// The model with random weights.
            fn network(&self) -> rhyton_core::Result<rhyton_core::model::Model> {
                let network: fn(&$name) -> rhyton_core::Result<rhyton_core::model::Model> = $network;
                network(self)
            }
        }
    };
    (@arguments $($(#[$doc:meta])* $argument:ident: $t:ty,)*) => {$(
        $(#[$doc])*
        pub fn $argument(mut self, $argument: $t) -> Self {
            self.arguments.$argument = $argument.into();
            self
        }
    )*};
}
pub(crate) use application;
