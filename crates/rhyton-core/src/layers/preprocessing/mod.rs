//! Layers that prepare data.

mod category_encoding;
mod discretization;
mod encode;
mod hash;
mod hashing;
mod integer_lookup;
mod normalization;
mod pipeline;
mod rescaling;
mod vocabulary;

use super::{LayerClass, make};

pub use category_encoding::CategoryEncoding;
pub use discretization::Discretization;
pub use encode::OutputMode;
pub use hashing::Hashing;
pub use integer_lookup::{IntegerLookup, OovMethod};
pub use normalization::Normalization;
pub use pipeline::Pipeline;
pub use rescaling::{PerChannel, Rescaling};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Rescaling", from_config: make::<Rescaling> },
    LayerClass { name: "Normalization", from_config: make::<Normalization> },
    LayerClass { name: "Discretization", from_config: make::<Discretization> },
    LayerClass { name: "CategoryEncoding", from_config: make::<CategoryEncoding> },
    LayerClass { name: "Hashing", from_config: make::<Hashing> },
    LayerClass { name: "IntegerLookup", from_config: make::<IntegerLookup> },
    LayerClass { name: "Pipeline", from_config: make::<Pipeline> },
];
