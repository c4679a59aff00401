//! Connectionist temporal classification: `ctc_loss` and `ctc_decode`.
//!
//! # References
//! Graves et al., *Connectionist temporal classification*, 2006, <https://doi.org/10.1145/1143844.1143891>.

use rhyton_ir::op::Gather;
use rhyton_ir::{DType, Dim, Shape};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{exactly, operations};
use crate::ops::primitives::{filled, iota, reshaped, with_size};
use crate::ops::{self, apply, apply_all};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    CTCLoss { mask_index: i64 } (target, output, target_length, output_length) compute_loss;
    CTCDecode {
        strategy: String,
        beam_width: usize,
        top_paths: usize,
        merge_repeated: bool,
        mask_index: Option<i64>
    } (inputs, sequence_lengths) compute_decode;
}

/// The logarithm of nothing; finite, so that differences of such are numbers.
const NEVER: f64 = -1e30;

/// `−log` of the probability that the logits give `target`, summed over all ways of writing it with blanks (`mask_index`,
/// Keras's default is 0) and repetitions.
///
/// # Shapes
/// Target `(batch, labels)`, output `(batch, steps, classes)`, both lengths `(batch)`; the result is `(batch)`.
#[track_caller]
pub fn ctc_loss(
    target: &Tensor,
    output: &Tensor,
    target_length: &Tensor,
    output_length: &Tensor,
    mask_index: i64,
) -> Tensor {
    apply(CTCLoss { mask_index }, Args::new(target).and(output).and(target_length).and(output_length))
}

fn log_add(a: &Tensor, b: &Tensor) -> Tensor {
    let larger = ops::stop_gradient(&ops::maximum(a, b));
    ops::log(&(ops::exp(&(a - &larger)) + ops::exp(&(b - &larger)))) + larger
}

fn compute_loss(op: &CTCLoss, target: Tensor, output: Tensor, labels: Tensor, steps: Tensor) -> Result<Tensor> {
    if target.rank() != 2 || output.rank() != 3 || labels.rank() != 1 || steps.rank() != 1 {
        let what = format!("{}, {}, {}, {}", target.ty(), output.ty(), labels.ty(), steps.ty());
        let fix = "give target (batch, labels), output (batch, steps, classes) and two vectors of lengths";
        return Err(Error::shape("ctc_loss", what, fix));
    }
    let (Some(count), Some(classes)) = (target.dim(1).known(), output.dim(2).known()) else {
        let what = format!("target {} and output {}", target.ty(), output.ty());
        return Err(Error::shape("ctc_loss", what, "give known numbers of labels and classes"));
    };
    let blank = if op.mask_index < 0 { op.mask_index + classes as i64 } else { op.mask_index };
    let result = promote(output.dtype(), DType::F32);
    let log_p = ops::log_softmax(&output.cast(result), -1);
    let target = target.cast(DType::I32);
    // Blank, label, blank, …, label, blank.
    let batch = output.dim(0);
    let width = 2 * count + 1;
    let pairs = ops::stack(&[filled(DType::I32, target.shape(), blank as f64), target], 2);
    let pairs = reshaped(pairs.check()?, vec![batch.clone(), (2 * count).into()]);
    let end = filled(DType::I32, &vec![batch.clone(), Dim::Known(1)].into(), blank as f64);
    let path = ops::concatenate(&[pairs, end], 1);
    // A label may follow the one before it without a blank between them if they differ.
    let place = iota(DType::I32, vec![batch, width.into()], 1);
    let before = shifted(&path, 2, -1.0)?;
    let skips = ops::logical_and(ops::not_equal(&path, blank), ops::not_equal(&path, before));
    let skips = ops::logical_and(skips, ops::greater_equal(&place, 2));
    let at_path = |p: &Tensor| Tensor::apply(Gather::along_axis(2, 1), &[p, &path]);
    let start = ops::r#where(ops::less(&place, 2), 0.0, NEVER).cast(result);
    // The first step adds its probabilities to where a path may begin.
    let numbers = iota(DType::I32, vec![log_p.check()?.dim(1)], 0);
    let by_step = ops::moveaxis(&log_p, 1, 0);
    let lengths = ops::expand_dims(&steps.cast(DType::I32), 1);
    let step = |carry: &[Tensor], x: &[Tensor]| -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let alpha = &carry[0];
        let arrived = log_add(alpha, &shifted(alpha, 1, NEVER)?);
        let skipped = ops::r#where(&skips, shifted(alpha, 2, NEVER)?, NEVER).cast(alpha.dtype());
        let moved = log_add(&arrived, &skipped);
        let next = ops::r#where(ops::equal(&x[1], 0), alpha, &moved) + at_path(&x[0]);
        // After its end, a sequence stays as it is.
        Ok((vec![ops::r#where(ops::less(&x[1], &lengths), next, alpha)], vec![]))
    };
    let (last, _) = ops::scan(step, &[start], &[by_step.check()?.clone(), numbers], None, false)?;
    // The path ends in the last label or the blank after it.
    let end = ops::expand_dims(&(labels.cast(DType::I32) * 2), 1);
    let at = |place: Tensor| Tensor::apply(Gather::along_axis(2, 1), &[&last[0], &place]);
    let in_label = ops::r#where(ops::greater(&end, 0), at(ops::maximum(&end - 1, 0)), NEVER).cast(result);
    Ok(ops::negative(&ops::squeeze(&log_add(&at(end), &in_label), 1)))
}

/// The elements of the second axis moved on by `by` places, `value` in those that are free.
fn shifted(x: &Tensor, by: usize, value: f64) -> Result<Tensor> {
    let size = x.check()?.dim(1).known().unwrap_or(0);
    if size <= by {
        return Ok(filled(x.dtype(), x.shape(), value));
    }
    let kept = crate::ops::primitives::sliced(x, 1, 0, size - by);
    crate::ops::numpy::padded(&kept, &[(0, 0), (by as i64, 0)], value)
}

/// The likeliest labels by the strategy `"greedy"`: the best class of each step, repetitions merged if `merge_repeated`, and
/// blanks (`mask_index`) left out; −1 after the end. And the negated sums of the scores of these classes.
///
/// # Shapes
/// Inputs `(batch, steps, classes)`, lengths `(batch)`; gives `(1, batch, steps)` and `(batch, 1)`.
#[track_caller]
pub fn ctc_decode(
    inputs: &Tensor,
    sequence_lengths: &Tensor,
    strategy: &str,
    merge_repeated: bool,
    mask_index: i64,
) -> (Tensor, Tensor) {
    let op = CTCDecode {
        strategy: strategy.to_owned(),
        beam_width: 100,
        top_paths: 1,
        merge_repeated,
        mask_index: Some(mask_index),
    };
    let [decoded, scores] = exactly(apply_all(op, Args::new(inputs).and(sequence_lengths)));
    (decoded, scores)
}

fn compute_decode(op: &CTCDecode, x: Tensor, lengths: Tensor) -> Result<[Tensor; 2]> {
    if op.strategy != "greedy" {
        let what = format!("the strategy {:?}", op.strategy);
        return Err(Error::unsupported("ctc_decode", what, "use greedy"));
    }
    let Some(classes) = x.dim(2).known().filter(|_| x.rank() == 3 && lengths.rank() == 1) else {
        let what = format!("inputs {} with lengths {}", x.ty(), lengths.ty());
        return Err(Error::shape("ctc_decode", what, "give (batch, steps, classes) and a vector"));
    };
    let mask = op.mask_index.unwrap_or(-1);
    let blank = if mask < 0 { mask + classes as i64 } else { mask };
    let x = x.cast(promote(x.dtype(), DType::F32));
    let best = ops::argmax(&x, Some(-1), false);
    let shape: Shape = best.check()?.shape().clone();
    let place = iota(DType::I32, shape.clone(), 1);
    let inside = ops::less(&place, ops::expand_dims(&lengths.cast(DType::I32), 1));
    let mut kept = ops::logical_and(&inside, ops::not_equal(&best, blank));
    if op.merge_repeated {
        let start = filled(DType::I32, &with_size(&shape, 1, 1), -1.0);
        let before = ops::concatenate(&[start, ops::get_item(&best, (.., ops::Index::range(None, Some(-1))))], 1);
        kept = ops::logical_and(&kept, ops::not_equal(&best, before));
    }
    // What is kept comes first, in order.
    let order = ops::argsort(&ops::logical_not(&kept).cast(DType::I32), Some(1));
    let decoded = ops::take_along_axis(&ops::r#where(&kept, &best, -1), &order, Some(1));
    let scores = ops::r#where(&inside, ops::max(&x, -1, false), 0.0);
    Ok([ops::expand_dims(&decoded, 0), ops::negative(&ops::sum(&scores, 1, true))])
}
