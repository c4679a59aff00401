//! `Attention`: scores by products.

use serde::{Deserialize, Serialize};

use super::scores::{Call, check_shapes, output_mask};
use crate::error::Result;
use crate::initializers::Ones;
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// How well a key fits a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreMode {
    /// The product of the vectors.
    #[default]
    Dot,
    /// The weighted sum of `tanh(query + key)`.
    Concat,
}

/// `softmax(query · keyᵀ) · value`, Luong's attention.
///
/// # Shapes
/// Called with a list: `query (batch, queries, dim)`, `value (batch, keys, dim)`, and `key (batch, keys, dim)`, which is the
/// value if it is not given. Gives `(batch, queries, dim)`, and with `return_attention_scores` also the weights
/// `(batch, queries, keys)`.
///
/// # Call arguments
/// `mask`: the list of the masks of query (its outputs are 0 where false) and value (not seen where false); those of the
/// inputs unless given. `return_attention_scores`. `use_causal_mask`: whether query `t` sees keys up to `t` only.
///
/// # References
/// Luong, Pham and Manning, 2015, <https://arxiv.org/abs/1508.04025>.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attention {
    #[serde(skip)]
    base: Base,
    use_scale: bool,
    score_mode: ScoreMode,
    dropout: f64,
    seed: Option<u64>,
}

keras_layer!(Attention);

impl Attention {
    /// By products, without a scale.
    pub fn new() -> Attention {
        Attention::default()
    }

    /// Whether scores are multiplied by a trained number; not unless said.
    pub fn use_scale(mut self, use_scale: bool) -> Attention {
        self.use_scale = use_scale;
        self
    }

    /// How scores are computed; by products unless said.
    pub fn score_mode(mut self, mode: ScoreMode) -> Attention {
        self.score_mode = mode;
        self
    }

    /// The share of weights left out in training.
    pub fn dropout(mut self, rate: f64) -> Attention {
        self.dropout = rate;
        self
    }

    /// Where the random numbers of dropout start.
    pub fn seed(mut self, seed: u64) -> Attention {
        self.seed = Some(seed);
        self
    }
}

impl Layer for Attention {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        check_shapes(inputs)?;
        if self.use_scale {
            self.base.add_weight("scale", []).initializer(Ones::default()).add()?;
        }
        if self.score_mode == ScoreMode::Concat {
            self.base.add_weight("concat_score_weight", []).initializer(Ones::default()).add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let call = Call::of(inputs)?;
        let scale = if self.use_scale { Some(self.base.weight("scale")?) } else { None };
        let scaled = |x: Tensor| scale.iter().fold(x, |x, scale| x * scale);
        let scores = match self.score_mode {
            ScoreMode::Dot => scaled(ops::matmul(&call.query, ops::swapaxes(&call.key, -2, -1))),
            ScoreMode::Concat => {
                let pairs = ops::expand_dims(&call.query, -2) + ops::expand_dims(&call.key, -3);
                ops::sum(&ops::tanh(&scaled(pairs)), -1, false) * self.base.weight("concat_score_weight")?
            }
        };
        call.finish(&scores, &self.base, self.dropout, self.seed, cx)
    }

    fn compute_mask(&self, inputs: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        output_mask(inputs)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("attention");
    }

    #[test]
    fn one_tensor_is_refused() {
        let error = Attention::new().call(Tensor::new([1, 1, 1], vec![0.0f32])).eval().unwrap_err();
        assert!(matches!(error, Error::Argument(_)), "{error}");
    }
}
