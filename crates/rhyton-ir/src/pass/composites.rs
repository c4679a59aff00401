//! Decomposition of what a back end has no kernel for.

use super::{Rewrite, inside, rewrite};
use crate::error::Result;
use crate::graph::Graph;
use crate::op::{CompositeKind, Op};
use crate::shape::TensorType;

/// What a back end can do beyond the primitives.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Whether it has a kernel for a composite with operands of these types.
    pub composite: fn(&CompositeKind, &[&TensorType]) -> bool,
}

impl Capabilities {
    /// No composites.
    pub fn none() -> Capabilities {
        Capabilities { composite: |_, _| false }
    }

    /// All composites.
    pub fn all() -> Capabilities {
        Capabilities { composite: |_, _| true }
    }
}

/// Puts the decomposition in place of each composite that is not among the capabilities.
///
/// # Errors
/// If the graph is not valid.
pub fn inline_composites(graph: &Graph, capabilities: &Capabilities) -> Result<Graph> {
    rewrite(graph, |out, op, inputs| {
        if let Op::Composite(composite) = op {
            let types: Vec<&TensorType> = inputs.iter().map(|&v| out.ty(v)).collect();
            if !(capabilities.composite)(&composite.kind, &types) {
                let decomposition = inline_composites(&composite.decomposition, capabilities)?;
                return Ok(Rewrite::Values(out.inline(&decomposition, inputs)?));
            }
        }
        inside(op, |g| inline_composites(g, capabilities))
    })
}
