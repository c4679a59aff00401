//! `dynamic_slice`: a box whose place is computed.

use serde::{Deserialize, Serialize};

/// Operands: `x`, then one scalar integer start index an axis (all of one dtype), clamped so that the box lies inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynamicSlice {
    /// The sizes of the box.
    pub sizes: Shape,
}
