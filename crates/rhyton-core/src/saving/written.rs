//! In which of Keras's forms a loss or metric was given, so that it is written in the same.

use serde_json::{Value, json};

use super::{KerasObject, to_json};

/// How an object was given to `compile`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// As an instance of a class: written with its configuration.
    Object,
    /// By a name: written as that string.
    Name(String),
    /// As a function: written as the object that Keras makes of functions.
    Function(String),
}

impl Written {
    /// The form of `object`, whose class is of `module`.
    pub fn to_json(&self, object: &(impl KerasObject + ?Sized), module: &str) -> Value {
        match self {
            Written::Object => to_json(object, module),
            Written::Name(name) => Value::from(name.as_str()),
            Written::Function(name) => function_json(name),
        }
    }
}

/// What Keras writes for a function.
pub fn function_json(name: &str) -> Value {
    json!({"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"})
}

/// The name of the function that `value` describes, if it is the form of one.
pub fn function_name(value: &Value) -> Option<&str> {
    (value.get("class_name")?.as_str()? == "function").then(|| value.get("config")?.as_str()).flatten()
}
