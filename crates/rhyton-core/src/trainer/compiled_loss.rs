//! The loss of a model with one or several outputs (Keras's `CompileLoss`).

use super::Spec;
use super::tracker::Tracker;
use crate::error::{Error, Result};
use crate::losses::LossRef;
use crate::tensor::Tensor;

/// One loss an output that has one, with the mean over the epoch of each where there are several.
#[derive(Clone, Debug)]
pub(crate) struct CompiledLoss {
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    output: usize,
    loss: LossRef,
    weight: Option<f64>,
    /// `{output}_loss`, where there are several.
    tracker: Option<Tracker>,
}

impl CompiledLoss {
    /// Of a model without losses.
    pub(crate) fn none() -> CompiledLoss {
        CompiledLoss { terms: Vec::new() }
    }

    /// For outputs named `names`.
    ///
    /// # Errors
    /// If losses or weights do not match the outputs.
    pub(crate) fn new(losses: &Spec<LossRef>, weights: &Spec<f64>, names: &[String]) -> Result<CompiledLoss> {
        let losses = losses.by_output("loss", names)?;
        let weights = match weights {
            // A single number weighs the total, which is the only term then.
            Spec::One(_) if names.len() > 1 => {
                return Err(Error::argument(
                    "loss_weights",
                    format!("one weight was given for {} outputs", names.len()),
                    format!("give one an output: {names:?}"),
                ));
            }
            weights => weights.by_output("loss_weights", names)?,
        };
        let mut terms = Vec::new();
        for (output, (losses, weight)) in losses.iter().zip(&weights).enumerate() {
            let weight = weight.leaves().first().map(|w| **w);
            for loss in losses.leaves() {
                terms.push(Term { output, loss: loss.clone(), weight, tracker: None });
            }
        }
        if terms.len() > 1 {
            for term in &mut terms {
                term.tracker = Some(Tracker::new(&format!("{}_loss", names[term.output])));
            }
        }
        Ok(CompiledLoss { terms })
    }

    /// The weighted sum of all terms; `None` if there are none.
    ///
    /// # Errors
    /// If a target or prediction does not fit its loss.
    pub(crate) fn call(
        &self,
        y: &[Option<Tensor>],
        y_pred: &[Tensor],
        weights: &[Option<Tensor>],
    ) -> Result<Option<Tensor>> {
        let mut total: Option<Tensor> = None;
        for term in &self.terms {
            let target = y.get(term.output).and_then(Option::as_ref).ok_or_else(|| {
                Error::argument(
                    "fit",
                    format!("output {} has a loss but there are no targets for it", term.output),
                    "give targets for every output with a loss",
                )
            })?;
            let prediction = &y_pred[term.output];
            let weight = weights.get(term.output).and_then(Option::as_ref);
            let value = term.loss.for_shapes(target, prediction)?.compute(target, prediction, weight)?;
            let value = value.cast(rhyton_ir::DType::F32);
            if let Some(tracker) = &term.tracker {
                tracker.update(&value, prediction)?;
            }
            let value = term.weight.map_or(value.clone(), |w| value * w);
            total = Some(match total {
                Some(sum) => sum + value,
                None => value,
            });
        }
        Ok(total)
    }

    /// The means of the terms over the epoch so far.
    pub(crate) fn trackers(&self) -> impl Iterator<Item = &Tracker> {
        self.terms.iter().filter_map(|t| t.tracker.as_ref())
    }
}
