//! `cond`: one of several branches.

use serde::{Deserialize, Serialize};

use std::sync::Arc;
use crate::graph::Graph;
/// Operands: a scalar `int32` index, clamped, then what every branch takes. Outputs: those of the branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cond {
    /// All with the same parameter and output types.
    pub branches: Vec<Arc<Graph>>,
}
