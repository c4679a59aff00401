//! `Circle`: a loss of embeddings by the similarity of all pairs of a batch.

use rhyton_ir::{Array, DType};

use super::define::loss;
use crate::error::Error;
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

loss! {
    /// `softplus(logsumexp(−gamma · w⁺ (m − d⁺)) + logsumexp(gamma · w⁻ (1 − m − d⁻)))` over the cosine distances `d` of a
    /// sample's pairs of equal (`⁺`) and different (`⁻`) labels, with weights `w⁺ = d + m`, `w⁻ = 1 + m − d` and margin `m`
    /// (Sun et al., 2020). Samples whose loss is 0 do not count in means.
    ///
    /// # Shapes
    /// Labels `(batch)` or `(batch, 1)`, embeddings of unit length `(batch, features)`.
    Circle "circle" |this, t, p| circle(t, p, this.remove_diagonal, this.gamma, this.margin);
    {
        "The scale; 80 unless said." gamma: f64 = 80.0,
        "How far apart classes shall be; 0.4 unless said." margin: f64 = 0.4,
        "Whether a sample is no pair with itself; it is none unless said." remove_diagonal: bool = true,
    }
    {}
}

/// The loss of [`Circle`] for each sample, of pairs within the batch.
pub fn circle(y_true: &Tensor, y_pred: &Tensor, remove_diagonal: bool, gamma: f64, margin: f64) -> Tensor {
    let labels = y_true.cast(DType::I32);
    let labels = if labels.rank() == 1 { ops::expand_dims(&labels, 1) } else { labels };
    let distances = ops::maximum(1.0 - ops::matmul(y_pred, ops::transpose(y_pred, Axes::All)), 0.0);
    let same = ops::equal(&labels, ops::transpose(&labels, Axes::All));
    let different = ops::logical_not(&same);
    let same = if remove_diagonal {
        let Some(batch) = labels.dim(0).known() else {
            let what = format!("the size of the batch of {} is not known", labels.shape());
            return Tensor::invalid(Error::shape("circle", what, "compute the loss on batches of known size"));
        };
        let apart: Vec<bool> = (0..batch * batch).map(|i| i / batch != i % batch).collect();
        ops::logical_and(&same, Tensor::from(Array::new([batch, batch], apart)))
    } else {
        same
    };
    let dtype = distances.dtype();
    let weight = |w: Tensor, pairs: &Tensor| ops::maximum(w * pairs.cast(dtype), 0.0);
    let near = weight(&distances + margin, &same) * (margin - &distances) * -gamma;
    let far = weight(1.0 + margin - &distances, &different) * (1.0 - margin - &distances) * gamma;
    let nothing = Tensor::from(Array::scalar_of(dtype, f64::NEG_INFINITY));
    let total = |pairs: &Tensor, x: Tensor| ops::logsumexp(&ops::r#where(pairs, x, &nothing), 1, false);
    let values = ops::softplus(&(total(&same, near) + total(&different, far)));
    let counts = ops::greater(&values, 0.0);
    values.with_mask(Some(counts))
}
