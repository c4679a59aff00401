//! `softmax`, `log_softmax` and `sparsemax`.

use std::sync::Arc;

use rhyton_ir::op::{Composite, CompositeKind, Cumulative, ReduceKind, UnaryKind};
use rhyton_ir::{Builder, Dim, Graph, Shape, TensorType};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{float_of, operations};
use crate::ops::primitives::{iota, permute, reshaped};
use crate::ops::{self, Axes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Softmax { axis: Axes } (x) compute_softmax;
    LogSoftmax { axis: Axes } (x) compute_log_softmax;
    Sparsemax { axis: i64 } (x) compute_sparsemax;
}

/// `exp(x)/Σ exp(x)` over `axis` (Keras's default is −1), without overflow; over all axes if `None`.
#[track_caller]
pub fn softmax(x: &Tensor, axis: impl Into<Axes>) -> Tensor {
    apply(Softmax { axis: axis.into() }, Args::new(x))
}

/// `log(softmax(x))` over `axis` (Keras's default is −1), without overflow; over all axes if `None`.
#[track_caller]
pub fn log_softmax(x: &Tensor, axis: impl Into<Axes>) -> Tensor {
    apply(LogSoftmax { axis: axis.into() }, Args::new(x))
}

fn compute_softmax(op: &Softmax, x: Tensor) -> Result<Tensor> {
    over_axes(&CompositeKind::Softmax, &x, &op.axis)
}

fn compute_log_softmax(op: &LogSoftmax, x: Tensor) -> Result<Tensor> {
    over_axes(&CompositeKind::LogSoftmax, &x, &op.axis)
}

/// Moves `axes` to the end as one axis, and back.
fn over_axes(kind: &CompositeKind, x: &Tensor, axes: &Axes) -> Result<Tensor> {
    let x = x.cast(float_of(x.dtype()));
    let axes = axes.resolve(x.rank())?;
    if axes.is_empty() {
        return Err(Error::shape("softmax", format!("no axes of {}", x.ty()), "give a tensor with axes"));
    }
    if axes == [x.rank() - 1] {
        return Ok(Tensor::apply(over_last(kind, x.ty())?, &[&x]));
    }
    let order: Vec<usize> = (0..x.rank()).filter(|a| !axes.contains(a)).chain(axes.iter().copied()).collect();
    let moved = permute(&x, &order);
    let kept = x.rank() - axes.len();
    let together = moved.shape()[kept..].iter().fold(Dim::Known(1), |n, d| n * d.clone());
    let shape: Shape = moved.shape()[..kept].iter().cloned().chain([together]).collect();
    let together = reshaped(&moved, shape);
    let out = Tensor::apply(over_last(kind, together.check()?.ty())?, &[&together]);
    let out = reshaped(out.check()?, moved.shape().clone());
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &a)| back[a] = i);
    Ok(permute(&out, &back))
}

/// Softmax or log-softmax over the last axis of an operand of type `ty`.
pub(super) fn over_last(kind: &CompositeKind, ty: &TensorType) -> Result<Composite> {
    let mut graph = Graph::new();
    let value = graph.parameter(ty.clone());
    let mut b = Builder::new(&mut graph);
    let (shape, last) = (&ty.shape, [ty.rank() - 1]);
    let max = b.reduce(ReduceKind::Max, value, &last);
    let max = b.restore(max, shape, &last);
    let shifted = b.sub(value, max);
    let exp = b.unary(UnaryKind::Exp, shifted);
    let sum = b.sum(exp, &last);
    let out = if *kind == CompositeKind::LogSoftmax {
        let log = b.unary(UnaryKind::Log, sum);
        let log = b.restore(log, shape, &last);
        b.sub(shifted, log)
    } else {
        let sum = b.restore(sum, shape, &last);
        b.div(exp, sum)
    };
    b.finish()?;
    graph.set_outputs(vec![out]);
    Ok(Composite { kind: kind.clone(), decomposition: Arc::new(graph) })
}

/// Like softmax along `axis` (Keras's default is −1), but with zeros: near the projection of `x` onto the probability
/// simplex, and that projection where a single element stays.
///
/// # References
/// Martins and Astudillo, *From softmax to sparsemax*, 2016, <https://arxiv.org/abs/1602.02068>.
#[track_caller]
pub fn sparsemax(x: &Tensor, axis: i64) -> Tensor {
    apply(Sparsemax { axis }, Args::new(x))
}

fn compute_sparsemax(op: &Sparsemax, x: Tensor) -> Result<Tensor> {
    let axis = axis_of(op.axis, x.rank())?;
    let [sorted, _] = ops::sorted(&x, axis, true);
    let sums = Tensor::apply(Cumulative { kind: ReduceKind::Sum, axis, reverse: false }, &[&sorted]);
    let ranks = iota(x.dtype(), x.shape().clone(), axis) + 1.0;
    let support = ops::greater(&sorted - (&sums - 1.0) / ranks, 0.0);
    let over = Axes::One(axis as i64);
    let count = ops::sum(&support.cast(x.dtype()), over.clone(), true);
    // Keras sums the running sums of the support, where the paper has the last of them only: with a support of more than
    // one, the result does not sum to 1. Models trained with Keras depend on it.
    let inside = ops::sum(&ops::r#where(&support, &sums, 0.0), over, true);
    Ok(ops::maximum(&x - (inside - 1.0) / count, 0.0))
}
