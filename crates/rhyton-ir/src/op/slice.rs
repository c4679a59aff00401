//! `slice`: a strided box with fixed bounds.

use serde::{Deserialize, Serialize};

/// Elements `start, start + stride, … < limit` of every axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// First index, one an axis.
    pub start: Vec<usize>,
    /// One past the last index; may be symbolic.
    pub limit: Vec<Dim>,
    /// Step, at least 1.
    pub stride: Vec<usize>,
}
