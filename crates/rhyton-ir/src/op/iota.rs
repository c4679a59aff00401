//! `iota`: counting along an axis.

use serde::{Deserialize, Serialize};

/// `out[…, i, …] = i` along `axis`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Iota {
    /// The type of the result.
    pub ty: TensorType,
    /// The axis that counts.
    pub axis: usize,
}
