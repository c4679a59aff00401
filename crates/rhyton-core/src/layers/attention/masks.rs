//! Which keys queries see.

use rhyton_ir::op::Direction;
use rhyton_ir::{DType, Dim, Shape};

use crate::ops;
use crate::ops::primitives::{compare, filled, iota};
use crate::tensor::Tensor;

fn plane(queries: &Dim, keys: &Dim) -> Shape {
    [Dim::Known(1), queries.clone(), keys.clone()].into_iter().collect()
}

/// Query `t` sees key `s` if `s ≤ t`: `(1, queries, keys)`.
pub(super) fn causal_mask(queries: &Dim, keys: &Dim) -> Tensor {
    let shape = plane(queries, keys);
    compare(Direction::Ge, &iota(DType::I32, shape.clone(), 1), &iota(DType::I32, shape, 2))
}

/// Query `t` sees key `s` if `|s − t| < window`: `(1, queries, keys)`.
pub(super) fn sliding_window_mask(queries: &Dim, keys: &Dim, window: usize) -> Tensor {
    let shape = plane(queries, keys);
    let distance = ops::absolute(&(iota(DType::I32, shape.clone(), 1) - iota(DType::I32, shape.clone(), 2)));
    compare(Direction::Lt, &distance, &filled(DType::I32, &shape, window as f64))
}

/// All of the masks that are there together, `bool`.
pub(super) fn all_of(masks: impl IntoIterator<Item = Option<Tensor>>) -> Option<Tensor> {
    let masks = masks.into_iter().flatten().map(|mask| mask.cast(DType::Bool).without_mask());
    masks.reduce(|a, b| ops::logical_and(a, b))
}
