//! Saving and loading: the form of configurations, weights, and whole models.

mod object;
mod written;

pub use object::*;
pub use written::*;
