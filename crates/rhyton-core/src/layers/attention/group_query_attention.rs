//! `GroupQueryAttention`: attention whose heads share keys and values in groups.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

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
use crate::ops;
use crate::regularizers::RegularizerRef;

/// [`MultiHeadAttention`](super::MultiHeadAttention) in which `num_query_heads / num_key_value_heads` heads of the query share
/// each head of key and value.
///
/// # Shapes
/// `query (batch, queries, dim)`, `value (batch, keys, …)`, and `key (batch, keys, …)`, which is the value if it is not given,
/// give `(batch, queries, dim)`; with `return_attention_scores` also the weights `(batch, num_query_heads, queries, keys)`.
///
/// # Call arguments
/// As [`MultiHeadAttention`](super::MultiHeadAttention), and `query_mask`.
///
/// # References
/// Ainslie et al., 2023, <https://arxiv.org/abs/2305.13245>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupQueryAttention {
    #[serde(skip)]
    base: Base,
    head_dim: usize,
    num_query_heads: usize,
    num_key_value_heads: usize,
    use_bias: bool,
    use_gate: bool,
    sliding_window: Option<usize>,
    dropout: f64,
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
    parts: Arc<OnceLock<Parts>>,
}

keras_layer!(GroupQueryAttention);

impl Default for GroupQueryAttention {
    fn default() -> GroupQueryAttention {
        GroupQueryAttention {
            base: Base::default(),
            head_dim: 0,
            num_query_heads: 0,
            num_key_value_heads: 0,
            use_bias: true,
            use_gate: false,
            sliding_window: None,
            dropout: 0.0,
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

impl GroupQueryAttention {
    /// Heads of `head_dim` features; the number of query heads is a multiple of that of key and value heads.
    pub fn new(head_dim: usize, num_query_heads: usize, num_key_value_heads: usize) -> GroupQueryAttention {
        GroupQueryAttention { head_dim, num_query_heads, num_key_value_heads, ..GroupQueryAttention::default() }
    }

    builders! {
        /// Whether the projections have biases; they do unless said.
        use_bias: bool,
        /// Whether a projection of the query opens and closes what the heads give; not unless said.
        use_gate: bool,
        /// Query `t` sees key `s` only if `|s − t|` is below this.
        sliding_window: some usize,
        /// The share of weights left out in training.
        dropout: f64,
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
}

impl Layer for GroupQueryAttention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let missing = |name: &str| {
            Error::argument("inputs", format!("the {name} is missing"), "call the layer with query and value")
        };
        let query = inputs.named("query").ok_or_else(|| missing("query"))?;
        let value = inputs.named("value").ok_or_else(|| missing("value"))?;
        let key = inputs.named("key").unwrap_or(value);
        let groups = self.num_query_heads.checked_rem(self.num_key_value_heads);
        if self.head_dim == 0 || self.num_query_heads == 0 || groups != Some(0) || self.sliding_window == Some(0) {
            return Err(Error::argument(
                "arguments",
                format!(
                    "head_dim {}, {} query heads, {} key and value heads",
                    self.head_dim, self.num_query_heads, self.num_key_value_heads
                ),
                "give numbers of at least 1, and a number of query heads that the other divides",
            ));
        }
        let features = last_size(query, "GroupQueryAttention")?;
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
        let queries = |name| {
            projections.make(name, "bqm,muh->bquh", vec![None, Some(self.num_query_heads), Some(self.head_dim)], "uh")
        };
        let keys = |name| {
            projections.make(
                name,
                "bkm,mvh->bkvh",
                vec![None, Some(self.num_key_value_heads), Some(self.head_dim)],
                "vh",
            )
        };
        let parts = Parts {
            query: queries("query"),
            key: keys("key"),
            gate: self.use_gate.then(|| Parts::gate(queries("gate"))),
            value: keys("value"),
            softmax: Softmax::new().dtype(self.base.policy()),
            dropout: match self.seed {
                Some(seed) => Dropout::new(self.dropout).seed(seed),
                None => Dropout::new(self.dropout),
            }
            .dtype(self.base.policy()),
            output: projections.make("attention_output", "bquh,uhm->bqm", vec![None, Some(features)], "m"),
        };
        let build = |layer: LayerRef, shape: rhyton_ir::Shape| build_layer(layer.as_ref(), &InputShapes::one(shape));
        build(parts.query.share(), query.clone())?;
        build(parts.key.share(), key.clone())?;
        if let Some(gate) = &parts.gate {
            build(gate.share(), query.clone())?;
        }
        build(parts.value.share(), value.clone())?;
        let heads = query[..2].iter().cloned().chain([self.num_query_heads.into(), self.head_dim.into()]).collect();
        build(parts.output.share(), heads)?;
        let _ = self.parts.set(parts);
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let parts =
            self.parts.get().ok_or_else(|| Error::argument(self.name(), "the layer is not built", "call it first"))?;
        let call = Call::of(inputs, true)?;
        let (mask, causal) = call.mask(self.sliding_window);
        let gate = parts.gate.as_ref().map(|gate| project(gate, &call.query, cx)).transpose()?;
        let query = project(&parts.query, &call.query, cx)?;
        let groups = self.num_query_heads / self.num_key_value_heads;
        let key = ops::repeat(&project(&parts.key, &call.key, cx)?, groups, Some(2));
        let value = ops::repeat(&project(&parts.value, &call.value, cx)?, groups, Some(2));
        let attend = Attend {
            parts,
            scores: "bquh,bkuh->buqk",
            key_first: false,
            combine: "buqk,bkuh->bquh",
            axes: 1,
            scale: 1.0 / (self.head_dim as f64).sqrt(),
            dropout: self.dropout,
            flash: self.flash_attention,
            return_scores: call.return_scores,
        };
        let (output, weights) = attend.run(&query, &key, &value, mask, causal, cx)?;
        let output = gate.iter().fold(output, |output, gate| output * gate);
        let output = project(&parts.output, &output, cx)?;
        Ok(match weights.filter(|_| call.return_scores) {
            Some(weights) => vec![output, weights].into(),
            None => output.into(),
        })
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["query", "value", "key"]
    }

    fn python_class(&self) -> &'static str {
        "GroupedQueryAttention"
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        self.parts.get().map(|parts| parts.children("_")).unwrap_or_default()
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("group_query_attention");
    }
}
