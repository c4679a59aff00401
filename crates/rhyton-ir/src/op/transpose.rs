//! `transpose`: permuted axes.

use serde::{Deserialize, Serialize};

/// Axis `i` of the result is axis `permutation[i]` of the operand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transpose {
    /// A permutation of `0..rank`.
    pub permutation: Vec<usize>,
}
