//! Fusion: chains of elementwise operations, broadcasts and reductions as one pass over memory.

pub(crate) mod block;
pub(crate) mod cluster;
pub(crate) mod fused_loop;
pub(crate) mod program;
pub(crate) mod schedule;
mod tail;
