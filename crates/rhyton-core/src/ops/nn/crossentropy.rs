//! Cross-entropies of targets with probabilities or logits.
//!
//! As in Keras, probabilities that a softmax or sigmoid has just computed are traced back to the logits it was given: the
//! same value, without the loss of digits.

use rhyton_ir::op::{CompositeKind, Direction, Gather, UnaryKind};
use rhyton_ir::{Dim, Op};

use super::MODULE;
use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{float_of, operations};
use crate::ops::primitives::{compare, filled, reshaped, select, unary, without_axes};
use crate::ops::{self, Axes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    BinaryCrossentropy { from_logits: bool } (target, output) compute_binary;
    CategoricalCrossentropy { from_logits: bool, axis: i64 } (target, output) compute_categorical;
    SparseCategoricalCrossentropy { from_logits: bool, axis: i64 } (target, output) compute_sparse;
}

/// `−t·log(p) − (1 − t)·log(1 − p)`, elementwise, with `p` the output, or its sigmoid if `from_logits`. Probabilities are
/// clipped to `[1e-7, 1 − 1e-7]`.
#[track_caller]
pub fn binary_crossentropy(target: &Tensor, output: &Tensor, from_logits: bool) -> Tensor {
    apply(BinaryCrossentropy { from_logits }, Args::new(target).and(output))
}

/// `−Σ t·log(p)` over `axis` (Keras's default is −1), with `p` the output divided by its sum over the axis, or its softmax
/// if `from_logits`. Probabilities are clipped to `[1e-7, 1 − 1e-7]`.
#[track_caller]
pub fn categorical_crossentropy(target: &Tensor, output: &Tensor, from_logits: bool, axis: i64) -> Tensor {
    apply(CategoricalCrossentropy { from_logits, axis }, Args::new(target).and(output))
}

/// `−log(p[t])` with integer classes `t` along the last axis, with `p` the output divided by its sum, or its softmax if
/// `from_logits`. Probabilities are clipped to `[1e-7, 1 − 1e-7]`.
///
/// # Shapes
/// Output `(…, classes)`, target `(…)` or `(…, 1)`; the result is `(…)`.
#[track_caller]
pub fn sparse_categorical_crossentropy(target: &Tensor, output: &Tensor, from_logits: bool, axis: i64) -> Tensor {
    apply(SparseCategoricalCrossentropy { from_logits, axis }, Args::new(target).and(output))
}

fn mismatch(op: &str, target: &Tensor, output: &Tensor) -> Error {
    Error::shape(
        op,
        format!("the target is {} and the output {}", target.shape(), output.shape()),
        "give both the same shape (sparse targets without the axis of classes)",
    )
}

/// What `is_it` says of the operation that computed `output`: its operand, the logits.
fn logits_of(output: &Tensor, is_it: impl Fn(&Op) -> bool) -> Option<Tensor> {
    output.producer(is_it)?.into_iter().next()
}

fn is_softmax(op: &Op) -> bool {
    matches!(op, Op::Composite(c) if c.kind == CompositeKind::Softmax)
}

fn is_sigmoid(op: &Op) -> bool {
    matches!(op, Op::Unary(u) if u.kind == UnaryKind::Logistic)
}

fn compute_binary(op: &BinaryCrossentropy, target: Tensor, output: Tensor) -> Result<Tensor> {
    if !target.shape().compatible(output.shape()) {
        return Err(mismatch("binary_crossentropy", &target, &output));
    }
    let output = output.cast(float_of(output.dtype()));
    let target = target.cast(output.dtype());
    let logits = if op.from_logits { Some(output.clone()) } else { logits_of(&output, is_sigmoid) };
    if let Some(x) = logits {
        let zeros = filled(x.dtype(), x.shape(), 0.0);
        let positive = compare(Direction::Ge, &x, &zeros);
        let negative_magnitude = select(&positive, &unary(UnaryKind::Neg, &x), &x);
        let tail = unary(UnaryKind::Log1p, &unary(UnaryKind::Exp, &negative_magnitude));
        return Ok(select(&positive, &x, &zeros) - &x * target + tail);
    }
    let p = ops::clip(&output, epsilon(), 1.0 - epsilon());
    let of_ones = &target * ops::log(&p);
    Ok(ops::negative(&(of_ones + (1.0 - &target) * ops::log(&(1.0 - &p)))))
}

fn compute_categorical(op: &CategoricalCrossentropy, target: Tensor, output: Tensor) -> Result<Tensor> {
    if output.rank() == 0 || !target.shape().compatible(output.shape()) {
        return Err(mismatch("categorical_crossentropy", &target, &output));
    }
    let axis = axis_of(op.axis, output.rank())?;
    let output = output.cast(float_of(output.dtype()));
    let target = target.cast(output.dtype());
    let last = axis == output.rank() - 1;
    let logits = match op.from_logits {
        true => Some(output.clone()),
        // The softmax that can be traced is that of the last axis.
        false => logits_of(&output, is_softmax).filter(|_| last),
    };
    let over = Axes::One(axis as i64);
    if let Some(x) = logits {
        return Ok(ops::negative(&ops::sum(&(target * ops::log_softmax(&x, over.clone())), over, false)));
    }
    let p = &output / ops::sum(&output, over.clone(), true);
    let p = ops::clip(&p, epsilon(), 1.0 - epsilon());
    Ok(ops::negative(&ops::sum(&(target * ops::log(&p)), over, false)))
}

fn compute_sparse(op: &SparseCategoricalCrossentropy, target: Tensor, output: Tensor) -> Result<Tensor> {
    let name = "sparse_categorical_crossentropy";
    if output.rank() == 0 || axis_of(op.axis, output.rank())? != output.rank() - 1 {
        return Err(Error::argument(name, format!("axis {} of {}", op.axis, output.ty()), "use the last axis"));
    }
    let last = output.rank() - 1;
    let rows = without_axes(output.shape(), &[last]);
    let extra = target.rank() == output.rank() && target.dim(-1).is(1);
    let target = if extra { reshaped(&target, without_axes(target.shape(), &[last])) } else { target };
    if !target.shape().compatible(&rows) {
        return Err(mismatch(name, &target, &output));
    }
    let output = output.cast(float_of(output.dtype()));
    let logits = match op.from_logits {
        true => Some(output.clone()),
        false => logits_of(&output, is_softmax),
    };
    let x = logits.unwrap_or_else(|| ops::log(&ops::clip(&output, epsilon(), 1.0 - epsilon())));
    let target = target.cast(if target.dtype().is_int() { target.dtype() } else { rhyton_ir::DType::I64 });
    let mut shape = target.shape().clone().into_vec();
    shape.push(Dim::Known(1));
    let gather = Gather::along_axis(output.rank(), last);
    let chosen = Tensor::apply(gather, &[&ops::log_softmax(&x, -1), &reshaped(&target, shape)]);
    let chosen = chosen.check()?;
    Ok(unary(UnaryKind::Neg, &reshaped(chosen, without_axes(chosen.shape(), &[last]))))
}
