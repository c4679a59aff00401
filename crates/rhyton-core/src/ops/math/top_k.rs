//! The largest elements: `top_k` and `in_top_k`.

use rhyton_ir::DType;
use rhyton_ir::op::{Direction, Gather, TopK as Primitive};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{exactly, operations};
use crate::ops::{self, apply, apply_all};
use crate::tensor::Tensor;

operations! { MODULE;
    TopK { k: usize, sorted: bool } (x) compute_top_k;
    InTopK { k: usize } (targets, predictions) compute_in_top_k;
}

/// The `k` largest elements of the last axis in descending order (also if not `sorted`, which leaves the order open), equal
/// ones by ascending index, and their indices as `int32`.
#[track_caller]
pub fn top_k(x: &Tensor, k: usize, sorted: bool) -> (Tensor, Tensor) {
    let [values, indices] = exactly(apply_all(TopK { k, sorted }, Args::new(x)));
    (values, indices)
}

fn compute_top_k(op: &TopK, x: Tensor) -> Vec<Tensor> {
    Tensor::apply_all(Primitive { k: op.k }, &[&x])
}

/// Whether the prediction for each target class is among the `k` largest of its row: fewer than `k` are larger. False for
/// classes outside, and if the prediction is not finite.
///
/// # Shapes
/// Targets `(n)`, predictions `(n, classes)`; the result is `bool (n)`.
#[track_caller]
pub fn in_top_k(targets: &Tensor, predictions: &Tensor, k: usize) -> Tensor {
    apply(InTopK { k }, Args::new(targets).and(predictions))
}

fn compute_in_top_k(op: &InTopK, targets: Tensor, predictions: Tensor) -> Result<Tensor> {
    if targets.rank() != 1 || predictions.rank() != 2 || !targets.dtype().is_int() {
        return Err(Error::shape(
            "in_top_k",
            format!("targets {} for predictions {}", targets.ty(), predictions.ty()),
            "give a vector of classes and a matrix",
        ));
    }
    let classes = crate::ops::primitives::size(&predictions.dim(1), targets.dtype());
    let known = ops::logical_and(ops::greater_equal(&targets, 0), ops::less(&targets, &classes));
    let at = ops::expand_dims(&targets, 1);
    let own = Tensor::apply(Gather::along_axis(2, 1), &[&predictions, at.check()?]);
    let (own_everywhere, _) = ops::common(&own, &predictions)?;
    let larger = crate::ops::primitives::compare(Direction::Gt, &predictions, &own_everywhere);
    let count = ops::sum(&larger.cast(DType::I32), 1, false);
    let inside = ops::logical_and(ops::less(&count, op.k as i64), ops::isfinite(&ops::squeeze(&own, 1)));
    Ok(ops::logical_and(&inside, &known))
}
