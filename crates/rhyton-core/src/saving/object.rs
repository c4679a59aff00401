//! The form in which Keras writes objects into configurations:
//! `{"module": …, "class_name": …, "config": {…}, "registered_name": …}`.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::custom::{self, Family, registered_name};
use crate::error::{Error, Result};

/// A configuration, as a value of `serde_json`.
pub use serde_json::Value as Json;

/// An object that Keras knows by a class name and rebuilds from a configuration.
pub trait KerasObject: std::fmt::Debug + Send + Sync {
    /// Keras's class name, `GlorotUniform`.
    fn class_name(&self) -> &'static str;

    /// The arguments that rebuild it.
    fn config(&self) -> Value;

    /// Under which name a class of a user is registered, `Custom>ClassName` unless said otherwise; `None` for Keras's own.
    fn registered_name(&self) -> Option<String> {
        registered_name(std::any::type_name::<Self>(), self.class_name())
    }
}

/// One class of a family: its name, and how to rebuild one of it.
pub struct Class<T: ?Sized> {
    /// Keras's class name.
    pub name: &'static str,
    /// From its configuration.
    pub from_config: fn(Value) -> Result<Arc<T>>,
}

/// Implements [`KerasObject`] for types whose configuration is what serde makes of them.
#[macro_export]
macro_rules! keras_object {
    ($($name:ident),+ $(,)?) => {$(
        impl $crate::saving::KerasObject for $name {
            fn class_name(&self) -> &'static str {
                stringify!($name)
            }
            fn config(&self) -> $crate::saving::Json {
                $crate::saving::config_of(self)
            }
        }
    )+};
}

/// What serde makes of `object`.
pub fn config_of(object: &impl Serialize) -> Value {
    // Configurations are plain structs with string keys: serde_json has no way to fail on them.
    serde_json::to_value(object).unwrap_or(Value::Null)
}

/// The object of class `class_name` that `config` describes; unknown and ill-typed keys are refused by name.
///
/// # Errors
/// If `config` is not what the class takes.
pub fn from_config<C: DeserializeOwned>(class_name: &str, config: Value) -> Result<C> {
    let config = if config.is_null() { Value::Object(Map::new()) } else { config };
    serde_json::from_value(config).map_err(|error| {
        Error::content(
            format!("configuration of {class_name}"),
            error.to_string(),
            "this version reads what Keras 3.15 writes",
        )
    })
}

/// The full form of an object.
pub fn to_json(object: &(impl KerasObject + ?Sized), module: &str) -> Value {
    let registered = object.registered_name();
    json!({
        "module": if registered.is_some() { Value::Null } else { module.into() },
        "class_name": object.class_name(),
        "config": object.config(),
        "registered_name": registered,
    })
}

/// An object taken apart.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The Python module.
    pub module: String,
    /// The class.
    pub class_name: String,
    /// Its arguments.
    pub config: Value,
    /// Under which name a custom class is registered.
    pub registered_name: Option<String>,
    /// All of it, for what only some objects have (`build_config`, `inbound_nodes`, …).
    pub rest: Map<String, Value>,
}

impl Parts {
    /// An object of class `class_name` with default arguments.
    fn named(class_name: &str) -> Parts {
        Parts {
            module: String::new(),
            class_name: class_name.to_owned(),
            config: Value::Null,
            registered_name: None,
            rest: Map::new(),
        }
    }

    /// Takes `value` apart.
    ///
    /// # Errors
    /// If it has not the form of an object.
    pub fn of(value: &Value, what: &str) -> Result<Parts> {
        let wrong = || {
            let shown: String = value.to_string().chars().take(80).collect();
            Error::content(what, format!("{shown} is not a serialized object"), "it needs class_name and config")
        };
        let rest = value.as_object().ok_or_else(wrong)?;
        let class_name = rest.get("class_name").and_then(Value::as_str).ok_or_else(wrong)?.to_owned();
        Ok(Parts {
            module: rest.get("module").and_then(Value::as_str).unwrap_or_default().to_owned(),
            class_name,
            config: rest.get("config").cloned().unwrap_or(Value::Null),
            registered_name: rest.get("registered_name").and_then(Value::as_str).map(str::to_owned),
            rest: rest.clone(),
        })
    }

    /// Whether the class is registered by a user rather than Keras's own.
    pub fn is_custom(&self) -> bool {
        self.registered_name.as_deref().is_some_and(|r| r.contains('>'))
    }
}

/// The object of a family that `value` describes: an object's full form, or a name (`"glorot_uniform"`, `"GlorotUniform"`)
/// for one with default arguments. Classes of users ([`CustomObjects`](super::CustomObjects)) come first.
///
/// # Errors
/// If no class of the family has the name; if the configuration is not what the class takes.
pub fn from_json<T: ?Sized + Family>(value: &Value, family: &str, classes: &[Class<T>]) -> Result<Arc<T>> {
    let parts = match value {
        Value::String(name) => Parts::named(name),
        object => Parts::of(object, family)?,
    };
    let (name, config) = (parts.class_name.as_str(), parts.config.clone());
    if let Some(make) = custom::find::<T>(&parts)? {
        return make(config);
    }
    let class = classes.iter().find(|c| c.name == name || crate::naming::snake_case(c.name) == name);
    let class = class.ok_or_else(|| unknown_class::<T>(family, name, classes.iter().map(|c| c.name)))?;
    (class.from_config)(config)
}

/// The error for a name that no class of family `T` has; it suggests the nearest, or how to add a class of one's own.
pub fn unknown_class<'a, T: ?Sized + Family>(family: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    nearest(
        family,
        name,
        known,
        &format!("check the spelling; if it is a class of your own, {}", custom::how_to_add::<T>(name)),
    )
}

/// The error for a name that is not known; it suggests the nearest.
pub fn unknown<'a>(family: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    nearest(family, name, known, "check the spelling")
}

fn nearest<'a>(family: &str, name: &str, known: impl Iterator<Item = &'a str>, fix: &str) -> Error {
    let lower = name.to_lowercase();
    let close: Vec<&str> = known
        .filter(|k| {
            let k = k.to_lowercase();
            k.contains(&lower) || lower.contains(&k)
        })
        .take(3)
        .collect();
    let fix = if close.is_empty() { fix.to_owned() } else { format!("did you mean {}?", close.join(" or ")) };
    Error::content(family, format!("{name:?} is not known"), fix)
}
