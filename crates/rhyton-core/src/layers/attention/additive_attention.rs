//! `AdditiveAttention`: scores by sums.

use serde::{Deserialize, Serialize};

use super::scores::{Call, check_shapes, output_mask};
use crate::error::Result;
use crate::initializers::InitializerRef;
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer, last_size};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// `softmax(Σ scale · tanh(query + key)) · value`, Bahdanau's attention.
///
/// # Shapes
/// As [`Attention`](super::Attention); `scale (dim)`.
///
/// # Call arguments
/// As [`Attention`](super::Attention).
///
/// # References
/// Bahdanau, Cho and Bengio, 2014, <https://arxiv.org/abs/1409.0473>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdditiveAttention {
    #[serde(skip)]
    base: Base,
    use_scale: bool,
    dropout: f64,
    seed: Option<u64>,
}

keras_layer!(AdditiveAttention);

impl Default for AdditiveAttention {
    fn default() -> AdditiveAttention {
        AdditiveAttention { base: Base::default(), use_scale: true, dropout: 0.0, seed: None }
    }
}

impl AdditiveAttention {
    /// With a scale.
    pub fn new() -> AdditiveAttention {
        AdditiveAttention::default()
    }

    /// Whether the terms of the sum are multiplied by trained numbers; they are unless said.
    pub fn use_scale(mut self, use_scale: bool) -> AdditiveAttention {
        self.use_scale = use_scale;
        self
    }

    /// The share of weights left out in training.
    pub fn dropout(mut self, rate: f64) -> AdditiveAttention {
        self.dropout = rate;
        self
    }

    /// Where the random numbers of dropout start.
    pub fn seed(mut self, seed: u64) -> AdditiveAttention {
        self.seed = Some(seed);
        self
    }
}

impl Layer for AdditiveAttention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let shapes = check_shapes(inputs)?;
        if self.use_scale {
            let dim = last_size(shapes[0], "AdditiveAttention")?;
            self.base.add_weight("scale", [dim]).initializer(InitializerRef::default()).add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let call = Call::of(inputs)?;
        let terms = ops::tanh(&(ops::expand_dims(&call.query, -2) + ops::expand_dims(&call.key, -3)));
        let terms = if self.use_scale { terms * self.base.weight("scale")? } else { terms };
        call.finish(&ops::sum(&terms, -1, false), &self.base, self.dropout, self.seed, cx)
    }

    fn compute_mask(&self, inputs: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        output_mask(inputs)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("additive_attention");
    }
}
