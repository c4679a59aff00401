//! `compare`: elementwise comparison.

use serde::{Deserialize, Serialize};

/// The relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction { Eq, Ne, Lt, Le, Gt, Ge }
/// `x <relation> y` as `bool`; NaN is unequal to everything and unordered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// The relation.
    pub direction: Direction,
}
