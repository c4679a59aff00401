//! `scatter`: combines updates into an operand at computed places.

use serde::{Deserialize, Serialize};

/// How an update meets the element that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine { Assign, Add, Mul, Min, Max }
/// StableHLO's `scatter`, the transpose of [`Gather`](super::Gather). Operands: `x`, integer `indices`, `updates`.
/// Updates whose window lies partly outside are skipped; updates are combined in row-major order of `updates`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    /// Axes of `updates` that run over the window.
    pub update_window_axes: Vec<usize>,
    /// Axes of `x` of window size 1 that `updates` lacks.
    pub inserted_window_axes: Vec<usize>,
    /// Axes of `x` that go together with `indices_batching_axes`.
    pub operand_batching_axes: Vec<usize>,
    /// Axes of `indices` that go together with `operand_batching_axes`.
    pub indices_batching_axes: Vec<usize>,
    /// For component `k` of an index vector, the axis of `x` that it addresses.
    pub scatter_axes_to_operand_axes: Vec<usize>,
    /// The axis of `indices` that holds index vectors; its rank if they are scalars.
    pub index_vector_axis: usize,
    /// What happens to the element there.
    pub combine: Combine,
}
