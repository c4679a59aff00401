//! `CTC`: connectionist temporal classification.

use rhyton_ir::{Array, DType};

use super::define::loss;
use crate::error::Error;
use crate::ops;
use crate::tensor::Tensor;

loss! {
    /// The negative logarithm of the probability of a sequence of labels under frame-wise logits, over all alignments
    /// (Graves et al., 2006). Class 0 is the blank and fills labels up.
    ///
    /// # Shapes
    /// Labels `(batch, max_length)`, logits `(batch, frames, classes)`.
    CTC "ctc" |_, t, p| ctc(t, p);
    {} {}
}

/// The loss of [`CTC`] for each sequence.
pub fn ctc(y_true: &Tensor, y_pred: &Tensor) -> Tensor {
    let wrong = |what: &str, shape: &rhyton_ir::Shape, form: &str| {
        Tensor::invalid(Error::shape("ctc", format!("{what} have shape {shape}"), format!("give them as {form}")))
    };
    if y_true.rank() != 2 {
        return wrong("labels", y_true.shape(), "(batch, max_length)");
    }
    let (3, Some(frames)) = (y_pred.rank(), y_pred.dim(1).known()) else {
        return wrong("logits", y_pred.shape(), "(batch, frames, classes) with a known number of frames");
    };
    let labels = ops::sum(&ops::not_equal(y_true, 0).cast(DType::I32), -1, false);
    let lengths = ops::full_like(&labels, 0.0) + Tensor::from(Array::scalar(frames as i32));
    ops::ctc_loss(y_true, y_pred, &labels, &lengths, 0)
}
