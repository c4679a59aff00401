//! `reverse`: reversed axes.

use serde::{Deserialize, Serialize};

/// Reverses the order along `axes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reverse {
    /// The axes, without repetition.
    pub axes: Vec<usize>,
}
