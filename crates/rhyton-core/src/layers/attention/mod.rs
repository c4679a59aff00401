//! Attention: means of values, weighted by how well keys fit queries.

mod additive_attention;
mod attention;
mod group_query_attention;
mod heads;
mod masks;
mod multi_head_attention;
mod scores;

use super::{LayerClass, make};

pub use additive_attention::AdditiveAttention;
pub use attention::{Attention, ScoreMode};
pub use group_query_attention::GroupQueryAttention;
pub use multi_head_attention::MultiHeadAttention;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Attention", from_config: make::<Attention> },
    LayerClass { name: "AdditiveAttention", from_config: make::<AdditiveAttention> },
    LayerClass { name: "MultiHeadAttention", from_config: make::<MultiHeadAttention> },
    LayerClass { name: "GroupQueryAttention", from_config: make::<GroupQueryAttention> },
];
