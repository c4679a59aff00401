//! `custom_gradient`: a function with a gradient of its own.

use serde::{Deserialize, Serialize};

use std::sync::Arc;
use crate::graph::Graph;
/// `forward(operands…) -> outputs…` whose cotangents are `backward(operands…, outputs…, cotangents…) -> one an operand`.
/// Integer operands get a cotangent of `float32` zeros that is ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomGradient {
    /// What is computed.
    pub forward: Arc<Graph>,
    /// Its gradient.
    pub backward: Arc<Graph>,
}
