//! Several tensors merged into one.

mod concatenate;
mod dot;
mod elementwise;

use super::{LayerClass, make};

pub use concatenate::Concatenate;
pub use dot::Dot;
pub use elementwise::{Add, Average, Maximum, Minimum, Multiply, Subtract};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Add", from_config: make::<Add> },
    LayerClass { name: "Subtract", from_config: make::<Subtract> },
    LayerClass { name: "Multiply", from_config: make::<Multiply> },
    LayerClass { name: "Average", from_config: make::<Average> },
    LayerClass { name: "Maximum", from_config: make::<Maximum> },
    LayerClass { name: "Minimum", from_config: make::<Minimum> },
    LayerClass { name: "Concatenate", from_config: make::<Concatenate> },
    LayerClass { name: "Dot", from_config: make::<Dot> },
];
