//! `reshape`: the same elements in another shape.

use serde::{Deserialize, Serialize};

/// Row-major elements are kept; the element counts are equal (not provable for every symbolic shape, then trusted).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// The new shape.
    pub shape: Shape,
}
