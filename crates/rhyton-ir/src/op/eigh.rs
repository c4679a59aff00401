//! `eigh`: eigenvalues and eigenvectors of symmetric matrices.

use serde::{Deserialize, Serialize};

/// Outputs `w (…, n)` ascending and `v (…, n, n)` with the vectors as columns; reads the lower triangle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eigh;
