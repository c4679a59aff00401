//! How weights are updated from gradients.
//!
//! Each optimizer is a file: its configuration, the slots it keeps for each weight, and a pure [`UpdateRule`] from the
//! values before a step to those after. What all share (clipping, weight decay, moving averages, accumulated gradients,
//! the count of steps) is done around the rule, once.

mod adam;
mod apply;
mod arithmetic;
mod base;
mod learning_rate;
mod optimizer;
pub mod schedules;
mod sgd;
mod slots;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, Class};

pub use adam::Adam;
pub use base::{OptimizerBase, OptimizerOptions};
pub use learning_rate::LearningRate;
pub use optimizer::{Optimizer, Step, UpdateRule, Updated};
pub use sgd::SGD;
pub use slots::NewSlots;

/// Every optimizer that configurations may name.
pub(crate) const CLASSES: &[Class<dyn Optimizer>] = &[
    Class { name: "SGD", from_config: make::<SGD> },
    Class { name: "Adam", from_config: make::<Adam> },
];

/// Rebuilds an optimizer whose own configuration is what serde makes of it: takes what all have in common out for the
/// base, and refuses keys that the class does not have.
fn make<O>(config: Value) -> Result<Arc<dyn Optimizer>>
where
    O: UpdateRule + AsMut<OptimizerBase> + DeserializeOwned + 'static,
{
    let (common, own) = OptimizerBase::split(config)?;
    let mut optimizer: O = saving::from_config("optimizer", own)?;
    optimizer.as_mut().set_options(common)?;
    optimizer.base().check(&optimizer)?;
    Ok(Arc::new(optimizer))
}

/// Any optimizer. A clone is the same optimizer: it has the same slots.
///
/// # Examples
/// ```
/// use rhyton_core::optimizers::OptimizerRef;
///
/// let optimizer: OptimizerRef = "adam".parse()?;
/// assert_eq!(optimizer.class_name(), "Adam");
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OptimizerRef(Arc<dyn Optimizer>);

impl OptimizerRef {
    /// From Keras's form of an optimizer, or its name.
    ///
    /// # Errors
    /// If no optimizer has the name (upper and lower case are the same); if the configuration is not what it takes.
    pub fn from_json(value: &Value) -> Result<OptimizerRef> {
        let name = value.as_str().or_else(|| value.get("class_name").and_then(Value::as_str));
        let lower = name.map(str::to_lowercase);
        let class = CLASSES.iter().find(|c| Some(c.name.to_lowercase()) == lower);
        let optimizer = match (value, class) {
            (Value::Object(object), Some(class)) => {
                (class.from_config)(object.get("config").cloned().unwrap_or_default())
            }
            (_, Some(class)) => (class.from_config)(Value::Null),
            (_, None) => saving::from_json(value, "optimizer", CLASSES),
        };
        optimizer.map(OptimizerRef)
    }

    /// Keras's form of it.
    pub fn to_json(&self) -> Value {
        saving::to_json(&*self.0, "keras.optimizers")
    }

    /// Whether the two are the same optimizer.
    pub fn is(&self, other: &OptimizerRef) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::ops::Deref for OptimizerRef {
    type Target = dyn Optimizer;
    fn deref(&self) -> &(dyn Optimizer + 'static) {
        &*self.0
    }
}

impl<O: Optimizer + 'static> From<O> for OptimizerRef {
    fn from(optimizer: O) -> OptimizerRef {
        OptimizerRef(Arc::new(optimizer))
    }
}

impl std::str::FromStr for OptimizerRef {
    type Err = crate::Error;
    /// By Keras's name, `"adam"` or `"Adam"`.
    fn from_str(name: &str) -> Result<OptimizerRef> {
        OptimizerRef::from_json(&name.into())
    }
}

impl Serialize for OptimizerRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OptimizerRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OptimizerRef, D::Error> {
        let value = Value::deserialize(deserializer)?;
        OptimizerRef::from_json(&value).map_err(serde::de::Error::custom)
    }
}
