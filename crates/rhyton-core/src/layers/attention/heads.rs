//! What `MultiHeadAttention` and `GroupQueryAttention` share: projections, masks and the attention of all heads.

use rhyton_ir::DType;
use serde_json::Value;

use super::masks::{all_of, causal_mask, sliding_window_mask};
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::InitializerRef;
use crate::layers::{Base, Context, Dropout, EinsumDense, LayerObject, LayerRef, Softmax, call_layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::ops::primitives::reshaped;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// How the projections are made.
pub(super) struct Projections<'p> {
    pub(super) base: &'p Base,
    pub(super) use_bias: bool,
    pub(super) kernel_initializer: &'p InitializerRef,
    pub(super) bias_initializer: &'p InitializerRef,
    pub(super) kernel_regularizer: &'p Option<RegularizerRef>,
    pub(super) bias_regularizer: &'p Option<RegularizerRef>,
    pub(super) activity_regularizer: &'p Option<RegularizerRef>,
    pub(super) kernel_constraint: &'p Option<ConstraintRef>,
    pub(super) bias_constraint: &'p Option<ConstraintRef>,
}

impl Projections<'_> {
    /// A projection named `name`.
    pub(super) fn make(
        &self,
        name: &str,
        equation: &str,
        output_shape: Vec<Option<usize>>,
        bias_axes: &str,
    ) -> EinsumDense {
        let mut dense = EinsumDense::new(equation, output_shape).name(name).dtype(self.base.policy());
        dense.bias_axes = self.use_bias.then(|| bias_axes.to_owned());
        dense.kernel_initializer = self.kernel_initializer.clone();
        dense.bias_initializer = self.bias_initializer.clone();
        dense.kernel_regularizer = self.kernel_regularizer.clone();
        dense.bias_regularizer = self.bias_regularizer.clone();
        dense.activity_regularizer = self.activity_regularizer.clone();
        dense.kernel_constraint = self.kernel_constraint.clone();
        dense.bias_constraint = self.bias_constraint.clone();
        dense.base().set_own_trainable(self.base.trainable());
        dense
    }
}

/// The layers of an attention with heads, there once it is built.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) query: EinsumDense,
    pub(super) key: EinsumDense,
    pub(super) gate: Option<EinsumDense>,
    pub(super) value: EinsumDense,
    pub(super) softmax: Softmax,
    pub(super) dropout: Dropout,
    pub(super) output: EinsumDense,
}

impl Parts {
    /// The gate that a projection of the query opens.
    pub(super) fn gate(dense: EinsumDense) -> EinsumDense {
        dense.activation(Activation::Sigmoid)
    }

    /// By Keras's names, in the order in which Keras makes them; those of the projections start with `prefix`.
    pub(super) fn children(&self, prefix: &str) -> Vec<(String, LayerRef)> {
        let mut children = vec![
            (format!("{prefix}query_dense"), self.query.share()),
            (format!("{prefix}key_dense"), self.key.share()),
        ];
        children.extend(self.gate.iter().map(|gate| ("_gate_dense".to_owned(), gate.share())));
        children.push((format!("{prefix}value_dense"), self.value.share()));
        children.push(("_softmax".to_owned(), self.softmax.share()));
        children.push(("_dropout_layer".to_owned(), self.dropout.share()));
        children.push((format!("{prefix}output_dense"), self.output.share()));
        children
    }
}

/// A projection applied to `x`.
pub(super) fn project(dense: &EinsumDense, x: &Tensor, cx: &mut Context) -> Result<Tensor> {
    call_layer(&dense.share(), Args::new(x), cx)?.single().cloned()
}

/// The arguments of a call.
pub(super) struct Call {
    pub(super) query: Tensor,
    pub(super) value: Tensor,
    pub(super) key: Tensor,
    pub(super) query_mask: Option<Tensor>,
    value_mask: Option<Tensor>,
    key_mask: Option<Tensor>,
    attention_mask: Option<Tensor>,
    pub(super) return_scores: bool,
    causal: bool,
}

impl Call {
    /// From what the layer was called with; the mask of the query is that of the tensor only, unless `query_mask` is an
    /// argument of the layer.
    pub(super) fn of(args: &Args, query_mask: bool) -> Result<Call> {
        let missing = |name: &str| {
            Error::argument("call", format!("the {name} is missing"), "pass query, value and, if you like, key")
        };
        let query = args.tensor_at(0, "query").ok_or_else(|| missing("query"))?;
        let value = args.tensor_at(1, "value").ok_or_else(|| missing("value"))?;
        let key = args.tensor_at(2, "key");
        let mask =
            |at, name, of: Option<&Tensor>| args.tensor_at(at, name).or_else(|| of.and_then(Tensor::mask)).cloned();
        let flag = |at, name| args.get(at, name).and_then(Nest::plain).and_then(Value::as_bool).unwrap_or(false);
        Ok(Call {
            query: query.without_mask(),
            value: value.without_mask(),
            key: key.unwrap_or(value).without_mask(),
            query_mask: if query_mask { mask(3, "query_mask", Some(query)) } else { query.mask().cloned() },
            value_mask: mask(4, "value_mask", Some(value)),
            key_mask: mask(5, "key_mask", key),
            attention_mask: args.tensor_at(6, "attention_mask").cloned(),
            return_scores: flag(7, "return_attention_scores"),
            causal: flag(9, "use_causal_mask"),
        })
    }

    /// Which keys queries see, unless all see those before them and that is all; and whether it is.
    pub(super) fn mask(&self, sliding_window: Option<usize>) -> (Option<Tensor>, bool) {
        let given = [&self.query_mask, &self.value_mask, &self.key_mask, &self.attention_mask];
        if self.causal && sliding_window.is_none() && given.iter().all(|m| m.is_none()) {
            return (None, true);
        }
        let (queries, keys) = (self.query.dim(1), self.value.dim(1));
        let row =
            |mask: &Option<Tensor>, axis: i64| mask.as_ref().map(|m| ops::expand_dims(&m.cast(DType::Bool), axis));
        let mask = all_of([
            self.attention_mask.clone(),
            row(&self.query_mask, -1),
            row(&self.value_mask, -2),
            row(&self.key_mask, -2),
            self.causal.then(|| causal_mask(&queries, &keys)),
            sliding_window.map(|window| sliding_window_mask(&queries, &keys, window)),
        ]);
        (mask, false)
    }
}

/// The attention of all heads.
pub(super) struct Attend<'a> {
    pub(super) parts: &'a Parts,
    /// `key, query -> scores`, in this order if `key_first`, and `scores, value -> output`.
    pub(super) scores: &'a str,
    pub(super) key_first: bool,
    pub(super) combine: &'a str,
    /// How many axes attention goes over.
    pub(super) axes: usize,
    pub(super) scale: f64,
    pub(super) dropout: f64,
    pub(super) flash: bool,
    pub(super) return_scores: bool,
}

impl Attend<'_> {
    /// The output before its projection, and the weights if they were asked for.
    pub(super) fn run(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        mask: Option<Tensor>,
        causal: bool,
        cx: &mut Context,
    ) -> Result<(Tensor, Option<Tensor>)> {
        if self.flash && (self.return_scores || self.dropout > 0.0) {
            return Err(Error::argument(
                "flash_attention",
                "it has no scores to give or to leave out",
                "do not set flash_attention, or neither return_attention_scores nor dropout",
            ));
        }
        if self.dropout == 0.0 && !self.return_scores && q.rank() == 4 {
            let mask = mask.map(|m| self.expanded(&m, 4));
            let output = ops::dot_product_attention(q, k, v, None, mask.as_ref(), Some(self.scale), causal);
            return Ok((output.check()?.clone(), None));
        }
        let mask = if causal { Some(causal_mask(&q.dim(1), &v.dim(1))) } else { mask };
        let q = q * self.scale;
        let scores =
            if self.key_first { ops::einsum(self.scores, &[k, &q]) } else { ops::einsum(self.scores, &[&q, k]) };
        let mut args = Args::new(scores.check()?);
        if let Some(mask) = mask {
            args = args.with("mask", self.expanded(&mask, scores.rank()));
        }
        // The mask stays with the weights, as Keras's softmax layer leaves it.
        let weights = call_layer(&self.parts.softmax.share(), args, cx)?.single()?.clone();
        let kept = if self.dropout > 0.0 {
            call_layer(&self.parts.dropout.share(), Args::new(&weights), cx)?.single()?.clone()
        } else {
            weights.clone()
        };
        let output = ops::einsum(self.combine, &[&kept, v]);
        Ok((output.check()?.clone(), Some(weights)))
    }

    /// The mask with axes of size 1 for the heads, in the rank of the scores.
    fn expanded(&self, mask: &Tensor, rank: usize) -> Tensor {
        let at = mask.rank().saturating_sub(2 * self.axes);
        let ones = vec![rhyton_ir::Dim::Known(1); rank.saturating_sub(mask.rank())];
        let shape = mask.shape();
        reshaped(
            mask,
            shape[..at].iter().cloned().chain(ones).chain(shape[at..].iter().cloned()).collect::<rhyton_ir::Shape>(),
        )
    }
}
