//! `parameter`: an input of the graph.

use serde::{Deserialize, Serialize};

use crate::shape::TensorType;
/// Input number *i* of the graph, *i* being its place in [`Graph::parameters`](crate::Graph::parameters).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its type.
    pub ty: TensorType,
}
