//! `gather`: slices of an operand at computed places.

use serde::{Deserialize, Serialize};

/// StableHLO's `gather`. Operands: `x` and integer `indices`; result axes are the batch axes of `indices` (all but
/// `index_vector_axis`) and the `offset_axes`. Start indices are clamped so that each slice lies inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gather {
    /// Axes of the result that run over the slice.
    pub offset_axes: Vec<usize>,
    /// Axes of `x` of slice size 1 that the result lacks.
    pub collapsed_slice_axes: Vec<usize>,
    /// Axes of `x` that go together with `indices_batching_axes`.
    pub operand_batching_axes: Vec<usize>,
    /// Axes of `indices` that go together with `operand_batching_axes`.
    pub indices_batching_axes: Vec<usize>,
    /// For component `k` of an index vector, the axis of `x` that it addresses.
    pub start_index_map: Vec<usize>,
    /// The axis of `indices` that holds index vectors; its rank if they are scalars.
    pub index_vector_axis: usize,
    /// The sizes of a slice, one an axis of `x`.
    pub slice_sizes: Shape,
}
