//! `ReversibleEmbedding`: vectors for whole numbers, and scores of whole numbers for vectors.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::embedding::{add_table, look_up, refuse_quantization};
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, RandomUniform};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// An [`Embedding`](super::Embedding) that also goes back: `x · embeddingsᵀ`, the score of each whole number, as the output
/// of a language model.
///
/// # Shapes
/// `i (…)` gives `(…, output_dim)`; with `reverse`, `x (…, output_dim)` gives `(…, input_dim)`.
/// `embeddings (input_dim, output_dim)`, and `reverse_embeddings (output_dim, input_dim)` if the weights are not tied.
///
/// # Call arguments
/// `reverse`: whether to go back; false unless given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReversibleEmbedding {
    #[serde(skip)]
    base: Base,
    input_dim: usize,
    output_dim: usize,
    embeddings_initializer: InitializerRef,
    embeddings_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    embeddings_constraint: Option<ConstraintRef>,
    mask_zero: bool,
    quantization_config: Option<Value>,
    tie_weights: bool,
    reverse_dtype: Option<String>,
    logit_soft_cap: Option<f64>,
}

keras_layer!(ReversibleEmbedding);

impl Default for ReversibleEmbedding {
    fn default() -> ReversibleEmbedding {
        ReversibleEmbedding {
            base: Base::default(),
            input_dim: 0,
            output_dim: 0,
            embeddings_initializer: RandomUniform::default().into(),
            embeddings_regularizer: None,
            activity_regularizer: None,
            embeddings_constraint: None,
            mask_zero: false,
            quantization_config: None,
            tie_weights: true,
            reverse_dtype: None,
            logit_soft_cap: None,
        }
    }
}

impl ReversibleEmbedding {
    /// Vectors of `output_dim` numbers for `0..input_dim`.
    pub fn new(input_dim: usize, output_dim: usize) -> ReversibleEmbedding {
        ReversibleEmbedding { input_dim, output_dim, ..ReversibleEmbedding::default() }
    }

    /// Whether the way back uses the same table; it does unless said.
    pub fn tie_weights(mut self, tie_weights: bool) -> ReversibleEmbedding {
        self.tie_weights = tie_weights;
        self
    }

    /// How the table starts; uniform in ±0.05 unless said.
    pub fn embeddings_initializer(mut self, initializer: impl Into<InitializerRef>) -> ReversibleEmbedding {
        self.embeddings_initializer = initializer.into();
        self
    }

    /// A penalty on the table.
    pub fn embeddings_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> ReversibleEmbedding {
        self.embeddings_regularizer = Some(regularizer.into());
        self
    }

    /// What the table is held to.
    pub fn embeddings_constraint(mut self, constraint: impl Into<ConstraintRef>) -> ReversibleEmbedding {
        self.embeddings_constraint = Some(constraint.into());
        self
    }

    /// Whether 0 stands for padding, which layers that take masks leave out.
    pub fn mask_zero(mut self, mask_zero: bool) -> ReversibleEmbedding {
        self.mask_zero = mask_zero;
        self
    }

    /// The dtype in which the scores are computed; that of the inputs and the table unless said.
    pub fn reverse_dtype(mut self, dtype: DType) -> ReversibleEmbedding {
        self.reverse_dtype = Some(dtype.name().to_owned());
        self
    }

    /// Squeezes the scores into ±`cap`: `cap · tanh(score / cap)`.
    pub fn logit_soft_cap(mut self, cap: f64) -> ReversibleEmbedding {
        self.logit_soft_cap = Some(cap);
        self
    }

    fn reverse(&self, x: &Tensor) -> Result<Tensor> {
        let kernel = if self.tie_weights {
            ops::transpose(&self.base.variable("embeddings")?.value(), [1, 0])
        } else {
            self.base.variable("reverse_embeddings")?.value()
        };
        let (x, kernel) = match &self.reverse_dtype {
            None => (x.without_mask(), kernel),
            Some(name) => {
                let wrong =
                    |_| Error::argument("reverse_dtype", format!("{name:?} is no dtype"), "give one as float32");
                let dtype: DType = name.parse().map_err(wrong)?;
                (x.cast(dtype).without_mask(), kernel.cast(dtype))
            }
        };
        let scores = ops::matmul(&x, &kernel);
        let scores = match self.logit_soft_cap {
            Some(cap) => ops::tanh(&(scores / cap)) * cap,
            None => scores,
        };
        scores.check().cloned()
    }
}

fn is_reverse(args: &Args) -> bool {
    args.get(1, "reverse").and_then(Nest::plain).and_then(Value::as_bool).unwrap_or(false)
}

impl Layer for ReversibleEmbedding {
    fn build(&self, _: &InputShapes) -> Result<()> {
        refuse_quantization(&self.quantization_config)?;
        let sizes = [self.input_dim, self.output_dim];
        let (regularizer, constraint) = (&self.embeddings_regularizer, &self.embeddings_constraint);
        add_table(&self.base, sizes, &self.embeddings_initializer, regularizer, constraint)?;
        if !self.tie_weights {
            let weight = self.base.add_weight("reverse_embeddings", [self.output_dim, self.input_dim]);
            weight.initializer(self.embeddings_initializer.clone()).add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        if is_reverse(inputs) { self.reverse(x) } else { look_up(&self.base, x) }.map(Nest::from)
    }

    fn supports_masking(&self) -> bool {
        self.mask_zero
    }

    fn compute_mask(&self, inputs: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        if !self.mask_zero || is_reverse(inputs) {
            return Ok(vec![None]);
        }
        Ok(vec![Some(ops::not_equal(inputs.tensor()?, 0).check()?.clone())])
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    fn activity_regularizer(&self) -> Option<&RegularizerRef> {
        self.activity_regularizer.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("reversible_embedding");
    }
}
