//! The graph of primitive operations that every computation in Rhyton becomes.
//!
//! What it is for: describing a computation once, so that it can be differentiated ([`grad`]), simplified ([`pass`]),
//! printed and read ([`text`]), evaluated slowly and obviously ([`interpret`]) and compiled by a back end.
//!
//! What it does not do: run fast, read files, start threads, know what a layer is.
//!
//! Words: a [`Graph`] is a function made of [`Node`]s; a node applies an [`op::Op`] to [`Value`]s; a value has a
//! [`TensorType`], which is a [`DType`] and a [`Shape`] of [`Dim`]s.

#![forbid(unsafe_code)]

pub mod array;
pub mod backend;
pub mod build;
pub mod dtype;
pub mod error;
pub mod grad;
pub mod graph;
pub mod interpret;
pub mod op;
pub mod pass;
pub mod profile;
#[cfg(feature = "testing")]
pub mod random_graph;
pub mod shape;
pub mod text;

pub use array::{Array, Data, Element, Identity};
pub use build::Builder;
pub use dtype::DType;
pub use error::{Error, Report, Result};
pub use graph::{Graph, Node, Value};
pub use half::{bf16, f16};
pub use op::Op;
pub use shape::{Bindings, Dim, Shape, TensorType};
