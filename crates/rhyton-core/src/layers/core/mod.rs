//! The most used layers.

mod dense;

use super::{LayerClass, make};

pub use dense::Dense;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[LayerClass { name: "Dense", from_config: make::<Dense> }];
