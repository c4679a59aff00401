//! `lu`: factors of square matrices with partial pivoting.

use serde::{Deserialize, Serialize};

/// Outputs: `lu (…, n, n)` (unit lower and upper factors in one), `permutation int32 (…, n)`: row `i` of `P·x` is row
/// `permutation[i]` of `x`, with `P·x = L·U`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lu;
