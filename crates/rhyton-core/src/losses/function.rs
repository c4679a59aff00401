//! Losses that are functions: Keras's by name, and one's own.

use std::fmt;
use std::sync::Arc;

use rhyton_ir::DType;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{CLASSES, Loss, LossRef, Reduction, no_such, reduction_or_none, same_rank};
use crate::error::Result;
use crate::saving::{KerasObject, Written, config_of, from_config, function_json, function_name};
use crate::tensor::Tensor;

/// Keras's functions: each with its other names and the class that computes the same.
const FUNCTIONS: &[(&str, &[&str], &str)] = &[
    ("binary_crossentropy", &["bce", "BCE"], "BinaryCrossentropy"),
    ("binary_focal_crossentropy", &[], "BinaryFocalCrossentropy"),
    ("categorical_crossentropy", &[], "CategoricalCrossentropy"),
    ("categorical_focal_crossentropy", &[], "CategoricalFocalCrossentropy"),
    ("categorical_hinge", &[], "CategoricalHinge"),
    ("circle", &[], "Circle"),
    ("cosine_similarity", &[], "CosineSimilarity"),
    ("ctc", &[], "CTC"),
    ("dice", &[], "Dice"),
    ("hinge", &[], "Hinge"),
    ("huber", &[], "Huber"),
    ("kl_divergence", &["kld", "KLD"], "KLDivergence"),
    ("log_cosh", &[], "LogCosh"),
    ("mean_absolute_error", &["mae", "MAE"], "MeanAbsoluteError"),
    ("mean_absolute_percentage_error", &["mape", "MAPE"], "MeanAbsolutePercentageError"),
    ("mean_squared_error", &["mse", "MSE"], "MeanSquaredError"),
    ("mean_squared_logarithmic_error", &["msle", "MSLE"], "MeanSquaredLogarithmicError"),
    ("poisson", &[], "Poisson"),
    ("sparse_categorical_crossentropy", &[], "SparseCategoricalCrossentropy"),
    ("squared_hinge", &[], "SquaredHinge"),
    ("tversky", &[], "Tversky"),
];

/// A function of `y_true` and `y_pred` that gives the value of each sample.
pub(crate) type SampleFunction = dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync;

/// A function as a loss.
#[derive(Clone, Debug)]
pub struct LossFunctionWrapper {
    function: Function,
    name: String,
    reduction: Reduction,
}

#[derive(Clone)]
enum Function {
    /// One of Keras's, computed by the class of the same meaning, with its arguments beside the two tensors.
    Keras { name: &'static str, class: Arc<dyn Loss>, arguments: Map<String, Value> },
    /// The cross-entropy that the shapes ask for.
    Crossentropy,
    /// One's own.
    Custom { name: String, function: Arc<SampleFunction> },
}

impl Function {
    fn name(&self) -> &str {
        match self {
            Function::Keras { name, .. } => name,
            Function::Crossentropy => "crossentropy",
            Function::Custom { name, .. } => name,
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A function of one's own as a loss: it takes `y_true` and `y_pred` and gives a value for each sample (or one for all).
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, losses, ops};
///
/// let loss = losses::custom("cubed", |t, p| ops::mean(&ops::absolute(&((p - t) * (p - t) * (p - t))), -1, false));
/// let value = loss.compute(&Tensor::new([2, 1], vec![0.0f32, 1.0]), &Tensor::new([2, 1], vec![2.0f32, 1.0]), None)?;
/// assert_eq!(value.item()?, 4.0);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn custom(
    name: impl Into<String>,
    function: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
) -> LossRef {
    let name = name.into();
    let function = Function::Custom { name: name.clone(), function: Arc::new(function) };
    let loss = LossFunctionWrapper { function, name: name.clone(), reduction: Reduction::default() };
    LossRef::written_as(Arc::new(loss), Written::Function(name))
}

/// Every name that [`named`] knows.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().flat_map(|(name, aliases, _)| aliases.iter().chain([name])).copied()
}

/// Keras's function of a name (or the cross-entropy by shapes), as a loss that is called `as_name`.
pub(crate) fn named(name: &str, as_name: &str) -> Result<LossFunctionWrapper> {
    let function = if is_by_shape(name) { Function::Crossentropy } else { keras(name, Map::new())? };
    Ok(LossFunctionWrapper { function, name: as_name.to_owned(), reduction: Reduction::default() })
}

/// Whether a name stands for the cross-entropy that the shapes ask for.
pub(super) fn is_by_shape(name: &str) -> bool {
    matches!(name.to_lowercase().as_str(), "crossentropy" | "ce")
}

/// The cross-entropy that the shapes ask for, called `as_name`.
pub(super) fn by_shape(y_true: &Tensor, y_pred: &Tensor, as_name: &str) -> Result<LossFunctionWrapper> {
    let name = match is_binary_or_sparse_categorical(y_true, y_pred) {
        (true, _) => "binary_crossentropy",
        (_, true) => "sparse_categorical_crossentropy",
        _ => "categorical_crossentropy",
    };
    named(name, as_name)
}

fn keras(name: &str, arguments: Map<String, Value>) -> Result<Function> {
    let found = FUNCTIONS.iter().find(|(own, aliases, _)| *own == name || aliases.contains(&name));
    let &(name, _, class) = found.ok_or_else(|| no_such(name))?;
    let class = CLASSES.iter().find(|c| c.name == class).ok_or_else(|| no_such(class))?;
    let class = (class.from_config)(Value::Object(arguments.clone()))?;
    Ok(Function::Keras { name, class, arguments })
}

/// Whether the shapes ask for a binary loss or metric, and else whether labels are numbers of classes, by Keras's rule for
/// `"accuracy"` and `"crossentropy"`.
pub fn is_binary_or_sparse_categorical(y_true: &Tensor, y_pred: &Tensor) -> (bool, bool) {
    let binary = y_pred.dim(-1).is(1);
    let sparse = y_true.rank() < y_pred.rank() || (y_true.dim(-1).is(1) && !binary);
    (binary, sparse)
}

impl LossFunctionWrapper {
    /// Keras's function of a name as a loss.
    ///
    /// # Errors
    /// If there is no function of that name.
    pub fn new(function: &str) -> Result<LossFunctionWrapper> {
        named(function, "loss_function_wrapper")
    }

    /// How the values of the samples become one; their mean unless said.
    pub fn reduction(mut self, reduction: Reduction) -> LossFunctionWrapper {
        self.reduction = reduction;
        self
    }

    /// The name, under which histories list it.
    pub fn name(mut self, name: impl Into<String>) -> LossFunctionWrapper {
        self.name = name.into();
        self
    }
}

impl Loss for LossFunctionWrapper {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        match &self.function {
            Function::Keras { class, .. } => class.call(y_true, y_pred),
            Function::Crossentropy => by_shape(y_true, y_pred, &self.name)?.call(y_true, y_pred),
            Function::Custom { function, .. } => {
                let (y_true, y_pred) = same_rank(y_true, y_pred, true);
                function(&y_true, &y_pred).check().cloned()
            }
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn dtype(&self) -> DType {
        crate::config::floatx()
    }
}

impl KerasObject for LossFunctionWrapper {
    fn class_name(&self) -> &'static str {
        "LossFunctionWrapper"
    }

    fn config(&self) -> Value {
        let mut config = Map::new();
        config.insert("name".into(), self.name.as_str().into());
        config.insert("reduction".into(), config_of(&self.reduction));
        config.insert("fn".into(), function_json(self.function.name()));
        if let Function::Keras { arguments, .. } = &self.function {
            config.extend(arguments.clone());
        }
        Value::Object(config)
    }
}

/// Rebuilds a wrapper of one of Keras's functions.
pub(super) fn wrapper_from_config(config: Value) -> Result<Arc<dyn Loss>> {
    Ok(Arc::new(wrapper(config)?))
}

/// [`wrapper_from_config`], of its own type.
pub(crate) fn wrapper(config: Value) -> Result<LossFunctionWrapper> {
    #[derive(Deserialize)]
    struct Config {
        name: Option<String>,
        #[serde(deserialize_with = "reduction_or_none")]
        reduction: Reduction,
        r#fn: Value,
        #[serde(flatten)]
        arguments: Map<String, Value>,
    }
    let config: Config = from_config("LossFunctionWrapper", config)?;
    let name = function_name(&config.r#fn).unwrap_or_default();
    let function = keras(name, config.arguments)?;
    let name = config.name.unwrap_or_else(|| "loss_function_wrapper".into());
    Ok(LossFunctionWrapper { function, name, reduction: config.reduction })
}
