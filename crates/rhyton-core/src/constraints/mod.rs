//! What weights are held to after each update.

mod non_neg;
mod norm;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, Class, KerasObject};
use crate::tensor::Tensor;

pub use non_neg::*;
pub use norm::*;

/// What weights are held to.
pub trait Constraint: KerasObject {
    /// The weight, brought back to where it may be.
    ///
    /// # Errors
    /// If the weight has not the shape that this needs.
    fn call(&self, weight: &Tensor) -> Result<Tensor>;
}

/// Every class that configurations may name.
pub(crate) const CLASSES: &[Class<dyn Constraint>] = &[
    Class { name: "MaxNorm", from_config: make::<MaxNorm> },
    Class { name: "NonNeg", from_config: make::<NonNeg> },
    Class { name: "UnitNorm", from_config: make::<UnitNorm> },
    Class { name: "MinMaxNorm", from_config: make::<MinMaxNorm> },
];

/// Rebuilds one whose configuration is what serde makes of it.
pub(crate) fn make<C: Constraint + DeserializeOwned + 'static>(config: Value) -> Result<Arc<dyn Constraint>> {
    Ok(Arc::new(saving::from_config::<C>("constraint", config)?))
}

/// Any constraint.
#[derive(Clone, Debug)]
pub struct ConstraintRef(Arc<dyn Constraint>);

impl std::ops::Deref for ConstraintRef {
    type Target = dyn Constraint;
    fn deref(&self) -> &(dyn Constraint + 'static) {
        &*self.0
    }
}

impl<C: Constraint + 'static> From<C> for ConstraintRef {
    fn from(object: C) -> ConstraintRef {
        ConstraintRef(Arc::new(object))
    }
}

impl std::str::FromStr for ConstraintRef {
    type Err = crate::Error;
    /// By Keras's name.
    fn from_str(name: &str) -> Result<ConstraintRef> {
        saving::from_json(&name.into(), "constraint", CLASSES).map(ConstraintRef)
    }
}

impl Serialize for ConstraintRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        saving::to_json(&*self.0, "keras.constraints").serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ConstraintRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ConstraintRef, D::Error> {
        let value = Value::deserialize(deserializer)?;
        saving::from_json(&value, "constraint", CLASSES).map(ConstraintRef).map_err(serde::de::Error::custom)
    }
}
