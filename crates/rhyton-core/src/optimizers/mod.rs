//! How weights are updated from gradients.
//!
//! Each optimizer is a file: its configuration, the slots it keeps for each weight, and a pure [`UpdateRule`] from the
//! values before a step to those after. What all share (clipping, weight decay, moving averages, accumulated gradients,
//! the count of steps) is done around the rule, once.

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod apply;
mod arithmetic;
mod base;
mod ftrl;
mod lamb;
mod learning_rate;
mod lion;
mod lossscaleoptimizer;
mod multioptimizer;
mod muon;
mod nadam;
mod optimizer;
mod rmsprop;
mod schedulefreeadamw;
pub mod schedules;
mod sgd;
mod slots;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, Class};

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use base::{OptimizerBase, OptimizerOptions};
pub use ftrl::Ftrl;
pub use lamb::Lamb;
pub use learning_rate::LearningRate;
pub use lion::Lion;
pub use lossscaleoptimizer::LossScaleOptimizer;
pub use multioptimizer::{MultiOptimizer, OptimizerMap};
pub use muon::Muon;
pub use nadam::Nadam;
pub use optimizer::{Optimizer, Step, UpdateRule, Updated};
pub use rmsprop::RMSprop;
pub use schedulefreeadamw::ScheduleFreeAdamW;
pub use sgd::SGD;
pub use slots::NewSlots;

/// Every optimizer that configurations may name.
pub(crate) const CLASSES: &[Class<dyn Optimizer>] = &[
    Class { name: "SGD", from_config: make::<SGD> },
    Class { name: "Adam", from_config: make::<Adam> },
    Class { name: "AdamW", from_config: make::<AdamW> },
    Class { name: "RMSprop", from_config: make::<RMSprop> },
    Class { name: "Adagrad", from_config: make::<Adagrad> },
    Class { name: "Adadelta", from_config: make::<Adadelta> },
    Class { name: "Adamax", from_config: make::<Adamax> },
    Class { name: "Nadam", from_config: make::<Nadam> },
    Class { name: "Ftrl", from_config: make::<Ftrl> },
    Class { name: "Lion", from_config: make::<Lion> },
    Class { name: "Lamb", from_config: make::<Lamb> },
    Class { name: "Adafactor", from_config: make::<Adafactor> },
    Class { name: "Muon", from_config: make::<Muon> },
    Class { name: "ScheduleFreeAdamW", from_config: make::<ScheduleFreeAdamW> },
    Class { name: "MultiOptimizer", from_config: |config| Ok(Arc::new(MultiOptimizer::from_config(config)?)) },
    Class { name: "LossScaleOptimizer", from_config: |config| Ok(Arc::new(LossScaleOptimizer::from_config(config)?)) },
];

/// Rebuilds an optimizer whose own configuration is what serde makes of it: takes what all have in common out for the
/// base, and refuses keys that the class does not have.
pub(crate) fn make<O>(config: Value) -> Result<Arc<dyn Optimizer>>
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
        let is_keras = value.get("registered_name").is_none_or(Value::is_null);
        let class = CLASSES.iter().find(|c| is_keras && Some(c.name.to_lowercase()) == lower);
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
