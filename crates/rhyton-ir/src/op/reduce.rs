//! `reduce`: sums, products, extremes and logical reductions over axes.

use serde::{Deserialize, Serialize};

/// Which reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReduceKind {
    /// Of nothing: 0.
    Sum,
    /// Of nothing: 1.
    Prod,
    /// Of nothing: the smallest value of the dtype (−∞ for floats). NaN wins. The gradient is shared equally by ties.
    Max,
    /// Of nothing: the largest value of the dtype (+∞ for floats). NaN wins. The gradient is shared equally by ties.
    Min,
    /// Logical and, of `bool`.
    And,
    /// Logical or, of `bool`.
    Or,
}
/// Reduces over `axes`, which the result lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// The reduction.
    pub kind: ReduceKind,
    /// The axes, ascending.
    pub axes: Vec<usize>,
}
