//! Saving and loading: the form of configurations, weights, and whole models.

mod object;

pub use object::*;
