//! Changing shapes and orders of axes: `reshape`, `transpose`, `squeeze`, `flip`, …

use rhyton_ir::op::{Reshape as Primitive, Reverse};
use rhyton_ir::{Dim, Shape};

use super::MODULE;
use super::arithmetic::{broadcast, broadcast_shapes};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{operations, unary_operations};
use crate::ops::primitives::{permute, reshaped, sliced};
use crate::ops::{Axes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Reshape { newshape: Vec<Option<i64>> } (x) compute_reshape;
    Transpose { axes: Axes } (x) compute_transpose;
    ExpandDims { axis: Axes } (x) compute_expand_dims;
    Squeeze { axis: Axes } (x) compute_squeeze;
    Swapaxes { axis1: i64, axis2: i64 } (x) compute_swapaxes;
    Moveaxis { source: Axes, destination: Axes } (x) compute_moveaxis;
    BroadcastTo { shape: Vec<i64> } (x) compute_broadcast_to;
    Flip { axis: Axes } (x) compute_flip;
    Roll { shift: Axes, axis: Axes } (x) compute_roll;
    Rot90 { k: i64, axes: Vec<i64> } (array) compute_rot90;
}

unary_operations! { MODULE;
    /// The elements in one axis.
    ravel Ravel |x| reshaped(x, [x.shape().elements()]);
    /// The order of the second axis reversed.
    fliplr Fliplr |x| compute_flip(&Flip { axis: Axes::One(1) }, x.clone()).into();
    /// The order of the first axis reversed.
    flipud Flipud |x| compute_flip(&Flip { axis: Axes::One(0) }, x.clone()).into();
}

/// The same elements in another shape; one size may be −1, which is computed.
#[track_caller]
pub fn reshape(x: &Tensor, shape: &[i64]) -> Tensor {
    apply(Reshape { newshape: shape.iter().map(|&d| Some(d)).collect() }, Args::new(x))
}

/// The same elements in a shape whose sizes may be symbols. Not for symbols of functional models.
#[track_caller]
pub fn reshape_to(x: &Tensor, shape: impl Into<Shape>) -> Tensor {
    Tensor::apply(Primitive { shape: shape.into() }, &[x])
}

fn compute_reshape(op: &Reshape, x: Tensor) -> Result<Tensor> {
    Ok(reshape_to(&x, resolve(x.shape(), &op.newshape)?))
}

/// A target shape with the open size (`None` or −1) computed from what `from` has.
///
/// # Errors
/// If more than one size is open, or the element counts cannot be equal.
pub(crate) fn resolve(from: &Shape, target: &[Option<i64>]) -> Result<Shape> {
    let wrong = |what: &str| {
        Error::shape(
            "reshape",
            format!("{from} cannot become {target:?}: {what}"),
            "keep the number of elements; at most one size may be -1",
        )
    };
    let mut known = 1usize;
    let mut open = None;
    for (i, d) in target.iter().enumerate() {
        match d {
            None | Some(-1) if open.is_none() => open = Some(i),
            None | Some(-1) => return Err(wrong("more than one size is open")),
            Some(d) => {
                let d = usize::try_from(*d).map_err(|_| wrong("a size is negative"))?;
                known = known.checked_mul(d).ok_or_else(|| wrong("it is too large"))?;
            }
        }
    }
    let total = from.elements();
    let missing = match (open, total.known()) {
        (Some(_), Some(n)) if known == 0 || n % known != 0 => {
            return Err(wrong("the counts of elements do not divide"));
        }
        (None, Some(n)) if n != known => return Err(wrong("the counts of elements differ")),
        _ => total / Dim::Known(known),
    };
    let size = |(i, d): (usize, &Option<i64>)| {
        if Some(i) == open { missing.clone() } else { Dim::Known(d.map_or(0, |d| d.unsigned_abs() as usize)) }
    };
    Ok(target.iter().enumerate().map(size).collect())
}

/// The axes in the order `axes`; reversed if `None`.
#[track_caller]
pub fn transpose(x: &Tensor, axes: impl Into<Axes>) -> Tensor {
    apply(Transpose { axes: axes.into() }, Args::new(x))
}

fn compute_transpose(op: &Transpose, x: Tensor) -> Result<Tensor> {
    let axes = match &op.axes {
        Axes::All => return Ok(permute(&x, &(0..x.rank()).rev().collect::<Vec<_>>())),
        Axes::One(axis) => vec![*axis],
        Axes::Many(axes) => axes.clone(),
    };
    let permutation = axes.iter().map(|&a| axis_of(a, x.rank())).collect::<Result<Vec<_>>>()?;
    if permutation.len() != x.rank() || Axes::Many(axes.clone()).resolve(x.rank()).is_err() {
        return Err(Error::argument(
            "transpose",
            format!("{axes:?} is no permutation of the axes of {}", x.ty()),
            "name each axis once",
        ));
    }
    Ok(permute(&x, &permutation))
}

/// New axes of size 1 at `axis`, as counted in the result.
#[track_caller]
pub fn expand_dims(x: &Tensor, axis: impl Into<Axes>) -> Tensor {
    apply(ExpandDims { axis: axis.into() }, Args::new(x))
}

fn compute_expand_dims(op: &ExpandDims, x: Tensor) -> Result<Tensor> {
    let count = match &op.axis {
        Axes::All => 0,
        Axes::One(_) => 1,
        Axes::Many(axes) => axes.len(),
    };
    let rank = x.rank() + count;
    let new = if count == 0 { vec![] } else { op.axis.resolve(rank)? };
    let mut old = x.shape().iter().cloned();
    let size = |a: usize| if new.contains(&a) { Dim::Known(1) } else { old.next().unwrap_or(Dim::Known(1)) };
    Ok(reshaped(&x, (0..rank).map(size).collect::<Shape>()))
}

/// `x` without the axes `axis`, which must have size 1; without all of size 1 if `None`.
#[track_caller]
pub fn squeeze(x: &Tensor, axis: impl Into<Axes>) -> Tensor {
    apply(Squeeze { axis: axis.into() }, Args::new(x))
}

fn compute_squeeze(op: &Squeeze, x: Tensor) -> Result<Tensor> {
    let gone = match &op.axis {
        Axes::All => (0..x.rank()).filter(|&a| x.shape()[a].is(1)).collect(),
        axes => axes.resolve(x.rank())?,
    };
    if let Some(a) = gone.iter().find(|&&a| !x.shape()[a].compatible(&Dim::Known(1))) {
        return Err(Error::shape("squeeze", format!("axis {a} of {} is not of size 1", x.ty()), "leave it out"));
    }
    Ok(reshaped(&x, crate::ops::primitives::without_axes(x.shape(), &gone)))
}

/// `axis1` and `axis2` exchanged.
#[track_caller]
pub fn swapaxes(x: &Tensor, axis1: i64, axis2: i64) -> Tensor {
    apply(Swapaxes { axis1, axis2 }, Args::new(x))
}

fn compute_swapaxes(op: &Swapaxes, x: Tensor) -> Result<Tensor> {
    let mut permutation: Vec<usize> = (0..x.rank()).collect();
    permutation.swap(axis_of(op.axis1, x.rank())?, axis_of(op.axis2, x.rank())?);
    Ok(permute(&x, &permutation))
}

/// The axes `source` moved to the places `destination`; the others keep their order.
#[track_caller]
pub fn moveaxis(x: &Tensor, source: impl Into<Axes>, destination: impl Into<Axes>) -> Tensor {
    apply(Moveaxis { source: source.into(), destination: destination.into() }, Args::new(x))
}

fn compute_moveaxis(op: &Moveaxis, x: Tensor) -> Result<Tensor> {
    let named = |axes: &Axes| -> Result<Vec<usize>> {
        axes.resolve(x.rank())?;
        match axes {
            Axes::All => Ok((0..x.rank()).collect()),
            Axes::One(a) => Ok(vec![axis_of(*a, x.rank())?]),
            Axes::Many(axes) => axes.iter().map(|&a| axis_of(a, x.rank())).collect(),
        }
    };
    let (source, destination) = (named(&op.source)?, named(&op.destination)?);
    if source.len() != destination.len() {
        return Err(Error::argument(
            "moveaxis",
            format!("{} sources and {} destinations", source.len(), destination.len()),
            "give as many of one as of the other",
        ));
    }
    let mut permutation: Vec<usize> = (0..x.rank()).filter(|a| !source.contains(a)).collect();
    let mut moves: Vec<(usize, usize)> = destination.into_iter().zip(source).collect();
    moves.sort_unstable();
    for (to, from) in moves {
        permutation.insert(to.min(permutation.len()), from);
    }
    Ok(permute(&x, &permutation))
}

/// `x` repeated to `shape` by NumPy's rules.
#[track_caller]
pub fn broadcast_to(x: &Tensor, shape: &[i64]) -> Tensor {
    apply(BroadcastTo { shape: shape.to_vec() }, Args::new(x))
}

fn compute_broadcast_to(op: &BroadcastTo, x: Tensor) -> Result<Tensor> {
    let wrong = |what: &str| {
        Error::shape("broadcast_to", format!("{} to {:?}: {what}", x.shape(), op.shape), "give a shape it repeats to")
    };
    let offset = op.shape.len().checked_sub(x.rank()).ok_or_else(|| wrong("the rank is too small"))?;
    let size = |(a, &d): (usize, &i64)| match (d, a.checked_sub(offset)) {
        (-1, Some(a)) => Ok(x.shape()[a].clone()),
        _ => usize::try_from(d).map(Dim::Known).map_err(|_| wrong("a size is negative")),
    };
    let shape: Shape = op.shape.iter().enumerate().map(size).collect::<Result<Vec<Dim>>>()?.into();
    let merged = broadcast_shapes(&[x.shape(), &shape])?;
    if !merged.compatible(&shape) {
        return Err(wrong("a size would shrink"));
    }
    Ok(broadcast(&x, &shape))
}

/// The order along `axis` reversed; along all axes if `None`.
#[track_caller]
pub fn flip(x: &Tensor, axis: impl Into<Axes>) -> Tensor {
    apply(Flip { axis: axis.into() }, Args::new(x))
}

fn compute_flip(op: &Flip, x: Tensor) -> Result<Tensor> {
    Ok(Tensor::apply(Reverse { axes: op.axis.resolve(x.rank())? }, &[&x]))
}

/// The elements moved by `shift` places along `axis`, those that leave at one end entering at the other; of the flattened
/// tensor if `axis` is `None`. With several axes, there is one shift for each, or one for all.
#[track_caller]
pub fn roll(x: &Tensor, shift: impl Into<Axes>, axis: impl Into<Axes>) -> Tensor {
    apply(Roll { shift: shift.into(), axis: axis.into() }, Args::new(x))
}

fn compute_roll(op: &Roll, x: Tensor) -> Result<Tensor> {
    let list = |axes: &Axes| match axes {
        Axes::All => vec![],
        Axes::One(v) => vec![*v],
        Axes::Many(v) => v.clone(),
    };
    let (shifts, axes) = (list(&op.shift), list(&op.axis));
    if op.axis == Axes::All {
        let line = rolled(&reshaped(&x, [x.shape().elements()]), shifts.iter().sum(), 0)?;
        return Ok(reshaped(line.check()?, x.shape().clone()));
    }
    if shifts.len() != axes.len() && shifts.len() != 1 {
        return Err(Error::argument(
            "roll",
            format!("{} shifts for {} axes", shifts.len(), axes.len()),
            "give one shift, or one an axis",
        ));
    }
    axes.iter().enumerate().try_fold(x, |x, (k, &axis)| {
        let axis = axis_of(axis, x.rank())?;
        rolled(&x, shifts[if shifts.len() == 1 { 0 } else { k }], axis)
    })
}

fn rolled(x: &Tensor, shift: i64, axis: usize) -> Result<Tensor> {
    let size = &x.shape()[axis];
    // The first `cut` elements go to the end.
    let cut = match size.known() {
        Some(0) => return Ok(x.clone()),
        Some(n) => Some((-shift).rem_euclid(n as i64) as usize),
        None => usize::try_from(-shift).ok(),
    };
    if cut == Some(0) {
        return Ok(x.clone());
    }
    if let Some(cut) = cut {
        let parts = [sliced(x, axis, cut, size.clone()), sliced(x, axis, 0, cut)];
        return super::concatenate(&parts, axis as i64).check().cloned();
    }
    // The last elements of an axis of unknown size, which come first, are the first ones of the reversed axis.
    let flip = |t: &Tensor| Tensor::apply(Reverse { axes: vec![axis] }, &[t]);
    Ok(flip(&rolled(&flip(x), -shift, axis)?))
}

/// `x` turned by `k` quarters from the first towards the second of `axes` (Keras's defaults: 1, `[0, 1]`).
#[track_caller]
pub fn rot90(array: &Tensor, k: i64, axes: [i64; 2]) -> Tensor {
    apply(Rot90 { k, axes: axes.to_vec() }, Args::new(array))
}

fn compute_rot90(op: &Rot90, x: Tensor) -> Result<Tensor> {
    let [first, second] = op.axes[..] else {
        return Err(Error::argument("rot90", format!("axes {:?}", op.axes), "name two axes"));
    };
    let (first, second) = (axis_of(first, x.rank())?, axis_of(second, x.rank())?);
    if first == second {
        return Err(Error::argument("rot90", format!("axes {:?} are the same", op.axes), "name two axes"));
    }
    let mut swap: Vec<usize> = (0..x.rank()).collect();
    swap.swap(first, second);
    let flip = |t: &Tensor, axis: usize| Tensor::apply(Reverse { axes: vec![axis] }, &[t]);
    Ok(match op.k.rem_euclid(4) {
        0 => x,
        1 => permute(&flip(&x, second), &swap),
        2 => flip(&flip(&x, first), second),
        _ => flip(&permute(&x, &swap), second),
    })
}
