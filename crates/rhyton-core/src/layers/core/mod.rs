//! The most used layers.

mod dense;
mod input_layer;

use super::{LayerClass, make};

pub use dense::Dense;
pub use input_layer::{Input, InputLayer};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Dense", from_config: make::<Dense> },
    LayerClass { name: "InputLayer", from_config: InputLayer::from_config },
];
