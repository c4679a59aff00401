//! The most used layers.

mod dense;
mod identity;
mod input_layer;
mod masking;

use super::{LayerClass, make};

pub use dense::Dense;
pub use identity::Identity;
pub use input_layer::{Input, InputLayer};
pub use masking::Masking;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Dense", from_config: make::<Dense> },
    LayerClass { name: "InputLayer", from_config: InputLayer::from_config },
    LayerClass { name: "Identity", from_config: make::<Identity> },
    LayerClass { name: "Masking", from_config: make::<Masking> },
];
