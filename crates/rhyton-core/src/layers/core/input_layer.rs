//! `Input`: where a functional model or a stack starts.

use std::sync::{Arc, OnceLock};

use rhyton_ir::{DType, Dim, Shape, TensorType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::keras_layer_object;
use crate::layers::{Base, Call, Context, Layer, LayerRef, shape_from_json, shape_to_json, unknown_dim};
use crate::model::{CallNode, History};
use crate::nest::{Args, Nest};
use crate::ops::Operand;
use crate::tensor::Tensor;
use crate::text;

/// A symbol that stands for the input of a model: `Input::new([28, 28, 1])`, without the batch.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let image = Input::new([28, 28, 1]).name("image");
/// assert_eq!(image.symbol().shape().to_string(), "[batch,28,28,1]");
/// ```
#[derive(Clone, Debug)]
pub struct Input {
    shape: Vec<Option<usize>>,
    batch_size: Option<usize>,
    dtype: Option<DType>,
    string: bool,
    name: Option<String>,
    layer: Arc<OnceLock<InputLayer>>,
}

impl Input {
    /// Of `shape`, batch not included; see [`Input::open`] for sizes that are not known.
    pub fn new(shape: impl Into<Vec<usize>>) -> Input {
        Input::open(shape.into().into_iter().map(Some).collect::<Vec<_>>())
    }

    /// Of `shape`, batch not included, with `None` for sizes that are not known.
    pub fn open(shape: impl Into<Vec<Option<usize>>>) -> Input {
        Input { shape: shape.into(), batch_size: None, dtype: None, string: false, name: None, layer: Arc::default() }
    }

    /// Names the input: data in a dictionary is found by it.
    pub fn name(mut self, name: &str) -> Input {
        self.name = Some(name.to_owned());
        self
    }

    /// The dtype; that of the global policy unless said.
    pub fn dtype(mut self, dtype: DType) -> Input {
        self.dtype = Some(dtype);
        self
    }

    /// Texts, not numbers (Keras's `dtype="string"`): feed what [`text::encode`](crate::text::encode) makes.
    pub fn string(mut self) -> Input {
        self.string = true;
        self
    }

    /// A fixed batch size.
    pub fn batch_size(mut self, batch_size: usize) -> Input {
        self.batch_size = Some(batch_size);
        self
    }

    /// The symbol. It is made once: clones of the input share it.
    pub fn symbol(&self) -> Tensor {
        self.input_layer().symbol()
    }

    fn input_layer(&self) -> &InputLayer {
        self.layer.get_or_init(|| {
            let batch = self.batch_size.map_or_else(|| unknown_dim(0), Dim::Known);
            let rest = self.shape.iter().enumerate();
            let dims = rest.map(|(i, d)| d.map_or_else(|| unknown_dim(i + 1), Dim::Known));
            let shape: Shape = std::iter::once(batch).chain(dims).collect();
            let dtype = self.dtype.unwrap_or_else(|| crate::DTypePolicy::global().compute_dtype());
            let name = self.name.clone().unwrap_or_else(|| crate::naming::auto_name("InputLayer"));
            let ty = if self.string { text::symbolic(&shape) } else { TensorType::new(dtype, shape) };
            InputLayer::for_type(&ty, &name)
        })
    }
}

impl Call for Input {
    fn layer_ref(&self) -> LayerRef {
        Arc::new(self.input_layer().clone())
    }
}

macro_rules! as_symbol {
    ($($target:ident),*) => {$(
        impl From<&Input> for $target {
            fn from(input: &Input) -> $target {
                $target::from(&input.symbol())
            }
        }
    )*};
}
as_symbol!(Nest, Tensor, Operand);

/// The layer behind an [`Input`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputLayer {
    #[serde(skip)]
    base: Base,
    batch_shape: Value,
    dtype: String,
    #[serde(default)]
    sparse: bool,
    #[serde(default)]
    ragged: bool,
    name: String,
    #[serde(default)]
    optional: bool,
    #[serde(skip)]
    symbol: Arc<OnceLock<Tensor>>,
}

keras_layer_object!(InputLayer);

impl InputLayer {
    /// For inputs of type `ty`, batch included.
    pub fn for_type(ty: &TensorType, name: &str) -> InputLayer {
        let base = Base::default();
        base.set_name(name);
        InputLayer {
            base,
            batch_shape: shape_to_json(&ty.shape),
            dtype: text::dtype_name(ty).to_owned(),
            sparse: false,
            ragged: false,
            name: name.to_owned(),
            optional: false,
            symbol: Arc::default(),
        }
    }

    /// From Keras's configuration.
    pub(crate) fn from_config(config: Value) -> Result<LayerRef> {
        let mut config = config;
        // Python writes a policy here when the input was given one.
        if let Some(policy) = config.get("dtype").filter(|d| d.is_object()) {
            let dtype = crate::DTypePolicy::from_json(policy)?.compute_dtype();
            config["dtype"] = dtype.name().into();
        }
        let layer: InputLayer = crate::saving::from_config("InputLayer", config)?;
        if layer.sparse || layer.ragged {
            return Err(Error::unsupported(
                &layer.name,
                "sparse and ragged inputs are not supported",
                "feed dense tensors, padded where rows differ in length",
            ));
        }
        layer.ty()?;
        layer.base.set_name(&layer.name);
        Ok(Arc::new(layer))
    }

    fn ty(&self) -> Result<TensorType> {
        let shape = shape_from_json(&self.batch_shape)?;
        if self.dtype == text::STRING {
            return Ok(text::symbolic(&shape));
        }
        let dtype: DType = self.dtype.parse().map_err(|e: rhyton_ir::dtype::UnknownDType| {
            Error::unsupported(&self.name, e.to_string(), "feed real numbers or texts")
        })?;
        Ok(TensorType::new(dtype, shape))
    }

    /// The symbol.
    pub fn symbol(&self) -> Tensor {
        self.symbol
            .get_or_init(|| match self.ty() {
                Ok(ty) => {
                    let node = CallNode {
                        layer: Arc::new(self.clone()),
                        index: 0,
                        arguments: Args::default(),
                        types: vec![ty.clone()],
                    };
                    Tensor::symbol(ty, History { node: Arc::new(node), output: 0 })
                }
                Err(error) => Tensor::invalid(error),
            })
            .clone()
    }
}

impl Layer for InputLayer {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        inputs.first().cloned()
    }

    fn config(&self) -> Value {
        crate::saving::config_of(self)
    }
}
