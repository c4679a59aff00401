//! `concatenate`: operands one after the other along an axis.

use serde::{Deserialize, Serialize};

/// At least one operand; all sizes but that of `axis` are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concatenate {
    /// The axis.
    pub axis: usize,
}
