//! `composite`: a function for which a back end may have a kernel, and what it is made of.

use serde::{Deserialize, Serialize};

use std::sync::Arc;
use crate::graph::Graph;
/// Which function; a back end that has no kernel for it runs the decomposition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompositeKind {
    /// Operand `x`: softmax over the last axis.
    Softmax,
    /// Operand `x`: log-softmax over the last axis.
    LogSoftmax,
    /// Operands `x`, `gamma`, `beta` (both of the last axis): layer normalisation over the last axis.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Operands `q (b, t, h, d)`, `k`, `v (b, s, h, d)`, optional `bias` broadcastable to `(b, h, t, s)`:
    /// `softmax(scale · q·kᵀ + bias) · v` as `(b, t, h, d)`.
    Attention {
        /// Multiplies the scores.
        scale: f64,
        /// Position `t` sees `s <= t` only.
        causal: bool,
        /// Whether `bias` is given.
        bias: bool,
    },
}
/// `decomposition(operands…)`, computed in whichever way is fastest; differentiated through the decomposition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Composite {
    /// What it is.
    pub kind: CompositeKind,
    /// What it is made of; the definition of its meaning.
    pub decomposition: Arc<Graph>,
}
