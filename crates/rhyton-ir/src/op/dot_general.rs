//! `dot_general`: products of matrices with any batch and contracted axes.

use serde::{Deserialize, Serialize};

/// `out[batch, lhs free, rhs free] = Σ lhs · rhs` over the contracted axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DotGeneral {
    /// Batch axes of the left operand.
    pub lhs_batch: Vec<usize>,
    /// Batch axes of the right operand, paired with those.
    pub rhs_batch: Vec<usize>,
    /// Contracted axes of the left operand.
    pub lhs_contract: Vec<usize>,
    /// Contracted axes of the right operand, paired with those.
    pub rhs_contract: Vec<usize>,
}
