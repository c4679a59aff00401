//! Putting tensors together and taking them apart: `concatenate`, `stack`, `split`, …

use rhyton_ir::op::Concatenate as Primitive;
use rhyton_ir::{DType, Dim};
use serde::{Deserialize, Serialize};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::operations;
use crate::ops::primitives::{reshaped, sliced};
use crate::ops::{apply, apply_all};
use crate::promotion::promote;
use crate::tensor::Tensor;

/// Into how many equal parts an axis is split, or before which indices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sections {
    /// So many equal parts.
    Equal(i64),
    /// Before each of these indices.
    At(Vec<i64>),
}

impl From<i64> for Sections {
    fn from(count: i64) -> Sections {
        Sections::Equal(count)
    }
}

impl From<i32> for Sections {
    fn from(count: i32) -> Sections {
        Sections::Equal(count.into())
    }
}

impl<const N: usize> From<[i64; N]> for Sections {
    fn from(indices: [i64; N]) -> Sections {
        Sections::At(indices.to_vec())
    }
}

impl From<Vec<i64>> for Sections {
    fn from(indices: Vec<i64>) -> Sections {
        Sections::At(indices)
    }
}

operations! { MODULE;
    Concatenate { axis: i64 } (xs) compute_concatenate;
    Stack { axis: i64 } (x) compute_stack;
    Hstack {} (xs) compute_hstack;
    Vstack {} (xs) compute_vstack;
    Dstack {} (xs) compute_dstack;
    Append { axis: Option<i64> } (x1, x2) compute_append;
    Split { indices_or_sections: Sections, axis: i64 } (x) compute_split;
    ArraySplit { indices_or_sections: i64, axis: i64 } (x) compute_array_split;
    Hsplit { indices_or_sections: Sections } (x) compute_hsplit;
    Vsplit { indices_or_sections: Sections } (x) compute_vsplit;
    Dsplit { indices_or_sections: Sections } (x) compute_dsplit;
}

/// All in the dtype to which they promote.
pub(crate) fn promoted(xs: &[Tensor]) -> Vec<Tensor> {
    let dtype = xs.iter().map(Tensor::dtype).reduce(promote).unwrap_or(DType::F32);
    xs.iter().map(|x| x.cast(dtype)).collect()
}

fn joined(xs: &[Tensor], axis: i64) -> Result<Tensor> {
    let Some(first) = xs.first() else {
        return Err(Error::argument("concatenate", "no tensors", "give at least one"));
    };
    let axis = axis_of(axis, first.rank())?;
    let xs = promoted(xs);
    Ok(Tensor::apply(Primitive { axis }, &xs.iter().collect::<Vec<_>>()))
}

/// The tensors one after the other along `axis` (Keras's default is 0); of several dtypes in the one to which they promote.
#[track_caller]
pub fn concatenate(xs: &[Tensor], axis: i64) -> Tensor {
    apply(Concatenate { axis }, Args::new(xs))
}

fn compute_concatenate(op: &Concatenate, xs: Vec<Tensor>) -> Result<Tensor> {
    joined(&xs, op.axis)
}

/// Tensors of one shape along a new axis (Keras's default is 0).
#[track_caller]
pub fn stack(x: &[Tensor], axis: i64) -> Tensor {
    apply(Stack { axis }, Args::new(x))
}

fn compute_stack(op: &Stack, xs: Vec<Tensor>) -> Result<Tensor> {
    let rank = xs.first().map_or(0, Tensor::rank) + 1;
    let at = axis_of(op.axis, rank)? as i64;
    let xs: Vec<Tensor> = xs.iter().map(|x| super::expand_dims(x, at)).collect();
    xs.iter().try_for_each(|x| x.check().map(|_| ()))?;
    joined(&xs, at)
}

/// Along the second axis, or the first of vectors.
#[track_caller]
pub fn hstack(xs: &[Tensor]) -> Tensor {
    apply(Hstack {}, Args::new(xs))
}

fn compute_hstack(_: &Hstack, xs: Vec<Tensor>) -> Result<Tensor> {
    let flat = xs.first().is_some_and(|x| x.rank() == 1);
    joined(&xs, if flat { 0 } else { 1 })
}

/// Along the first axis.
#[track_caller]
pub fn vstack(xs: &[Tensor]) -> Tensor {
    apply(Vstack {}, Args::new(xs))
}

fn compute_vstack(_: &Vstack, xs: Vec<Tensor>) -> Result<Tensor> {
    joined(&xs, 0)
}

/// Along the third axis; vectors of `n` count as `(1, n, 1)`, matrices get a third axis.
#[track_caller]
pub fn dstack(xs: &[Tensor]) -> Tensor {
    apply(Dstack {}, Args::new(xs))
}

fn compute_dstack(_: &Dstack, xs: Vec<Tensor>) -> Result<Tensor> {
    let deep = |x: &Tensor| match x.rank() {
        0 => reshaped(x, [1usize, 1, 1]),
        1 => reshaped(x, vec![Dim::Known(1), x.dim(0), Dim::Known(1)]),
        2 => reshaped(x, vec![x.dim(0), x.dim(1), Dim::Known(1)]),
        _ => x.clone(),
    };
    joined(&xs.iter().map(deep).collect::<Vec<_>>(), 2)
}

/// `x2` after `x1` along `axis`; both flattened if `None`.
#[track_caller]
pub fn append(x1: &Tensor, x2: &Tensor, axis: Option<i64>) -> Tensor {
    apply(Append { axis }, Args::new(x1).and(x2))
}

fn compute_append(op: &Append, x: Tensor, y: Tensor) -> Result<Tensor> {
    match op.axis {
        Some(axis) => joined(&[x, y], axis),
        None => joined(&[super::ravel(&x), super::ravel(&y)], 0),
    }
}

/// As many copies of the error as results were asked for, so that they can be taken apart.
fn all_of(results: Vec<Tensor>, count: Option<usize>) -> Vec<Tensor> {
    match (&results[..], count) {
        ([only], Some(n)) if only.error().is_some() => vec![only.clone(); n.max(1)],
        _ => results,
    }
}

fn count(sections: &Sections) -> usize {
    match sections {
        Sections::Equal(n) => usize::try_from(*n).unwrap_or(1),
        Sections::At(indices) => indices.len() + 1,
    }
}

/// Parts of `x` along `axis` (Keras's default is 0): so many equal ones, or split before each of the given indices.
#[track_caller]
pub fn split(x: &Tensor, indices_or_sections: impl Into<Sections>, axis: i64) -> Vec<Tensor> {
    let sections = indices_or_sections.into();
    let count = count(&sections);
    all_of(apply_all(Split { indices_or_sections: sections, axis }, Args::new(x)), Some(count))
}

fn compute_split(op: &Split, x: Tensor) -> Result<Vec<Tensor>> {
    parts(&x, &op.indices_or_sections, op.axis)
}

fn parts(x: &Tensor, sections: &Sections, axis: i64) -> Result<Vec<Tensor>> {
    let axis = axis_of(axis, x.rank())?;
    let size = x.shape()[axis].clone();
    let wrong = |what: String, fix: &str| Error::shape("split", format!("axis {axis} of {}: {what}", x.ty()), fix);
    let bounds: Vec<Dim> = match sections {
        Sections::Equal(n) => {
            let n = usize::try_from(*n).ok().filter(|&n| n > 0);
            let n = n.ok_or_else(|| wrong(format!("{sections:?} parts"), "give at least one"))?;
            if n == 1 {
                return Ok(vec![x.clone()]);
            }
            let Some(size) = size.known() else {
                return Err(wrong("its size is not known".into(), "split it at indices"));
            };
            if size % n != 0 {
                return Err(wrong(format!("{n} equal parts of {size}"), "give a number that divides the size"));
            }
            (0..=n).map(|k| Dim::Known(k * (size / n))).collect()
        }
        Sections::At(indices) => {
            let mut bounds = vec![0usize];
            for &i in indices {
                let last = bounds.last().copied().unwrap_or(0);
                let i = usize::try_from(i).ok().filter(|&i| i >= last && size.known().is_none_or(|n| i <= n));
                bounds.push(i.ok_or_else(|| wrong(format!("indices {indices:?}"), "give ascending ones inside it"))?);
            }
            bounds.into_iter().map(Dim::Known).chain([size]).collect()
        }
    };
    let part = |w: &[Dim]| sliced(x, axis, w[0].known().unwrap_or(0), w[1].clone());
    Ok(bounds.windows(2).map(part).collect())
}

/// Parts of `x` along `axis` as equal as can be: the first ones are longer by 1 where the size does not divide.
#[track_caller]
pub fn array_split(x: &Tensor, indices_or_sections: i64, axis: i64) -> Vec<Tensor> {
    let count = usize::try_from(indices_or_sections).ok();
    all_of(apply_all(ArraySplit { indices_or_sections, axis }, Args::new(x)), count)
}

fn compute_array_split(op: &ArraySplit, x: Tensor) -> Result<Vec<Tensor>> {
    let axis = axis_of(op.axis, x.rank())?;
    let (Some(size), Ok(n @ 1..)) = (x.shape()[axis].known(), usize::try_from(op.indices_or_sections)) else {
        return Err(Error::argument(
            "array_split",
            format!("{} parts along axis {axis} of {}", op.indices_or_sections, x.ty()),
            "give at least one part, of an axis of known size",
        ));
    };
    let bounds = (1..n).map(|k| (k * (size / n) + k.min(size % n)) as i64).collect();
    parts(&x, &Sections::At(bounds), op.axis)
}

/// [`split`] along the second axis, or the first of a vector.
#[track_caller]
pub fn hsplit(x: &Tensor, indices_or_sections: impl Into<Sections>) -> Vec<Tensor> {
    let sections = indices_or_sections.into();
    let count = count(&sections);
    all_of(apply_all(Hsplit { indices_or_sections: sections }, Args::new(x)), Some(count))
}

fn compute_hsplit(op: &Hsplit, x: Tensor) -> Result<Vec<Tensor>> {
    parts(&x, &op.indices_or_sections, if x.rank() == 1 { 0 } else { 1 })
}

/// [`split`] along the first axis.
#[track_caller]
pub fn vsplit(x: &Tensor, indices_or_sections: impl Into<Sections>) -> Vec<Tensor> {
    let sections = indices_or_sections.into();
    let count = count(&sections);
    all_of(apply_all(Vsplit { indices_or_sections: sections }, Args::new(x)), Some(count))
}

fn compute_vsplit(op: &Vsplit, x: Tensor) -> Result<Vec<Tensor>> {
    parts(&x, &op.indices_or_sections, 0)
}

/// [`split`] along the third axis.
#[track_caller]
pub fn dsplit(x: &Tensor, indices_or_sections: impl Into<Sections>) -> Vec<Tensor> {
    let sections = indices_or_sections.into();
    let count = count(&sections);
    all_of(apply_all(Dsplit { indices_or_sections: sections }, Args::new(x)), Some(count))
}

fn compute_dsplit(op: &Dsplit, x: Tensor) -> Result<Vec<Tensor>> {
    parts(&x, &op.indices_or_sections, 2)
}
