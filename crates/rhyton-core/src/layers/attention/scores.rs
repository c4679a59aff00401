//! What `Attention` and `AdditiveAttention` share: from scores to outputs.

use rhyton_ir::{DType, Shape};
use serde_json::Value;

use super::masks::causal_mask;
use crate::error::{Error, Result};
use crate::layers::{Base, Context, InputShapes};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::random;
use crate::tensor::Tensor;

/// The arguments of a call: `[query, value]` or `[query, value, key]`, their masks, and the flags.
pub(super) struct Call {
    pub(super) query: Tensor,
    pub(super) value: Tensor,
    pub(super) key: Tensor,
    query_mask: Option<Tensor>,
    value_mask: Option<Tensor>,
    return_scores: bool,
    causal: bool,
}

impl Call {
    /// From what the layer was called with.
    pub(super) fn of(args: &Args) -> Result<Call> {
        let inputs = args.list()?;
        let (query, value, key) = match inputs[..] {
            [query, value] => (query, value, value),
            [query, value, key] => (query, value, key),
            _ => return Err(wrong_inputs(inputs.len())),
        };
        let [query_mask, value_mask] = masks(args)?;
        let flag = |at, name| args.get(at, name).and_then(Nest::plain).and_then(Value::as_bool).unwrap_or(false);
        Ok(Call {
            query: query.without_mask(),
            value: value.without_mask(),
            key: key.without_mask(),
            query_mask,
            value_mask,
            return_scores: flag(3, "return_attention_scores"),
            causal: flag(4, "use_causal_mask"),
        })
    }

    /// The softmax of the scores `(batch, queries, keys)` weighs the values; 0 for queries that are masked.
    pub(super) fn finish(
        &self,
        scores: &Tensor,
        base: &Base,
        dropout: f64,
        seed: Option<u64>,
        cx: &Context,
    ) -> Result<Nest> {
        let mut scores = scores.check()?.clone();
        if let Some(mask) = self.scores_mask(&scores) {
            // 65504 is the largest number of float16.
            let away = if scores.dtype() == DType::F16 { 65504.0 } else { 1e9 };
            scores = ops::r#where(ops::logical_not(&mask), &scores - away, &scores);
        }
        let mut weights = ops::softmax(&scores, -1).check()?.clone();
        if cx.training && dropout > 0.0 {
            weights = left_out(&weights, dropout, base, seed)?;
        }
        let mut output = ops::matmul(&weights, &self.value);
        if let Some(mask) = &self.query_mask {
            output = ops::r#where(ops::expand_dims(mask, -1), &output, 0);
        }
        output.check()?;
        Ok(if self.return_scores { vec![output, weights].into() } else { output.into() })
    }

    /// Which keys each query sees, in the rank of the scores.
    fn scores_mask(&self, scores: &Tensor) -> Option<Tensor> {
        let values = self.value_mask.as_ref().map(|mask| ops::expand_dims(mask, -2));
        if !self.causal {
            return values;
        }
        let causal = causal_mask(&scores.dim(-2), &scores.dim(-1));
        Some(values.map_or_else(|| causal.clone(), |values| ops::logical_and(values, &causal)))
    }
}

fn wrong_inputs(count: usize) -> Error {
    Error::argument("inputs", format!("{count} tensors were given"), "give [query, value] or [query, value, key]")
}

/// The shapes of the inputs, two or three.
pub(super) fn check_shapes(inputs: &InputShapes) -> Result<Vec<&Shape>> {
    let shapes = inputs.list();
    if (2..=3).contains(&shapes.len()) { Ok(shapes) } else { Err(wrong_inputs(shapes.len())) }
}

/// The masks of query and value: those of the argument `mask`, or those that travel with the tensors.
fn masks(args: &Args) -> Result<[Option<Tensor>; 2]> {
    let Some(given) = args.get(1, "mask") else {
        let inputs = args.list()?;
        return Ok([0, 1].map(|i| inputs.get(i).and_then(|t| t.mask().cloned())));
    };
    let Nest::List(items) = given else {
        return Err(Error::argument("mask", "one mask was given", "give a list: [query_mask, value_mask]"));
    };
    if !(2..=3).contains(&items.len()) {
        return Err(Error::argument("mask", format!("{} masks were given", items.len()), "give two or three"));
    }
    let mask = |i: usize| (!items[i].is_none()).then(|| items[i].single().map(|t| t.cast(DType::Bool).without_mask()));
    Ok([mask(0).transpose()?, mask(1).transpose()?])
}

/// The mask of the output: that of the query.
pub(super) fn output_mask(args: &Args) -> Result<Vec<Option<Tensor>>> {
    let [query, _] = masks(args)?;
    Ok(vec![query])
}

/// `x` with elements left out at random.
fn left_out(x: &Tensor, rate: f64, base: &Base, seed: Option<u64>) -> Result<Tensor> {
    let draw = random::uniform(x.shape().clone(), 0.0, 1.0, DType::F32, &base.seed_generator(seed))?;
    let scale = if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 };
    ops::r#where(ops::greater_equal(&draw, rate), x * scale, 0).check().cloned()
}
