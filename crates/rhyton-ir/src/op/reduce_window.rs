//! `reduce_window`: reductions over sliding windows.

use serde::{Deserialize, Serialize};

use super::ReduceKind;
/// Reduces each window with `kind`; padding holds the reduction's value of nothing. All vectors have one entry an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReduceWindow {
    /// `Sum`, `Max`, `Min` or `Prod`.
    pub kind: ReduceKind,
    /// Window sizes.
    pub window: Vec<usize>,
    /// Steps.
    pub strides: Vec<usize>,
    /// Padding before and after.
    pub padding: Vec<(i64, i64)>,
    /// 1 + zeros between neighbouring elements of the operand (as `base_dilation` of StableHLO).
    pub base_dilation: Vec<usize>,
    /// Distance of neighbouring elements of the window.
    pub window_dilation: Vec<usize>,
}
