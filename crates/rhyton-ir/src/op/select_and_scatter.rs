//! `select_and_scatter`: the gradient of windowed max and min.

use serde::{Deserialize, Serialize};

/// Operands: `x` and `source` (one value a window). Adds each source value to the element of its window that is largest
/// (`max`) or smallest, the first in row-major order among equals; elsewhere 0. Output: the type of `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectAndScatter {
    /// Largest if true, else smallest.
    pub max: bool,
    /// Window sizes, one an axis.
    pub window: Vec<usize>,
    /// Steps.
    pub strides: Vec<usize>,
    /// Padding before and after; never selected.
    pub padding: Vec<(i64, i64)>,
    /// Distance of neighbouring elements of the window.
    pub window_dilation: Vec<usize>,
}
