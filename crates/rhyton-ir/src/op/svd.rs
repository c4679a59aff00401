//! `svd`: singular value decomposition.

use serde::{Deserialize, Serialize};

/// Outputs `u (…, m, k)`, `s (…, k)` descending, `vt (…, k, n)` with `k = min(m, n)`; square `u` and `vt` if `full`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Svd {
    /// Complete bases.
    pub full: bool,
}
