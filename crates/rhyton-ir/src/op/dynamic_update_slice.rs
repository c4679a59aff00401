//! `dynamic_update_slice`: writes a box at a computed place.

use serde::{Deserialize, Serialize};

/// Operands: `x`, `update` (same rank), then one scalar integer start index an axis, clamped so that the box lies inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynamicUpdateSlice;
