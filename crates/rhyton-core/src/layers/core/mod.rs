//! The most used layers.

mod dense;
mod einsum_dense;
mod embedding;
mod identity;
mod input_layer;
mod lambda;
mod masking;
mod reversible_embedding;

use super::{LayerClass, make};

pub use dense::Dense;
pub use einsum_dense::EinsumDense;
pub use embedding::Embedding;
pub use identity::Identity;
pub use input_layer::{Input, InputLayer};
pub use lambda::{Lambda, LambdaFunction};
pub use masking::Masking;
pub use reversible_embedding::ReversibleEmbedding;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Dense", from_config: make::<Dense> },
    LayerClass { name: "EinsumDense", from_config: make::<EinsumDense> },
    LayerClass { name: "Embedding", from_config: make::<Embedding> },
    LayerClass { name: "ReversibleEmbedding", from_config: make::<ReversibleEmbedding> },
    LayerClass { name: "InputLayer", from_config: InputLayer::from_config },
    LayerClass { name: "Identity", from_config: make::<Identity> },
    LayerClass { name: "Lambda", from_config: Lambda::from_config },
    LayerClass { name: "Masking", from_config: make::<Masking> },
];
