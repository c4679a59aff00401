//! From the values of samples to a loss: weights, masks and reductions.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Result;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

/// How the values of samples become a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The sum over the number of values.
    #[default]
    SumOverBatchSize,
    /// The sum.
    Sum,
    /// The same as [`Reduction::SumOverBatchSize`].
    Mean,
    /// The sum over the sum of the sample weights.
    MeanWithSampleWeight,
    /// The values as they are.
    None,
}

/// A reduction, of which Keras writes `null` for none, too.
pub(crate) fn reduction_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reduction, D::Error> {
    Ok(Option::<Reduction>::deserialize(deserializer)?.unwrap_or(Reduction::None))
}

/// Both tensors with one rank, if they differ by a last axis of size 1: it is taken away, or added to a vector where
/// `expand` allows it.
pub(crate) fn same_rank(x: &Tensor, y: &Tensor, expand: bool) -> (Tensor, Tensor) {
    let shorten = |long: &Tensor, short: &Tensor| {
        if !long.dim(-1).is(1) {
            (long.clone(), short.clone())
        } else if short.rank() == 1 && expand {
            (long.clone(), ops::expand_dims(short, -1))
        } else {
            (ops::squeeze(long, -1), short.clone())
        }
    };
    if x.rank() == y.rank() + 1 {
        shorten(x, y)
    } else if y.rank() == x.rank() + 1 {
        let (y, x) = shorten(y, x);
        (x, y)
    } else {
        (x.clone(), y.clone())
    }
}

/// How many elements `x` has, as a scalar of `dtype`; counted when it is computed if sizes are not known before.
pub(crate) fn count(x: &Tensor, dtype: DType) -> Tensor {
    match x.shape().elements().known() {
        Some(n) => Tensor::from(Array::scalar_of(dtype, n as f64)),
        None => ops::sum(&ops::ones_like(&x.cast(dtype)), Axes::All, false),
    }
}

/// The weights with those of masked steps set to 0. For means, the others grow so that their mean is that of the steps
/// that count.
pub(crate) fn apply_mask(
    sample_weight: Option<&Tensor>,
    mask: Option<&Tensor>,
    dtype: DType,
    reduction: Reduction,
) -> Option<Tensor> {
    let Some(mask) = mask else { return sample_weight.cloned() };
    let mut weights = mask.cast(dtype);
    if matches!(reduction, Reduction::Mean | Reduction::SumOverBatchSize) {
        let valid = ops::sum(&weights, Axes::All, false);
        weights = weights * ops::divide_no_nan(count(mask, dtype), valid);
    }
    Some(match sample_weight {
        Some(given) => {
            let (weights, given) = same_rank(&weights, &given.cast(dtype), true);
            given * weights
        }
        None => weights,
    })
}

/// The loss of `values`, weighted and masked, by Keras's `reduce_weighted_values`.
///
/// # Errors
/// If the weights do not broadcast with the values.
pub(crate) fn reduce_weighted(
    values: &Tensor,
    sample_weight: Option<&Tensor>,
    mask: Option<&Tensor>,
    reduction: Reduction,
    dtype: DType,
) -> Result<Tensor> {
    let mut values = values.cast(dtype).without_mask();
    let mut weights = apply_mask(sample_weight, mask, dtype, reduction);
    if let Some(given) = weights {
        let (aligned, given) = same_rank(&values, &given.cast(dtype), true);
        values = aligned * &given;
        weights = Some(given);
    }
    let empty = values.rank() == 1 && values.dim(0).is(0);
    if reduction == Reduction::None || values.rank() == 0 || empty {
        return values.check().cloned();
    }
    let sum = ops::sum(&values, Axes::All, false);
    let loss = match (reduction, &weights) {
        (Reduction::Sum, _) => sum,
        (Reduction::MeanWithSampleWeight, Some(weights)) => {
            ops::divide_no_nan(sum, ops::sum(weights, Axes::All, false))
        }
        _ => ops::divide_no_nan(sum, count(&values, dtype)),
    };
    loss.check().cloned()
}
