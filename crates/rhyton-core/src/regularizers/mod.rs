//! Penalties on weights and outputs that are added to the loss.

mod orthogonal;
mod powers;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, Class, KerasObject};
use crate::tensor::Tensor;

pub use orthogonal::*;
pub use powers::*;
use powers::{as_float32, factor};

/// A penalty.
pub trait Regularizer: KerasObject {
    /// The penalty, a scalar.
    ///
    /// # Errors
    /// If the weight has not the shape that this needs.
    fn call(&self, weight: &Tensor) -> Result<Tensor>;
}

/// Every class that configurations may name.
pub(crate) const CLASSES: &[Class<dyn Regularizer>] = &[
    Class { name: "L1", from_config: make::<L1> },
    Class { name: "L2", from_config: make::<L2> },
    Class { name: "L1L2", from_config: make::<L1L2> },
    Class { name: "OrthogonalRegularizer", from_config: make::<OrthogonalRegularizer> },
];

/// Rebuilds one whose configuration is what serde makes of it.
pub(crate) fn make<C: Regularizer + DeserializeOwned + 'static>(config: Value) -> Result<Arc<dyn Regularizer>> {
    Ok(Arc::new(saving::from_config::<C>("regularizer", config)?))
}

/// Any regularizer.
#[derive(Clone, Debug)]
pub struct RegularizerRef(Arc<dyn Regularizer>);

impl std::ops::Deref for RegularizerRef {
    type Target = dyn Regularizer;
    fn deref(&self) -> &(dyn Regularizer + 'static) {
        &*self.0
    }
}

impl<C: Regularizer + 'static> From<C> for RegularizerRef {
    fn from(object: C) -> RegularizerRef {
        RegularizerRef(Arc::new(object))
    }
}

impl std::str::FromStr for RegularizerRef {
    type Err = crate::Error;
    /// By Keras's name.
    fn from_str(name: &str) -> Result<RegularizerRef> {
        saving::from_json(&name.into(), "regularizer", CLASSES).map(RegularizerRef)
    }
}

impl Serialize for RegularizerRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        saving::to_json(&*self.0, "keras.regularizers").serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RegularizerRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RegularizerRef, D::Error> {
        let value = Value::deserialize(deserializer)?;
        saving::from_json(&value, "regularizer", CLASSES).map(RegularizerRef).map_err(serde::de::Error::custom)
    }
}
