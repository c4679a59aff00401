//! Elements at given places: `take`, `take_along_axis`, `diagonal`, `tril`, …

use rhyton_ir::op::Gather;
use rhyton_ir::{DType, Dim, Shape};

use super::MODULE;
use super::arithmetic::{broadcast, broadcast_shapes};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::operations;
use crate::ops::primitives::{filled, iota, permute, reshaped, select, size, with_size};
use crate::ops::{Operand, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Take { axis: Option<i64> } (x, indices) compute_take;
    TakeAlongAxis { axis: Option<i64> } (x, indices) compute_take_along_axis;
    Diag { k: i64 } (x) compute_diag;
    Diagflat { k: i64 } (x) compute_diagflat;
    Diagonal { offset: i64, axis1: i64, axis2: i64 } (x) compute_diagonal;
    Trace { offset: i64, axis1: i64, axis2: i64 } (x) compute_trace;
    Tril { k: i64 } (x) compute_tril;
    Triu { k: i64 } (x) compute_triu;
    UnravelIndex { shape: Vec<i64> } (indices) compute_unravel_index;
}

/// The elements at `indices` along `axis`, whose place the axes of `indices` take; of the flattened tensor if `axis` is
/// `None`. Negative indices count from the end; those outside give the nearest element.
#[track_caller]
pub fn take(x: &Tensor, indices: impl Into<Operand>, axis: Option<i64>) -> Tensor {
    apply(Take { axis }, Args::new(x).and(indices.into().to_nest()))
}

fn compute_take(op: &Take, x: Tensor, indices: Tensor) -> Result<Tensor> {
    let (x, axis) = match op.axis {
        Some(axis) => (x.clone(), axis_of(axis, x.rank())?),
        None => (super::ravel(&x), 0),
    };
    taken(&x, &indices, axis)
}

/// The elements of `x` at `indices` along `axis`.
pub(crate) fn taken(x: &Tensor, indices: &Tensor, axis: usize) -> Result<Tensor> {
    let indices = from_the_end(indices, &x.shape()[axis])?;
    let count = indices.rank();
    let gather = Gather {
        offset_axes: (0..axis).chain(axis + count..x.rank() - 1 + count).collect(),
        collapsed_slice_axes: vec![axis],
        operand_batching_axes: vec![],
        indices_batching_axes: vec![],
        start_index_map: vec![axis],
        index_vector_axis: count,
        slice_sizes: with_size(x.shape(), axis, 1),
    };
    Ok(Tensor::apply(gather, &[x, &indices]))
}

/// Indices with the size added to negative ones.
fn from_the_end(indices: &Tensor, of: &Dim) -> Result<Tensor> {
    let indices = match indices.dtype() {
        DType::Bool => indices.cast(DType::I32),
        // Too small for the size to be added.
        DType::I8 | DType::I16 => indices.cast(DType::I32),
        dtype if dtype.is_int() => indices.clone(),
        dtype => {
            return Err(Error::dtype("take", format!("the indices are {dtype}"), "cast them to int32"));
        }
    };
    if indices.dtype().is_unsigned_int() {
        return Ok(indices);
    }
    let shifted = &indices + size(of, indices.dtype());
    Ok(select(&super::less(&indices, 0), &shifted, &indices))
}

/// `out[…, i, …] = x[…, indices[…, i, …], …]` along `axis`; the other axes broadcast. Of the flattened tensor if `axis` is
/// `None`. Negative indices count from the end.
#[track_caller]
pub fn take_along_axis(x: &Tensor, indices: &Tensor, axis: Option<i64>) -> Tensor {
    apply(TakeAlongAxis { axis }, Args::new(x).and(indices))
}

fn compute_take_along_axis(op: &TakeAlongAxis, x: Tensor, indices: Tensor) -> Result<Tensor> {
    let (x, axis) = match op.axis {
        Some(axis) => (x.clone(), axis_of(axis, x.rank())?),
        None => (super::ravel(&x), 0),
    };
    if indices.rank() != x.rank() {
        return Err(Error::shape(
            "take_along_axis",
            format!("indices {} for {}", indices.ty(), x.ty()),
            "give both the same rank",
        ));
    }
    let others = broadcast_shapes(&[&with_size(x.shape(), axis, 1), &with_size(indices.shape(), axis, 1)])?;
    let indices = from_the_end(&indices, &x.shape()[axis])?;
    let indices = broadcast(&indices, &with_size(&others, axis, indices.shape()[axis].clone()));
    let x = broadcast(&x, &with_size(&others, axis, x.shape()[axis].clone()));
    Ok(Tensor::apply(Gather::along_axis(x.rank(), axis), &[&x, &indices]))
}

/// Of a vector the matrix with it as the `k`-th diagonal, of a matrix its `k`-th diagonal.
#[track_caller]
pub fn diag(x: &Tensor, k: i64) -> Tensor {
    apply(Diag { k }, Args::new(x))
}

fn compute_diag(op: &Diag, x: Tensor) -> Result<Tensor> {
    match x.rank() {
        1 => matrix_of(&x, op.k),
        2 => diagonal_of(&x, op.k, 0, 1),
        _ => Err(Error::shape("diag", format!("{} is no vector or matrix", x.ty()), "give one of these")),
    }
}

/// The matrix with the flattened `x` as its `k`-th diagonal.
#[track_caller]
pub fn diagflat(x: &Tensor, k: i64) -> Tensor {
    apply(Diagflat { k }, Args::new(x))
}

fn compute_diagflat(op: &Diagflat, x: Tensor) -> Result<Tensor> {
    matrix_of(&super::ravel(&x), op.k)
}

fn matrix_of(x: &Tensor, k: i64) -> Result<Tensor> {
    let n = x.dim(0) + Dim::Known(k.unsigned_abs() as usize);
    let shape = Shape::from(vec![n.clone(), n]);
    // Element (i, i + k) is x[i], or x[i + k] below the main diagonal.
    let padding = [(k.min(0).unsigned_abs() as i64, k.max(0))];
    let line = super::pad::padded(x, &padding, 0.0)?;
    let along_rows = Tensor::apply(rhyton_ir::op::BroadcastInDim { shape: shape.clone(), axes: vec![0] }, &[&line]);
    Ok(select(&on_diagonal(&shape, k), &along_rows, &filled(x.dtype(), &shape, 0.0)))
}

/// Where the column is the row plus `k`, for the last two axes of `shape`.
fn on_diagonal(shape: &Shape, k: i64) -> Tensor {
    let (row, column) = positions(shape);
    super::equal(row + k, column)
}

/// The row and the column of every element, by the last two axes.
fn positions(shape: &Shape) -> (Tensor, Tensor) {
    let rank = shape.rank();
    (iota(DType::I64, shape.clone(), rank - 2), iota(DType::I64, shape.clone(), rank - 1))
}

/// The elements whose index along `axis2` is that along `axis1` plus `offset` (Keras's defaults: 0, 0 and 1), as last axis.
#[track_caller]
pub fn diagonal(x: &Tensor, offset: i64, axis1: i64, axis2: i64) -> Tensor {
    apply(Diagonal { offset, axis1, axis2 }, Args::new(x))
}

fn compute_diagonal(op: &Diagonal, x: Tensor) -> Result<Tensor> {
    diagonal_of(&x, op.offset, op.axis1, op.axis2)
}

/// `axis1` and `axis2` as the last two.
fn with_last(x: &Tensor, axis1: i64, axis2: i64) -> Result<Tensor> {
    let (first, second) = (axis_of(axis1, x.rank())?, axis_of(axis2, x.rank())?);
    if first == second {
        return Err(Error::argument("diagonal", format!("axis {first} twice"), "name two axes"));
    }
    let others = (0..x.rank()).filter(|&a| a != first && a != second);
    Ok(permute(x, &others.chain([first, second]).collect::<Vec<_>>()))
}

fn diagonal_of(x: &Tensor, offset: i64, axis1: i64, axis2: i64) -> Result<Tensor> {
    let x = with_last(x, axis1, axis2)?;
    let rank = x.rank();
    let (Some(rows), Some(columns)) = (x.shape()[rank - 2].known(), x.shape()[rank - 1].known()) else {
        return Err(Error::shape("diagonal", format!("{} has unknown sizes", x.ty()), "give known ones"));
    };
    // In the flattened matrix, the elements of a diagonal are columns + 1 apart.
    let start = if offset >= 0 { offset as usize } else { offset.unsigned_abs() as usize * columns };
    let length = match offset {
        0.. => rows.min(columns.saturating_sub(offset as usize)),
        _ => columns.min(rows.saturating_sub(offset.unsigned_abs() as usize)),
    };
    let mut shape: Vec<Dim> = x.shape()[..rank - 2].to_vec();
    shape.push(Dim::Known(rows * columns));
    let flat = reshaped(&x, shape);
    if length == 0 {
        return Ok(crate::ops::primitives::sliced(&flat, rank - 2, 0, 0));
    }
    let mut limit: Vec<Dim> = flat.shape().to_vec();
    limit[rank - 2] = Dim::Known(start + (length - 1) * (columns + 1) + 1);
    let (mut starts, mut stride) = (vec![0; rank - 1], vec![1; rank - 1]);
    (starts[rank - 2], stride[rank - 2]) = (start, columns + 1);
    Ok(Tensor::apply(rhyton_ir::op::Slice { start: starts, limit, stride }, &[&flat]))
}

/// The sum of [`diagonal`]; `bool` and small integers are summed as `int32` or `uint32`.
#[track_caller]
pub fn trace(x: &Tensor, offset: i64, axis1: i64, axis2: i64) -> Tensor {
    apply(Trace { offset, axis1, axis2 }, Args::new(x))
}

fn compute_trace(op: &Trace, x: Tensor) -> Result<Tensor> {
    let x = with_last(&x.cast(super::reduction::accumulator(x.dtype())), op.axis1, op.axis2)?;
    let zeros = filled(x.dtype(), x.shape(), 0.0);
    let diagonal = select(&on_diagonal(x.shape(), op.offset), &x, &zeros);
    let last = x.rank() - 2..x.rank();
    Ok(crate::ops::primitives::reduced(rhyton_ir::op::ReduceKind::Sum, &diagonal, &last.collect::<Vec<_>>()))
}

/// The matrices with 0 above the `k`-th diagonal (Keras's default is 0).
#[track_caller]
pub fn tril(x: &Tensor, k: i64) -> Tensor {
    apply(Tril { k }, Args::new(x))
}

fn compute_tril(op: &Tril, x: Tensor) -> Result<Tensor> {
    triangle(&x, |row, column| super::less_equal(column, row + op.k))
}

/// The matrices with 0 below the `k`-th diagonal (Keras's default is 0).
#[track_caller]
pub fn triu(x: &Tensor, k: i64) -> Tensor {
    apply(Triu { k }, Args::new(x))
}

fn compute_triu(op: &Triu, x: Tensor) -> Result<Tensor> {
    triangle(&x, |row, column| super::greater_equal(column, row + op.k))
}

fn triangle(x: &Tensor, stays: impl Fn(Tensor, Tensor) -> Tensor) -> Result<Tensor> {
    if x.rank() < 2 {
        return Err(Error::shape("tril, triu", format!("{} is no matrix", x.ty()), "give at least two axes"));
    }
    let (row, column) = positions(x.shape());
    Ok(select(&stays(row, column), x, &filled(x.dtype(), x.shape(), 0.0)))
}

/// The index along each axis of `shape` of the elements with these indices in row-major order.
#[track_caller]
pub fn unravel_index(indices: &Tensor, shape: &[i64]) -> Vec<Tensor> {
    let results = crate::ops::apply_all(UnravelIndex { shape: shape.to_vec() }, Args::new(indices));
    match &results[..] {
        [only] if only.error().is_some() => vec![only.clone(); shape.len().max(1)],
        _ => results,
    }
}

fn compute_unravel_index(op: &UnravelIndex, indices: Tensor) -> Vec<Tensor> {
    let mut rest = indices;
    let mut places: Vec<Tensor> = Vec::new();
    for &size in op.shape.iter().rev() {
        places.push(super::r#mod(&rest, size).cast(rest.dtype()));
        rest = super::floor_divide(&rest, size);
    }
    places.reverse();
    places
}
