//! `Embedding`: vectors for whole numbers.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, RandomUniform};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// Looks up row `i` of a trained table for each whole number `i`.
///
/// # Shapes
/// `i (…)` gives `(…, output_dim)`; `embeddings (input_dim, output_dim)`.
///
/// # Masks
/// With `mask_zero`, 0 stands for padding: the mask of the output is false there.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = Embedding::new(5, 2).embeddings_initializer(Ones::default()).mask_zero(true);
/// let y = layer.call(&Tensor::new([1, 3], vec![4i32, 1, 0]));
/// assert_eq!(y.shape().to_string(), "[1,3,2]");
/// assert_eq!(y.mask().expect("0 is masked").to_vec::<bool>()?, [true, true, false]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Embedding {
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
}

keras_layer!(Embedding);

impl Default for Embedding {
    fn default() -> Embedding {
        Embedding {
            base: Base::default(),
            input_dim: 0,
            output_dim: 0,
            embeddings_initializer: RandomUniform::default().into(),
            embeddings_regularizer: None,
            activity_regularizer: None,
            embeddings_constraint: None,
            mask_zero: false,
            quantization_config: None,
        }
    }
}

impl Embedding {
    /// Vectors of `output_dim` numbers for `0..input_dim`.
    pub fn new(input_dim: usize, output_dim: usize) -> Embedding {
        Embedding { input_dim, output_dim, ..Embedding::default() }
    }

    /// How the table starts; uniform in ±0.05 unless said.
    pub fn embeddings_initializer(mut self, initializer: impl Into<InitializerRef>) -> Embedding {
        self.embeddings_initializer = initializer.into();
        self
    }

    /// A penalty on the table.
    pub fn embeddings_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> Embedding {
        self.embeddings_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the outputs.
    pub fn activity_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> Embedding {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// What the table is held to.
    pub fn embeddings_constraint(mut self, constraint: impl Into<ConstraintRef>) -> Embedding {
        self.embeddings_constraint = Some(constraint.into());
        self
    }

    /// Whether 0 stands for padding, which layers that take masks leave out.
    pub fn mask_zero(mut self, mask_zero: bool) -> Embedding {
        self.mask_zero = mask_zero;
        self
    }
}

/// Adds the table to a layer.
pub(super) fn add_table(
    base: &Base,
    sizes: [usize; 2],
    initializer: &InitializerRef,
    regularizer: &Option<RegularizerRef>,
    constraint: &Option<ConstraintRef>,
) -> Result<()> {
    if sizes.contains(&0) {
        let what = format!("input_dim is {} and output_dim {}", sizes[0], sizes[1]);
        return Err(Error::argument("Embedding", what, "give both at least 1"));
    }
    let weight = base.add_weight("embeddings", sizes).initializer(initializer.clone());
    weight.regularizer(regularizer.clone()).constraint(constraint.clone()).add().map(|_| ())
}

/// The rows of the table of `base` for `indices`.
pub(super) fn look_up(base: &Base, indices: &Tensor) -> Result<Tensor> {
    let indices =
        if matches!(indices.dtype(), DType::I32 | DType::I64) { indices.clone() } else { indices.cast(DType::I32) };
    // Converted after the look-up: the gradients of rows that occur often are summed in the dtype of the table.
    let rows = ops::take(&base.variable("embeddings")?.value(), indices.without_mask(), Some(0));
    rows.check().map(|t| t.cast(base.compute_dtype()))
}

/// The error for what a later version may load.
pub(super) fn refuse_quantization(config: &Option<Value>) -> Result<()> {
    if config.is_none() {
        return Ok(());
    }
    Err(Error::unsupported(
        "quantization_config",
        "quantized layers are not there yet",
        "load the model before it was quantized",
    ))
}

impl Layer for Embedding {
    fn build(&self, _: &InputShapes) -> Result<()> {
        refuse_quantization(&self.quantization_config)?;
        let sizes = [self.input_dim, self.output_dim];
        let (regularizer, constraint) = (&self.embeddings_regularizer, &self.embeddings_constraint);
        add_table(&self.base, sizes, &self.embeddings_initializer, regularizer, constraint)
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        look_up(&self.base, inputs.tensor()?).map(Nest::from)
    }

    fn supports_masking(&self) -> bool {
        self.mask_zero
    }

    fn compute_mask(&self, inputs: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        let mask = |x: &Tensor| ops::not_equal(x, 0).check().cloned();
        Ok(vec![if self.mask_zero { Some(mask(inputs.tensor()?)?) } else { None }])
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
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("embedding");
    }

    #[test]
    fn an_empty_table_is_refused() {
        let error = Embedding::new(0, 2).call(Tensor::new([1], vec![0i32])).eval().unwrap_err();
        assert!(matches!(error, Error::Argument(_)), "{error}");
    }
}
