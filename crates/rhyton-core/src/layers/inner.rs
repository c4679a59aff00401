//! A layer within the configuration of another: what wrappers are written with.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::LayerRef;
use crate::model::{deserialize_layer, serialize_layer};

/// A layer that another one wraps; in configurations its full form, with `build_config` once it is built.
#[derive(Clone, Debug)]
pub(crate) struct InnerLayer(pub(crate) LayerRef);

impl std::ops::Deref for InnerLayer {
    type Target = LayerRef;
    fn deref(&self) -> &LayerRef {
        &self.0
    }
}

impl Serialize for InnerLayer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_layer(self.0.as_ref()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InnerLayer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InnerLayer, D::Error> {
        let value = Value::deserialize(deserializer)?;
        deserialize_layer(&value).map(InnerLayer).map_err(serde::de::Error::custom)
    }
}
