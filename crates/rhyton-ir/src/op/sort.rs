//! `sort`: several operands ordered together along an axis.

use serde::{Deserialize, Serialize};

/// Stable sort of all operands (same shape) along `axis` by the first `keys` operands, lexicographically; NaN is largest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sort {
    /// The axis.
    pub axis: usize,
    /// How many operands are keys.
    pub keys: usize,
    /// Largest first (still stable).
    pub descending: bool,
}
