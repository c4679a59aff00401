//! Keras's legacy format: a whole model, or weights alone, in one `.h5` file, as Keras 2 wrote them and Keras 3 still does.
//!
//! The root has the attributes `model_config` and `training_config`, and the groups `model_weights` and
//! `optimizer_weights`; a file of weights alone has at its root what `model_weights` holds. Unlike in `.weights.h5`, weights
//! are found by the order of the layers, or by the layers' names.

mod config;
mod keras2;
mod weights;

use std::io::Write;
use std::path::Path;

use rhyton_formats::hdf5::{Group, H5File, H5Writer, Kind, Value as H5Value};
use serde_json::{Map, Value, json};

use super::model::KERAS_VERSION;
use super::weights::format_error;
use super::{CustomObjects, Json, budget};
use crate::error::{Error, Result};
use crate::model::Model;

pub(super) use config::modern;
pub(super) use weights::{By, load};

const MODEL_WEIGHTS: &str = "model_weights";
const OPTIMIZER_WEIGHTS: &str = "optimizer_weights";

/// Whether `path` names a file of this format.
pub(super) fn is_legacy(path: &Path) -> bool {
    let name = path.to_string_lossy();
    (name.ends_with(".h5") || name.ends_with(".hdf5")) && !name.ends_with(".weights.h5")
}

/// Writes a whole model.
pub(super) fn save_model(model: &Model, path: &Path) -> Result<()> {
    let wrap = |e| format_error(path, e);
    let mut file = H5Writer::new();
    file.attribute("/", "keras_version", KERAS_VERSION).map_err(wrap)?;
    file.attribute("/", "backend", "tensorflow").map_err(wrap)?;
    let object = crate::model::serialize_layer(model);
    file.attribute("/", "model_config", config::legacy(&object).to_string()).map_err(wrap)?;
    weights::save(model, &mut file, MODEL_WEIGHTS, path)?;
    if let Some(optimizer) = model.optimizer() {
        let compilation = model.compile_config().unwrap_or_default();
        file.attribute("/", "training_config", config::legacy_training(&compilation).to_string()).map_err(wrap)?;
        weights::save_variables(&optimizer.variables(), &mut file, OPTIMIZER_WEIGHTS, path)?;
    }
    file.write(path).map_err(wrap)
}

/// Reads a whole model, compiled as it was or not at all.
pub(super) fn load_model(path: &Path, custom: &CustomObjects, compile: bool) -> Result<Model> {
    let wrap = |e| format_error(path, e);
    let at = path.to_string_lossy();
    let file = H5File::open(path).map_err(wrap)?;
    let root = file.root().map_err(wrap)?;
    let config = json_attribute(&root, "model_config", path)?.ok_or_else(|| {
        Error::content(
            at.clone(),
            "the file has no attribute model_config: it holds weights without a model",
            "build the model and read them with load_weights, or take the file that model.save wrote",
        )
    })?;
    let training = if compile { json_attribute(&root, "training_config", path)? } else { None };
    let described = || {
        let model = super::model::model_of(&modern(&config))?;
        if let Some(training) = &training {
            model.compile_from_config(&config::modern_training(training))?;
        }
        Ok(model)
    };
    let model = budget::within(file.byte_len() as u64, || custom.scope(described));
    let model = model.map_err(|e: Error| e.within(&at))?;
    if file.kind(MODEL_WEIGHTS).map_err(wrap)? != Some(Kind::Group) {
        return Err(Error::content(
            at,
            "the file has no group model_weights",
            "the file is damaged; save the model again",
        ));
    }
    if !model.built() {
        return Err(Error::content(
            at,
            "the file does not say for which inputs the model is, so its weights have no place",
            "give the model an Input in Python and save it again",
        ));
    }
    load(&model, &file.group(MODEL_WEIGHTS).map_err(wrap)?, path, By::Order, false)?;
    model.build_optimizer()?;
    if let Some(optimizer) = model.optimizer()
        && file.kind(OPTIMIZER_WEIGHTS).map_err(wrap)? == Some(Kind::Group)
    {
        let group = file.group(OPTIMIZER_WEIGHTS).map_err(wrap)?;
        if let Err(error) = weights::load_optimizer(&optimizer.variables(), &group, path, optimizer.name()) {
            // Keras, too, goes on with a fresh optimizer, and says so. Nobody is left to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "warning: the optimizer starts anew: {error}");
        }
    }
    Ok(model)
}

/// The group that holds the weights: of a whole model, or the root of a file of weights alone.
///
/// # Errors
/// If the file is none of both.
pub(super) fn weights_group<'f>(file: &'f H5File, path: &Path) -> Result<Group<'f>> {
    let wrap = |e| format_error(path, e);
    let root = file.root().map_err(wrap)?;
    if !weights::has_names(&root, "layer_names", path)? && file.kind(MODEL_WEIGHTS).map_err(wrap)? == Some(Kind::Group)
    {
        return file.group(MODEL_WEIGHTS).map_err(wrap);
    }
    Ok(root)
}

/// An attribute that holds JSON.
fn json_attribute(group: &Group, name: &str, path: &Path) -> Result<Option<Json>> {
    let Some(value) = group.attribute(name).map_err(|e| format_error(path, e))? else { return Ok(None) };
    let at = format!("{}, attribute {name}", path.display());
    let text = match &value {
        H5Value::Strings { values, .. } if values.len() == 1 => values[0].as_str(),
        _ => return Err(Error::content(at, "it is no single text", "the file is damaged; save the model again")),
    };
    match serde_json::from_str(text) {
        Ok(Value::Null) => Ok(None),
        Ok(json) => Ok(Some(json)),
        Err(error) => Err(Error::content(at, error.to_string(), "the file is damaged; save the model again")),
    }
}

/// An object of the legacy form.
fn object(class_name: &str, config: Value) -> Map<String, Value> {
    match json!({"class_name": class_name, "config": config}) {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
