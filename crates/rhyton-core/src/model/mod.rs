//! Models: functional, sequential and subclassed.

mod history;

pub use history::{CallNode, History};
