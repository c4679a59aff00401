//! `pad`: padding before, after and between elements.

use serde::{Deserialize, Serialize};

/// Operands: `x` and the scalar padding value. Negative `low`/`high` remove elements; `interior` elements go between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad {
    /// Before the first element, one an axis.
    pub low: Vec<i64>,
    /// After the last.
    pub high: Vec<i64>,
    /// Between neighbours.
    pub interior: Vec<usize>,
}
