//! How layers that give categories write them.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ops;
use crate::tensor::Tensor;

/// The form of categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// Their numbers.
    Int,
    /// For each number a vector with 1 at its place.
    OneHot,
    /// For each example a vector with 1 at the places of its numbers.
    #[serde(alias = "binary")]
    MultiHot,
    /// For each example a vector with how often each number occurs.
    Count,
}

/// `indices` in the form `mode` with `depth` categories; numbers that are none of them count nowhere. Weights are for
/// counts.
pub(super) fn encode(
    indices: &Tensor,
    mode: OutputMode,
    depth: usize,
    dtype: DType,
    weights: Option<&Tensor>,
) -> Result<Tensor> {
    let indices =
        if indices.rank() == 0 && mode != OutputMode::Int { ops::reshape(indices, &[1]) } else { indices.clone() };
    let one_hot = |indices: &Tensor| {
        let numbers: Vec<i32> = (0..depth as i32).collect();
        let numbers = Tensor::from(Array::new([depth], numbers).cast(indices.dtype()));
        ops::equal(ops::expand_dims(indices, -1), &numbers).cast(dtype)
    };
    let examples = if indices.rank() > 1 { 1 } else { 0 };
    let encoded = match mode {
        OutputMode::Int => indices.cast(dtype),
        OutputMode::OneHot if indices.rank() > 1 && indices.dim(-1).is(1) => one_hot(&ops::squeeze(&indices, -1)),
        OutputMode::OneHot => one_hot(&indices),
        OutputMode::MultiHot => ops::max(&one_hot(&indices), examples, false),
        OutputMode::Count => {
            let counted = match weights {
                Some(weights) => one_hot(&indices) * ops::expand_dims(&weights.cast(dtype), -1),
                None => one_hot(&indices),
            };
            ops::sum(&counted, examples, false)
        }
    };
    encoded.check().cloned()
}
