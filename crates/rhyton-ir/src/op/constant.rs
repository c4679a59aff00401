//! `constant`: a value known when the graph is built.

use serde::{Deserialize, Serialize};

use crate::array::Array;
/// An array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// The value.
    pub value: Array,
}
