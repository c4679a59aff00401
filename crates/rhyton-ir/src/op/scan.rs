//! `scan`: a loop of known length over slices, with a carried state.

use serde::{Deserialize, Serialize};

use std::sync::Arc;
use crate::graph::Graph;
/// `body(consts…, carry…, x_t…) -> (carry…, y_t…)` for `t` in `0..length` (downwards if `reverse`).
///
/// Operands: `consts`, initial `carries`, then the `xs`, stacked along their first axis. Outputs: final carries, then the
/// `ys` stacked along a new first axis (`y_t` at index `t`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// One step.
    pub body: Arc<Graph>,
    /// How many operands are the same in every step.
    pub consts: usize,
    /// How many operands are carried.
    pub carries: usize,
    /// The number of steps.
    pub length: Dim,
    /// From the last slice to the first.
    pub reverse: bool,
}
