//! How a symbol of a functional model came about.

use std::sync::Arc;

use rhyton_ir::TensorType;

use crate::layers::LayerRef;
use crate::nest::Args;

/// One call of a layer or operation on symbols (Keras's `Node`).
#[derive(Debug)]
pub struct CallNode {
    /// What was called.
    pub layer: LayerRef,
    /// How many calls of it on symbols went before.
    pub index: usize,
    /// The arguments.
    pub arguments: Args,
    /// The types of the outputs, flat.
    pub types: Vec<TensorType>,
}

/// Which output of which call a symbol is.
#[derive(Clone, Debug)]
pub struct History {
    /// The call.
    pub node: Arc<CallNode>,
    /// Which of its outputs, flat.
    pub output: usize,
}

impl History {
    /// The name of the layer or operation.
    pub fn layer_name(&self) -> &str {
        self.node.layer.name()
    }
}
