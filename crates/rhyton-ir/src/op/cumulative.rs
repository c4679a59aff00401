//! `cumulative`: running sums, products and extremes.

use serde::{Deserialize, Serialize};

use super::ReduceKind;
/// `out[i] = reduce(x[0..=i])` along `axis`, or of `x[i..]` if `reverse`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cumulative {
    /// `Sum`, `Prod`, `Max` or `Min`.
    pub kind: ReduceKind,
    /// The axis.
    pub axis: usize,
    /// From the end.
    pub reverse: bool,
}
