//! `MultiHeadAttention`: attention of several projections at once.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::heads::{Attend, Call, Parts, Projections, project};
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{
    Base, Context, Dropout, InputShapes, Layer, LayerObject, LayerRef, Softmax, build_layer, last_size,
};
use crate::nest::{Args, Nest};
use crate::ops::Axes;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// For each head, `softmax(Q · Kᵀ / √key_dim) · V` of projections `Q`, `K`, `V` of query, key and value; the heads side by
/// side are projected to the output.
///
/// # Shapes
/// `query (batch, queries, dim)`, `value (batch, keys, …)`, and `key (batch, keys, …)`, which is the value if it is not given,
/// give `(batch, queries, dim)`, or `(batch, queries, output_shape…)`; with `return_attention_scores` also the weights
/// `(batch, num_heads, queries, keys)`. Inputs may have further axes: attention goes over `attention_axes`, all between
/// the first and the last unless said.
///
/// # Call arguments
/// `query`, `value`, `key`. `attention_mask (batch, queries, keys)`: at false, the key is not seen. `value_mask`, `key_mask
/// (batch, keys)`: those of the tensors unless given; the mask of the query is that of the tensor. `use_causal_mask`: query
/// `t` sees keys up to `t` only. `return_attention_scores`.
///
/// # References
/// Vaswani et al., 2017, <https://arxiv.org/abs/1706.03762>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultiHeadAttention {
    #[serde(skip)]
    base: Base,
    num_heads: usize,
    key_dim: usize,
    value_dim: Option<usize>,
    dropout: f64,
    use_bias: bool,
    use_gate: bool,
    output_shape: Option<Vec<usize>>,
    attention_axes: AttentionAxes,
    sliding_window: Option<usize>,
    #[serde(skip)]
    flash_attention: bool,
    kernel_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    kernel_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    kernel_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
    seed: Option<i64>,
    #[serde(skip)]
    parts: Arc<OnceLock<(Parts, [String; 2])>>,
}

/// The axes as given, and as numbers from the front once the layer is built, which Keras then writes.
#[derive(Clone, Debug, Default)]
struct AttentionAxes {
    given: Option<Vec<i64>>,
    resolved: Arc<OnceLock<Vec<i64>>>,
}

impl Serialize for AttentionAxes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.resolved.get().or(self.given.as_ref()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AttentionAxes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AttentionAxes, D::Error> {
        Ok(AttentionAxes { given: Option::deserialize(deserializer)?, resolved: Arc::default() })
    }
}

keras_layer!(MultiHeadAttention);

impl Default for MultiHeadAttention {
    fn default() -> MultiHeadAttention {
        MultiHeadAttention {
            base: Base::default(),
            num_heads: 0,
            key_dim: 0,
            value_dim: None,
            dropout: 0.0,
            use_bias: true,
            use_gate: false,
            output_shape: None,
            attention_axes: AttentionAxes::default(),
            sliding_window: None,
            flash_attention: false,
            kernel_initializer: InitializerRef::default(),
            bias_initializer: Zeros {}.into(),
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
            seed: None,
            parts: Arc::default(),
        }
    }
}

impl MultiHeadAttention {
    /// Of `num_heads` heads of `key_dim` features.
    pub fn new(num_heads: usize, key_dim: usize) -> MultiHeadAttention {
        MultiHeadAttention { num_heads, key_dim, value_dim: Some(key_dim), ..MultiHeadAttention::default() }
    }

    builders! {
        /// The features of a head's values; those of its keys unless said.
        value_dim: some usize,
        /// The share of weights left out in training.
        dropout: f64,
        /// Whether the projections have biases; they do unless said.
        use_bias: bool,
        /// Whether a projection of the query opens and closes what the heads give; not unless said.
        use_gate: bool,
        /// The shape of one output; the last axis of the query unless said.
        output_shape: some Vec<usize>,
        /// Query `t` sees key `s` only if `|s − t|` is below this.
        sliding_window: some usize,
        /// Accepted for Keras's sake: refuses dropout and scores, and changes nothing else.
        flash_attention: bool,
        /// How kernels start; Glorot uniform unless said.
        kernel_initializer: into InitializerRef,
        /// How biases start; zeros unless said.
        bias_initializer: into InitializerRef,
        /// A penalty on kernels.
        kernel_regularizer: some RegularizerRef,
        /// A penalty on biases.
        bias_regularizer: some RegularizerRef,
        /// A penalty on what the projections give.
        activity_regularizer: some RegularizerRef,
        /// What kernels are held to.
        kernel_constraint: some ConstraintRef,
        /// What biases are held to.
        bias_constraint: some ConstraintRef,
        /// Where the random numbers of dropout start.
        seed: some i64,
    }

    /// The axes that attention goes over, negative from the end; all between the first and the last unless said.
    pub fn attention_axes(mut self, axes: impl Into<Vec<i64>>) -> MultiHeadAttention {
        self.attention_axes.given = Some(axes.into());
        self
    }

    fn built(&self) -> Result<&(Parts, [String; 2])> {
        self.parts.get().ok_or_else(|| Error::argument(self.name(), "the layer is not built", "call it first"))
    }
}

/// `abc,cde->abde`, and the letters of a bias: a kernel over the last `bound` axes of `free + bound` that gives `outputs` more.
fn projection(free: usize, bound: usize, outputs: usize) -> (String, String) {
    let letters = |from: usize, count: usize| -> String { (from..from + count).map(letter).collect() };
    let (kept, summed, new) = (letters(0, free), letters(free, bound), letters(free + bound, outputs));
    (format!("{kept}{summed},{summed}{new}->{kept}{new}"), new)
}

fn letter(index: usize) -> char {
    (b'a' + index as u8) as char
}

/// The equations `key, query -> scores` and `scores, value -> output` for projections of `rank`, heads and features last.
fn attention(rank: usize, axes: &[usize]) -> [String; 2] {
    let target: Vec<char> = (0..rank).map(letter).collect();
    let mut source = target.clone();
    for (k, &axis) in axes.iter().enumerate() {
        source[axis] = letter(rank + k);
    }
    let batch = (0..rank - 1).filter(|axis| !axes.contains(axis)).map(|axis| target[axis]);
    let product: String = batch.chain(axes.iter().map(|&a| target[a])).chain(axes.iter().map(|&a| source[a])).collect();
    let (source, target): (String, String) = (source.into_iter().collect(), target.into_iter().collect());
    [format!("{source},{target}->{product}"), format!("{product},{source}->{target}")]
}

/// The shape of the result of a projection of `rank`, batch not included: only the last sizes are said.
fn output_shape(rank: usize, last: &[usize]) -> Vec<Option<usize>> {
    std::iter::repeat_n(None, (rank - 1).saturating_sub(last.len())).chain(last.iter().map(|&n| Some(n))).collect()
}

impl Layer for MultiHeadAttention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let missing = |name: &str| {
            Error::argument("inputs", format!("the {name} is missing"), "call the layer with query and value")
        };
        let query = inputs.named("query").ok_or_else(|| missing("query"))?;
        let value = inputs.named("value").ok_or_else(|| missing("value"))?;
        let key = inputs.named("key").unwrap_or(value);
        if self.num_heads == 0 || self.key_dim == 0 || self.value_dim == Some(0) || self.sliding_window == Some(0) {
            return Err(Error::argument(
                "arguments",
                "num_heads, key_dim, value_dim or sliding_window is 0",
                "give each at least 1",
            ));
        }
        let rank = query.rank();
        let small = [query, value, key].iter().any(|s| !(3..=10).contains(&s.rank()));
        let differ = value.rank() != key.rank()
            || value.iter().zip(key.iter()).skip(1).take(value.rank().saturating_sub(2)).any(|(a, b)| !a.compatible(b));
        if small || differ {
            return Err(Error::shape(
                "inputs",
                format!("query {query}, value {value} and key {key}"),
                "give tensors of at least three axes, and value and key of the same but for the last",
            ));
        }
        let value_dim = self.value_dim.unwrap_or(self.key_dim);
        let projections = Projections {
            base: &self.base,
            use_bias: self.use_bias,
            kernel_initializer: &self.kernel_initializer,
            bias_initializer: &self.bias_initializer,
            kernel_regularizer: &self.kernel_regularizer,
            bias_regularizer: &self.bias_regularizer,
            activity_regularizer: &self.activity_regularizer,
            kernel_constraint: &self.kernel_constraint,
            bias_constraint: &self.bias_constraint,
        };
        let heads = |name: &str, rank: usize, features: usize| {
            let (equation, bias) = projection(rank - 1, 1, 2);
            projections.make(name, &equation, output_shape(rank + 1, &[self.num_heads, features]), &bias)
        };
        let scores_rank = value.rank() + 1;
        let axes: Vec<usize> = match &self.attention_axes.given {
            None => (1..scores_rank - 2).collect(),
            Some(given) => {
                let axis = |&a: &i64| crate::ops::axis(a, scores_rank - 1);
                given.iter().map(axis).collect::<Result<_>>()?
            }
        };
        let count = axes.len();
        let first = scores_rank - 1 - count;
        // Heads, then queries, then keys: the softmax goes over the last.
        let all = first + 2 * count;
        let outputs = match &self.output_shape {
            Some(shape) if !shape.is_empty() => shape.clone(),
            _ => vec![last_size(query, "MultiHeadAttention")?],
        };
        let (equation, bias) = projection(rank - 1, 2, outputs.len());
        let parts = Parts {
            query: heads("query", rank, self.key_dim),
            key: heads("key", key.rank(), self.key_dim),
            gate: self.use_gate.then(|| Parts::gate(heads("gate", rank, value_dim))),
            value: heads("value", value.rank(), value_dim),
            softmax: Softmax::new()
                .axis(Axes::Many((all - count..all).map(|a| a as i64).collect()))
                .dtype(self.base.policy()),
            dropout: match self.seed {
                Some(seed) => Dropout::new(self.dropout).seed(seed),
                None => Dropout::new(self.dropout),
            }
            .dtype(self.base.policy()),
            output: projections.make(
                "attention_output",
                &equation,
                output_shape(rank - 1 + outputs.len(), &outputs),
                &bias,
            ),
        };
        let build = |layer: LayerRef, shape: rhyton_ir::Shape| build_layer(layer.as_ref(), &InputShapes::one(shape));
        build(parts.query.share(), query.clone())?;
        build(parts.key.share(), key.clone())?;
        if let Some(gate) = &parts.gate {
            build(gate.share(), query.clone())?;
        }
        build(parts.value.share(), value.clone())?;
        let heads: rhyton_ir::Shape =
            query[..rank - 1].iter().cloned().chain([self.num_heads.into(), value_dim.into()]).collect();
        build(parts.output.share(), heads)?;
        let _ = self.attention_axes.resolved.set(axes.iter().map(|&a| a as i64).collect());
        let _ = self.parts.set((parts, attention(scores_rank, &axes)));
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let (parts, [scores, combine]) = self.built()?;
        let call = Call::of(inputs, false)?;
        let (mask, causal) = call.mask(self.sliding_window);
        let gate = parts.gate.as_ref().map(|gate| project(gate, &call.query, cx)).transpose()?;
        let query = project(&parts.query, &call.query, cx)?;
        let key = project(&parts.key, &call.key, cx)?;
        let value = project(&parts.value, &call.value, cx)?;
        let attend = Attend {
            parts,
            scores,
            key_first: true,
            combine,
            axes: self.attention_axes.resolved.get().map_or(1, Vec::len),
            scale: 1.0 / (self.key_dim as f64).sqrt(),
            dropout: self.dropout,
            flash: self.flash_attention,
            return_scores: call.return_scores,
        };
        let (output, weights) = attend.run(&query, &key, &value, mask, causal, cx)?;
        let output = gate.iter().fold(output, |output, gate| output * gate);
        let output = project(&parts.output, &output, cx)?.with_mask(call.query_mask);
        Ok(match weights.filter(|_| call.return_scores) {
            Some(weights) => vec![output, weights].into(),
            None => output.into(),
        })
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["query", "value", "key"]
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        self.parts.get().map(|(parts, _)| parts.children("")).unwrap_or_default()
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn compute_mask(&self, _: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        // Set on the output above, where the scores have none.
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("multi_head_attention");
    }

    #[test]
    fn a_call_without_value_is_refused() {
        let error = MultiHeadAttention::new(1, 2).call(Tensor::new([1, 2, 2], vec![0.0f32; 4])).eval().unwrap_err();
        assert!(error.to_string().contains("value"), "{error}");
    }
}
