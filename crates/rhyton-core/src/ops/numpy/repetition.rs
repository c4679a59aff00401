//! `tile` and `repeat`.

use rhyton_ir::op::BroadcastInDim;
use rhyton_ir::{Array, Dim, Shape};

use super::MODULE;
use super::indexing::taken;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::operations;
use crate::ops::primitives::reshaped;
use crate::ops::{Sizes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Tile { repeats: Sizes } (x) compute_tile;
    Repeat { repeats: Sizes, axis: Option<i64> } (x) compute_repeat;
}

/// `x` so many times along each of its last axes, as a whole.
#[track_caller]
pub fn tile(x: &Tensor, repeats: impl Into<Sizes>) -> Tensor {
    apply(Tile { repeats: repeats.into() }, Args::new(x))
}

fn compute_tile(op: &Tile, x: Tensor) -> Tensor {
    let mut repeats = match &op.repeats {
        Sizes::One(n) => vec![*n],
        Sizes::Many(n) => n.clone(),
    };
    let rank = x.rank().max(repeats.len());
    repeats.splice(0..0, vec![1; rank - repeats.len()]);
    let shape: Vec<Dim> = vec![Dim::Known(1); rank - x.rank()].into_iter().chain(x.shape().iter().cloned()).collect();
    // Every axis becomes two: how often, and what.
    let wide: Shape = repeats.iter().zip(&shape).flat_map(|(&n, d)| [Dim::Known(n), d.clone()]).collect();
    let axes = (rank - x.rank()..rank).map(|a| 2 * a + 1).collect();
    let repeated = Tensor::apply(BroadcastInDim { shape: wide, axes }, &[&x]);
    let out: Shape = repeats.iter().zip(&shape).map(|(&n, d)| d.clone() * Dim::Known(n)).collect();
    reshaped(&repeated, out)
}

/// Every element along `axis` so many times in a row (one number for all, or one for each); of the flattened tensor if
/// `axis` is `None`.
#[track_caller]
pub fn repeat(x: &Tensor, repeats: impl Into<Sizes>, axis: Option<i64>) -> Tensor {
    apply(Repeat { repeats: repeats.into(), axis }, Args::new(x))
}

fn compute_repeat(op: &Repeat, x: Tensor) -> Result<Tensor> {
    let (x, axis) = match op.axis {
        Some(axis) => (x.clone(), axis_of(axis, x.rank())?),
        None => (super::ravel(&x), 0),
    };
    match &op.repeats {
        Sizes::One(n) => Ok(repeated(&x, *n, axis)),
        Sizes::Many(counts) if counts.len() == 1 => Ok(repeated(&x, counts[0], axis)),
        Sizes::Many(counts) => {
            if !x.shape()[axis].compatible(&Dim::Known(counts.len())) {
                return Err(Error::shape(
                    "repeat",
                    format!("{} counts for axis {axis} of {}", counts.len(), x.ty()),
                    "give one count, or one for each element",
                ));
            }
            let places: Vec<i32> = (0..).zip(counts).flat_map(|(i, &n)| vec![i; n]).collect();
            taken(&x, &Tensor::from(Array::new([places.len()], places)), axis)
        }
    }
}

/// Every element along `axis` `count` times in a row.
pub(crate) fn repeated(x: &Tensor, count: usize, axis: usize) -> Tensor {
    let mut wide: Vec<Dim> = x.shape().to_vec();
    wide.insert(axis + 1, Dim::Known(count));
    let axes = (0..=x.rank()).filter(|&a| a != axis + 1).collect();
    let apart = Tensor::apply(BroadcastInDim { shape: wide.into(), axes }, &[x]);
    let size = x.shape()[axis].clone() * Dim::Known(count);
    reshaped(&apart, crate::ops::primitives::with_size(x.shape(), axis, size))
}
