//! Order: `sort`, `argsort`, `searchsorted`, …

use rhyton_ir::op::Sort as Primitive;
use rhyton_ir::{Array, DType};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::apply;
use crate::ops::axis as axis_of;
use crate::ops::class::operations;
use crate::ops::primitives::iota;
use crate::tensor::Tensor;

operations! { MODULE;
    Sort { axis: Option<i64> } (x) compute_sort;
    Argsort { axis: Option<i64> } (x) compute_argsort;
    Argpartition { kth: i64, axis: Option<i64> } (x) compute_argpartition;
    SearchSorted { side: String } (sorted_sequence, values) compute_searchsorted;
    Digitize {} (x, bins) compute_digitize;
    IsIn { assume_unique: bool, invert: bool } (x1, x2) compute_isin;
}

/// `x` in ascending order along `axis` (Keras's default is −1), NaN last; flattened if `None`.
#[track_caller]
pub fn sort(x: &Tensor, axis: Option<i64>) -> Tensor {
    apply(Sort { axis }, Args::new(x))
}

/// Where each element of the ascending order is, as `int32`, along `axis` (Keras's default is −1); of the flattened tensor
/// if `None`. Equal elements keep their order.
#[track_caller]
pub fn argsort(x: &Tensor, axis: Option<i64>) -> Tensor {
    apply(Argsort { axis }, Args::new(x))
}

fn line(x: &Tensor, axis: Option<i64>) -> Result<(Tensor, usize)> {
    match axis {
        Some(axis) => Ok((x.clone(), axis_of(axis, x.rank())?)),
        None => Ok((super::ravel(x), 0)),
    }
}

fn compute_sort(op: &Sort, x: Tensor) -> Result<Tensor> {
    let (x, axis) = line(&x, op.axis)?;
    Ok(Tensor::apply(Primitive { axis, keys: 1, descending: false }, &[&x]))
}

/// `x` in order along `axis`, and where each element was, as `int32`.
pub(crate) fn sorted(x: &Tensor, axis: usize, descending: bool) -> [Tensor; 2] {
    let places = iota(DType::I32, x.shape().clone(), axis);
    crate::ops::class::exactly(Tensor::apply_all(Primitive { axis, keys: 1, descending }, &[x, &places]))
}

fn compute_argsort(op: &Argsort, x: Tensor) -> Result<Tensor> {
    if x.rank() == 0 {
        return Ok(Tensor::from(Array::new([1], vec![0i32])));
    }
    let (x, axis) = line(&x, op.axis)?;
    let [_, places] = sorted(&x, axis, false);
    Ok(places)
}

/// Places along `axis` such that the element at place `kth` is where it would be in ascending order, smaller ones before
/// and larger ones after it. (All of it is in order.)
#[track_caller]
pub fn argpartition(x: &Tensor, kth: i64, axis: Option<i64>) -> Tensor {
    apply(Argpartition { kth, axis }, Args::new(x))
}

fn compute_argpartition(op: &Argpartition, x: Tensor) -> Result<Tensor> {
    let (x, axis) = line(&x, op.axis)?;
    let size = x.shape()[axis].known();
    if size.is_some_and(|n| op.kth >= n as i64 || op.kth < -(n as i64)) {
        return Err(Error::argument(
            "argpartition",
            format!("kth {} of axis {axis} of {}", op.kth, x.ty()),
            "give a place inside",
        ));
    }
    let [_, places] = sorted(&x, axis, false);
    Ok(places)
}

/// Where in the ascending vector `sorted_sequence` each of `values` would be inserted, as `int32`: before equal elements
/// for the side `"left"` (Keras's default), after them for `"right"`.
#[track_caller]
pub fn searchsorted(sorted_sequence: &Tensor, values: &Tensor, side: &str) -> Tensor {
    apply(SearchSorted { side: side.to_owned() }, Args::new(sorted_sequence).and(values))
}

fn compute_searchsorted(op: &SearchSorted, sequence: Tensor, values: Tensor) -> Result<Tensor> {
    if sequence.rank() != 1 {
        return Err(Error::shape("searchsorted", format!("the sequence is {}", sequence.ty()), "give a vector"));
    }
    match op.side.as_str() {
        "left" => Ok(places(&sequence, &values, false)),
        "right" => Ok(places(&sequence, &values, true)),
        side => Err(Error::argument("searchsorted", format!("the side {side:?}"), "use left or right")),
    }
}

/// How many elements of `sequence` are less than (or, if `inclusive`, at most) each of `values`.
fn places(sequence: &Tensor, values: &Tensor, inclusive: bool) -> Tensor {
    let values = super::expand_dims(values, -1);
    let before = if inclusive { super::less_equal(sequence, values) } else { super::less(sequence, values) };
    super::sum(&before.cast(DType::I32), -1, false)
}

/// In which of the intervals between the ascending `bins` each element lies, as `int32`: `i` with
/// `bins[i − 1] ≤ x < bins[i]`.
#[track_caller]
pub fn digitize(x: &Tensor, bins: &Tensor) -> Tensor {
    apply(Digitize {}, Args::new(x).and(bins))
}

fn compute_digitize(_: &Digitize, x: Tensor, bins: Tensor) -> Tensor {
    places(&bins, &x, true)
}

/// Whether each element of `x1` is one of `x2`; whether it is none if `invert`. `assume_unique` is a promise that does not
/// change the result.
#[track_caller]
pub fn isin(x1: &Tensor, x2: &Tensor, assume_unique: bool, invert: bool) -> Tensor {
    apply(IsIn { assume_unique, invert }, Args::new(x1).and(x2))
}

fn compute_isin(op: &IsIn, x: Tensor, y: Tensor) -> Tensor {
    let equal = super::equal(super::expand_dims(&x, -1), super::ravel(&y));
    let found = super::any(&equal, -1, false);
    if op.invert { super::logical_not(&found) } else { found }
}
