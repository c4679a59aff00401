//! `remat`: a function whose inner values are computed again for its gradient.

use serde::{Deserialize, Serialize};

use std::sync::Arc;
use crate::graph::Graph;
/// `body(operands…)`. Its gradient keeps only the operands and recomputes the rest (gradient checkpointing; Chen et al.,
/// 2016, <https://arxiv.org/abs/1604.06174>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remat {
    /// What is computed.
    pub body: Arc<Graph>,
}
