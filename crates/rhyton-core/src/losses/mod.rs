//! Losses: what training makes small.
//!
//! A loss gives a value for each sample; weights, masks and a reduction make one number of them. A loss is given to
//! `compile` as an instance of its class, by Keras's name of a function (`"mse"`) or a class, or as a function of one's
//! own ([`custom`]).

mod circle;
mod crossentropy;
mod ctc;
mod define;
mod focal;
mod function;
#[cfg(test)]
mod golden_test;
mod hinge;
mod overlap;
mod reduction;
mod regression;

use std::sync::Arc;

use rhyton_ir::DType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, Class, KerasObject, Written, unknown_class};
use crate::tensor::Tensor;
use crate::trainer::Spec;

pub use circle::*;
pub use crossentropy::*;
pub use ctc::*;
pub use focal::*;
pub(crate) use function::wrapper;
pub use function::{LossFunctionWrapper, custom, is_binary_or_sparse_categorical};
pub use hinge::*;
pub use overlap::*;
pub use reduction::Reduction;
pub(crate) use reduction::{apply_mask, count, reduction_or_none, same_rank};
pub use regression::{
    CosineSimilarity, Huber, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
    MeanSquaredLogarithmicError, cosine_similarity, huber, log_cosh, mean_absolute_error,
    mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error,
};
pub(crate) use regression::{aligned, cosine};

/// A loss.
pub trait Loss: KerasObject {
    /// The value of each sample. A mask on the result says which of them count.
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor>;

    /// The name, under which histories list it.
    fn name(&self) -> &str;

    /// How the values of the samples become one.
    fn reduction(&self) -> Reduction {
        Reduction::default()
    }

    /// In which dtype it is computed.
    fn dtype(&self) -> DType {
        crate::config::floatx()
    }
}

/// Every class that configurations may name.
pub(crate) const CLASSES: &[Class<dyn Loss>] = &[
    Class { name: "BinaryCrossentropy", from_config: make::<BinaryCrossentropy> },
    Class { name: "BinaryFocalCrossentropy", from_config: make::<BinaryFocalCrossentropy> },
    Class { name: "CTC", from_config: make::<CTC> },
    Class { name: "CategoricalCrossentropy", from_config: make::<CategoricalCrossentropy> },
    Class { name: "CategoricalFocalCrossentropy", from_config: make::<CategoricalFocalCrossentropy> },
    Class { name: "CategoricalGeneralizedCrossEntropy", from_config: make::<CategoricalGeneralizedCrossEntropy> },
    Class { name: "CategoricalHinge", from_config: make::<CategoricalHinge> },
    Class { name: "Circle", from_config: make::<Circle> },
    Class { name: "CosineSimilarity", from_config: make::<CosineSimilarity> },
    Class { name: "Dice", from_config: make::<Dice> },
    Class { name: "Hinge", from_config: make::<Hinge> },
    Class { name: "Huber", from_config: make::<Huber> },
    Class { name: "KLDivergence", from_config: make::<KLDivergence> },
    Class { name: "LogCosh", from_config: make::<LogCosh> },
    Class { name: "LossFunctionWrapper", from_config: function::wrapper_from_config },
    Class { name: "MeanAbsoluteError", from_config: make::<MeanAbsoluteError> },
    Class { name: "MeanAbsolutePercentageError", from_config: make::<MeanAbsolutePercentageError> },
    Class { name: "MeanSquaredError", from_config: make::<MeanSquaredError> },
    Class { name: "MeanSquaredLogarithmicError", from_config: make::<MeanSquaredLogarithmicError> },
    Class { name: "Poisson", from_config: make::<Poisson> },
    Class { name: "SparseCategoricalCrossentropy", from_config: make::<SparseCategoricalCrossentropy> },
    Class { name: "SquaredHinge", from_config: make::<SquaredHinge> },
    Class { name: "Tversky", from_config: make::<Tversky> },
];

/// Rebuilds one whose configuration is what serde makes of it.
pub(crate) fn make<C: Loss + DeserializeOwned + 'static>(config: Value) -> Result<Arc<dyn Loss>> {
    Ok(Arc::new(saving::from_config::<C>("loss", config)?))
}

/// Any loss.
#[derive(Clone, Debug)]
pub struct LossRef {
    loss: Arc<dyn Loss>,
    written: Written,
}

impl LossRef {
    /// A loss that configurations write as `written`.
    pub fn written_as(loss: Arc<dyn Loss>, written: Written) -> LossRef {
        LossRef { loss, written }
    }

    /// The loss of a batch: the values of the samples, weighted, masked and reduced. Arguments are converted to the
    /// loss's dtype first.
    ///
    /// Steps count where the mask that `y_pred` carries says so, and that of the loss's own values.
    ///
    /// # Errors
    /// If the shapes of labels, predictions and weights do not fit each other.
    pub fn compute(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<Tensor> {
        let dtype = self.loss.dtype();
        let within = |e: crate::Error| e.within(self.loss.name());
        let values = self.loss.call(&y_true.cast(dtype).without_mask(), &y_pred.cast(dtype).without_mask());
        let values = values.map_err(within)?;
        let mask = match (y_pred.mask(), values.mask()) {
            (Some(given), Some(own)) => Some(crate::ops::logical_and(given, own)),
            (given, own) => given.or(own).cloned(),
        };
        let reduction = self.loss.reduction();
        reduction::reduce_weighted(&values, sample_weight, mask.as_ref(), reduction, dtype).map_err(within)
    }

    /// Itself, or for `"crossentropy"` the loss that the shapes ask for.
    ///
    /// # Errors
    /// None today; shapes that fit no loss are refused by [`LossRef::compute`].
    pub fn for_shapes(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<LossRef> {
        match &self.written {
            Written::Name(name) if function::is_by_shape(name) => {
                let chosen = function::by_shape(y_true, y_pred, name)?;
                Ok(LossRef::written_as(Arc::new(chosen), self.written.clone()))
            }
            _ => Ok(self.clone()),
        }
    }

    /// As Keras writes it into what `compile` was given.
    pub fn to_json(&self) -> Value {
        self.written.to_json(&*self.loss, "keras.losses")
    }

    /// From what Keras writes: the name of a function or class, or an object.
    ///
    /// # Errors
    /// If the name is not known, or the configuration is not what the class takes.
    pub fn from_json(value: &Value) -> Result<LossRef> {
        if let Value::String(name) = value {
            return name.parse();
        }
        if let Some(name) = saving::function_name(value) {
            let loss = function::named(name, name)?;
            return Ok(LossRef::written_as(Arc::new(loss), Written::Function(name.to_owned())));
        }
        Ok(LossRef::written_as(saving::from_json(value, "loss", CLASSES)?, Written::Object))
    }
}

impl std::ops::Deref for LossRef {
    type Target = dyn Loss;
    fn deref(&self) -> &(dyn Loss + 'static) {
        &*self.loss
    }
}

impl<L: Loss + 'static> From<L> for LossRef {
    fn from(loss: L) -> LossRef {
        LossRef::written_as(Arc::new(loss), Written::Object)
    }
}

impl<L: Loss + 'static> From<L> for Spec<LossRef> {
    fn from(loss: L) -> Spec<LossRef> {
        Spec::One(loss.into())
    }
}

impl From<LossRef> for Spec<LossRef> {
    fn from(loss: LossRef) -> Spec<LossRef> {
        Spec::One(loss)
    }
}

impl std::str::FromStr for LossRef {
    type Err = crate::Error;

    /// By Keras's name of a function (`"mse"`, `"binary_crossentropy"`) or a class (`"MeanSquaredError"`); `"crossentropy"`
    /// is the one that the shapes ask for.
    fn from_str(name: &str) -> Result<LossRef> {
        let written = Written::Name(name.to_owned());
        if let Some(class) = CLASSES.iter().find(|c| c.name == name && name != "LossFunctionWrapper") {
            return Ok(LossRef::written_as((class.from_config)(Value::Null)?, written));
        }
        Ok(LossRef::written_as(Arc::new(function::named(name, name)?), written))
    }
}

impl TryFrom<&str> for LossRef {
    type Error = crate::Error;
    fn try_from(name: &str) -> Result<LossRef> {
        name.parse()
    }
}

impl Serialize for LossRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LossRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LossRef, D::Error> {
        LossRef::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The error for a name that no loss has.
fn no_such(name: &str) -> crate::Error {
    unknown_class::<dyn Loss>("loss", name, CLASSES.iter().map(|c| c.name).chain(function::names()))
}
