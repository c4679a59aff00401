//! How weights start.

mod constant;
mod orthogonal;
mod random;
mod stft;
mod variance_scaling;

use std::sync::Arc;

use rhyton_ir::DType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Result;
use crate::saving::{self, Class, KerasObject};
use crate::tensor::Tensor;

pub use constant::*;
pub use orthogonal::*;
pub use random::*;
pub use stft::*;
pub use variance_scaling::*;

/// How a weight starts.
pub trait Initializer: KerasObject {
    /// Values of `shape`.
    ///
    /// # Errors
    /// If the initializer cannot fill the shape.
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor>;
}

/// Every initializer that configurations may name; Keras's other names for some of them last.
pub(crate) const CLASSES: &[Class<dyn Initializer>] = &[
    Class { name: "Zeros", from_config: make::<Zeros> },
    Class { name: "Ones", from_config: make::<Ones> },
    Class { name: "Constant", from_config: make::<Constant> },
    Class { name: "Identity", from_config: make::<Identity> },
    Class { name: "RandomNormal", from_config: make::<RandomNormal> },
    Class { name: "RandomUniform", from_config: make::<RandomUniform> },
    Class { name: "TruncatedNormal", from_config: make::<TruncatedNormal> },
    Class { name: "VarianceScaling", from_config: make::<VarianceScaling> },
    Class { name: "GlorotUniform", from_config: make::<GlorotUniform> },
    Class { name: "GlorotNormal", from_config: make::<GlorotNormal> },
    Class { name: "HeUniform", from_config: make::<HeUniform> },
    Class { name: "HeNormal", from_config: make::<HeNormal> },
    Class { name: "LecunUniform", from_config: make::<LecunUniform> },
    Class { name: "LecunNormal", from_config: make::<LecunNormal> },
    Class { name: "Orthogonal", from_config: make::<Orthogonal> },
    Class { name: "STFT", from_config: make::<STFT> },
    Class { name: "zero", from_config: make::<Zeros> },
    Class { name: "one", from_config: make::<Ones> },
    Class { name: "normal", from_config: make::<RandomNormal> },
    Class { name: "uniform", from_config: make::<RandomUniform> },
    Class { name: "IdentityInitializer", from_config: make::<Identity> },
    Class { name: "OrthogonalInitializer", from_config: make::<Orthogonal> },
    Class { name: "STFTInitializer", from_config: make::<STFT> },
];

/// Rebuilds an initializer whose configuration is what serde makes of it.
pub(crate) fn make<I: Initializer + DeserializeOwned + 'static>(config: Value) -> Result<Arc<dyn Initializer>> {
    Ok(Arc::new(saving::from_config::<I>("initializer", config)?))
}

/// Any initializer; Glorot uniform by default.
#[derive(Clone, Debug)]
pub struct InitializerRef(Arc<dyn Initializer>);

impl Default for InitializerRef {
    fn default() -> InitializerRef {
        GlorotUniform::default().into()
    }
}

impl std::ops::Deref for InitializerRef {
    type Target = dyn Initializer;
    fn deref(&self) -> &(dyn Initializer + 'static) {
        &*self.0
    }
}

impl<I: Initializer + 'static> From<I> for InitializerRef {
    fn from(initializer: I) -> InitializerRef {
        InitializerRef(Arc::new(initializer))
    }
}

impl std::str::FromStr for InitializerRef {
    type Err = crate::Error;
    /// By Keras's name, `"he_normal"`.
    fn from_str(name: &str) -> Result<InitializerRef> {
        saving::from_json(&name.into(), "initializer", CLASSES).map(InitializerRef)
    }
}

impl Serialize for InitializerRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        saving::to_json(&*self.0, "keras.initializers").serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InitializerRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InitializerRef, D::Error> {
        let value = Value::deserialize(deserializer)?;
        saving::from_json(&value, "initializer", CLASSES).map(InitializerRef).map_err(serde::de::Error::custom)
    }
}
