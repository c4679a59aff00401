//! `arg_reduce`: where the largest or smallest element is.

use serde::{Deserialize, Serialize};

/// The index of the largest (`max`) or smallest element along `axis`, the first of equals, as `int32`; NaN wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgReduce {
    /// Largest if true, else smallest.
    pub max: bool,
    /// The axis, which the result lacks.
    pub axis: usize,
}
