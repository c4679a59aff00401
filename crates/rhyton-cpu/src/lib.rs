//! Rhyton's native back end.

pub mod isa;
pub mod kernels;
pub mod pool;
