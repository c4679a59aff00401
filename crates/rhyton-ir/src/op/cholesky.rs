//! `cholesky`: the lower factor of positive definite matrices.

use serde::{Deserialize, Serialize};

/// `L` with `x = L·Lᵀ` for `x (…, n, n)`; reads the lower triangle; NaN where `x` is not positive definite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cholesky;
