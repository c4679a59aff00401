//! `qr`: orthogonal and upper triangular factors.

use serde::{Deserialize, Serialize};

/// Outputs `q`, `r` of `x (…, m, n)`: `(…, m, k)`, `(…, k, n)` with `k = min(m, n)`, or `m` if `full`. Householder's sign
/// convention (LAPACK's): the diagonal of `r` is not made positive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Qr {
    /// Complete bases.
    pub full: bool,
}
