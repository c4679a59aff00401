//! `triangular_solve`: solutions of triangular systems.

use serde::{Deserialize, Serialize};

/// Solves `op(a)·x = b` (or `x·op(a) = b` unless `left`), `op` the transpose if `transpose`; batch axes are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriangularSolve {
    /// `a` stands left of `x`.
    pub left: bool,
    /// `a` is lower triangular; the other triangle is not read.
    pub lower: bool,
    /// `a` is transposed.
    pub transpose: bool,
    /// The diagonal of `a` is taken as ones.
    pub unit_diagonal: bool,
}
