//! `top_k`: the largest elements of the last axis and where they are.

use serde::{Deserialize, Serialize};

/// The `k` largest of the last axis in descending order, equals by ascending index, and their indices as `int32`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// How many, at most the size of the last axis.
    pub k: usize,
}
