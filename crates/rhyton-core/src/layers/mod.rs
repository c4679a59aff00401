//! Layers, one file each (those that differ only in rank share one), in the folders of Keras.

mod base;
mod builders;
mod call;
mod inner;
mod layer;
mod ranked;
mod remat;

mod activations;
mod attention;
mod convolutional;
mod core;
mod image_preprocessing;
mod merging;
mod normalization;
mod pooling;
mod preprocessing;
mod regularization;
mod reshaping;
mod rnn;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::dtype_policy::DTypePolicy;
use crate::error::{Error, Result};

pub use base::{Base, NewWeight};
pub(crate) use base::{last_size, size_of};
pub use call::{Call, call_layer};
pub(crate) use call::{first_mask, passed_mask};
pub use layer::{
    Context, InputShapes, Layer, LayerObject, LayerRef, ShapeNest, TextInput, build_layer, describe, shape_from_json,
    shape_to_json,
};
pub(crate) use layer::{config_with, unknown_dim};

pub use self::core::*;
pub use activations::*;
pub use attention::*;
pub use convolutional::*;
pub use image_preprocessing::*;
pub use merging::*;
pub use normalization::*;
pub use pooling::*;
pub use preprocessing::*;
pub use ranked::{DataFormat, Margins, Padding, Spatial};
pub use regularization::*;
pub(crate) use remat::activated;
pub use remat::{RematMode, RematScope};
pub use reshaping::*;
pub use rnn::*;

/// A class of layers: its name and how to rebuild one from its configuration.
pub struct LayerClass {
    /// Keras's class name.
    pub name: &'static str,
    /// From Keras's configuration.
    pub from_config: fn(Value) -> Result<LayerRef>,
}

/// All classes of layers that configurations may name.
pub fn classes() -> impl Iterator<Item = &'static LayerClass> {
    [
        activations::CLASSES,
        attention::CLASSES,
        convolutional::CLASSES,
        self::core::CLASSES,
        image_preprocessing::CLASSES,
        merging::CLASSES,
        normalization::CLASSES,
        pooling::CLASSES,
        preprocessing::CLASSES,
        regularization::CLASSES,
        reshaping::CLASSES,
        rnn::CLASSES,
    ]
    .into_iter()
    .flatten()
}

/// Rebuilds a layer whose own configuration is what serde makes of it: takes `name`, `trainable` and `dtype` out for
/// the base, and refuses keys that the class does not have.
///
/// # Errors
/// If the configuration is not what the class takes.
pub fn make<L: Layer + DeserializeOwned + 'static>(config: Value) -> Result<LayerRef> {
    let mut config = match config {
        Value::Object(config) => config,
        Value::Null => Map::new(),
        other => return Err(Error::content("layer", format!("{other} is no configuration"), "it must be an object")),
    };
    let name = config.remove("name");
    let trainable = config.remove("trainable");
    let dtype = config.remove("dtype");
    let name = name.as_ref().and_then(Value::as_str);
    let layer: L = crate::saving::from_config(name.unwrap_or("a layer"), Value::Object(config))?;
    if let Some(name) = name {
        layer.base().set_name(name);
    }
    if let Some(trainable) = trainable.as_ref().and_then(Value::as_bool) {
        layer.base().set_own_trainable(trainable);
    }
    if let Some(dtype) = &dtype {
        layer.base().set_policy(DTypePolicy::from_json(dtype)?);
    }
    Ok(layer.share())
}
