//! The graph of primitive operations that every computation in Rhyton becomes.

#![forbid(unsafe_code)]

pub mod array;
pub mod dtype;

pub use array::{Array, Data, Element};
pub use dtype::DType;
pub use half::{bf16, f16};
