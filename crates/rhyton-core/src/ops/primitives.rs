//! Short forms of applying primitives to tensors whose types fit already.

use rhyton_ir::op::{self, BinaryKind, Direction, ReduceKind, UnaryKind};
use rhyton_ir::{Array, DType, Dim, Shape, TensorType};

use crate::tensor::Tensor;

/// An elementwise function of one tensor.
#[track_caller]
pub(crate) fn unary(kind: UnaryKind, x: &Tensor) -> Tensor {
    Tensor::apply(op::Unary { kind }, &[x])
}

/// An elementwise function of two tensors of one type.
#[track_caller]
pub(crate) fn binary(kind: BinaryKind, x: &Tensor, y: &Tensor) -> Tensor {
    Tensor::apply(op::Binary { kind }, &[x, y])
}

/// A comparison of two tensors of one type.
#[track_caller]
pub(crate) fn compare(direction: Direction, x: &Tensor, y: &Tensor) -> Tensor {
    Tensor::apply(op::Compare { direction }, &[x, y])
}

/// `predicate ? x : y`, all of one shape.
#[track_caller]
pub(crate) fn select(predicate: &Tensor, x: &Tensor, y: &Tensor) -> Tensor {
    Tensor::apply(op::Select, &[predicate, x, y])
}

/// Permuted axes; `x` itself if nothing changes.
#[track_caller]
pub(crate) fn permute(x: &Tensor, permutation: &[usize]) -> Tensor {
    if permutation.iter().enumerate().all(|(i, &p)| i == p) {
        return x.without_mask();
    }
    Tensor::apply(op::Transpose { permutation: permutation.to_vec() }, &[x])
}

/// Another shape for the same elements; `x` itself if nothing changes.
#[track_caller]
pub(crate) fn reshaped(x: &Tensor, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    if *x.shape() == shape {
        return x.without_mask();
    }
    Tensor::apply(op::Reshape { shape }, &[x])
}

/// A reduction over ascending `axes`, which the result lacks; `x` itself over no axes.
#[track_caller]
pub(crate) fn reduced(kind: ReduceKind, x: &Tensor, axes: &[usize]) -> Tensor {
    if axes.is_empty() {
        return x.without_mask();
    }
    Tensor::apply(op::Reduce { kind, axes: axes.to_vec() }, &[x])
}

/// The inverse of a reduction's loss of axes: `x` repeated along `axes` of `shape`.
#[track_caller]
pub(crate) fn restored(x: &Tensor, shape: &Shape, axes: &[usize]) -> Tensor {
    let kept = (0..shape.rank()).filter(|a| !axes.contains(a)).collect();
    Tensor::apply(op::BroadcastInDim { shape: shape.clone(), axes: kept }, &[x])
}

/// Elements `start..limit` of `axis`.
#[track_caller]
pub(crate) fn sliced(x: &Tensor, axis: usize, start: usize, limit: impl Into<Dim>) -> Tensor {
    let mut limits: Vec<Dim> = x.shape().to_vec();
    let mut starts = vec![0; limits.len()];
    (starts[axis], limits[axis]) = (start, limit.into());
    let stride = vec![1; limits.len()];
    Tensor::apply(op::Slice { start: starts, limit: limits, stride }, &[x])
}

/// Counts along `axis` of `shape`.
#[track_caller]
pub(crate) fn iota(dtype: DType, shape: impl Into<Shape>, axis: usize) -> Tensor {
    Tensor::apply(op::Iota { ty: TensorType::new(dtype, shape), axis }, &[])
}

/// A scalar of `dtype`.
pub(crate) fn scalar(dtype: DType, value: f64) -> Tensor {
    Tensor::from(Array::scalar_of(dtype, value))
}

/// `value` in every element of `shape`.
#[track_caller]
pub(crate) fn filled(dtype: DType, shape: &Shape, value: f64) -> Tensor {
    Tensor::apply(op::BroadcastInDim { shape: shape.clone(), axes: vec![] }, &[&scalar(dtype, value)])
}

/// A size as a scalar of `dtype`: a constant, or counted when it is a symbol.
#[track_caller]
pub(crate) fn size(dim: &Dim, dtype: DType) -> Tensor {
    match dim.known() {
        Some(n) => scalar(dtype, n as f64),
        None => {
            let ones = filled(DType::I64, &Shape::from(vec![dim.clone()]), 1.0);
            reduced(ReduceKind::Sum, &ones, &[0]).cast(dtype)
        }
    }
}

/// `shape` with `size` for the size of `axis`.
pub(crate) fn with_size(shape: &Shape, axis: usize, size: impl Into<Dim>) -> Shape {
    let mut shape = shape.clone();
    shape[axis] = size.into();
    shape
}

/// `shape` without `axes`.
pub(crate) fn without_axes(shape: &Shape, axes: &[usize]) -> Shape {
    shape.iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, d)| d.clone()).collect()
}
