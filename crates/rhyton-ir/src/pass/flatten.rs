//! Removal of what only matters to differentiation.

use super::{Rewrite, inside, rewrite};
use crate::error::Result;
use crate::graph::Graph;
use crate::op::Op;

/// Puts the operand in place of each `stop_gradient`, and the forward graph in place of each `custom_gradient`. To be
/// run after differentiation.
///
/// # Errors
/// If the graph is not valid.
pub fn flatten(graph: &Graph) -> Result<Graph> {
    rewrite(graph, |out, op, inputs| match op {
        Op::StopGradient(_) => Ok(Rewrite::Values(inputs.to_vec())),
        Op::CustomGradient(custom) => Ok(Rewrite::Values(out.inline(&flatten(&custom.forward)?, inputs)?)),
        op => inside(op, flatten),
    })
}

/// Puts the body in place of each `remat`. To be run after the last elimination of common subexpressions, which would
/// merge what is computed again with what was computed first, and so keep it all that time.
///
/// # Errors
/// If the graph is not valid.
pub fn open_remat(graph: &Graph) -> Result<Graph> {
    rewrite(graph, |out, op, inputs| match op {
        Op::Remat(remat) => Ok(Rewrite::Values(out.inline(&open_remat(&remat.body)?, inputs)?)),
        op => inside(op, open_remat),
    })
}
