//! Named values that can be frozen.

use std::ops::Index;
use std::{fmt, io};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Named values of any kind that JSON has, such as the settings of an experiment. [`freeze`](Config::freeze) keeps them from being
/// changed further.
///
/// # Examples
/// ```
/// use rhyton_core::utils::Config;
///
/// let mut config = Config::new().with("learning_rate", 0.1).with("seed", 123);
/// config.set("use_ema", true)?;
/// assert_eq!(config["seed"], 123);
/// assert_eq!(config.to_json(), r#"{"learning_rate": 0.1, "seed": 123, "use_ema": true}"#);
/// config.freeze();
/// assert!(config.set("seed", 1).is_err());
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Config {
    values: Map<String, Value>,
    frozen: bool,
}

impl Config {
    /// Without values.
    pub fn new() -> Config {
        Config::default()
    }

    /// With one more value, of a configuration that is being made.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Config {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// Whether it is frozen.
    pub fn frozen(&self) -> bool {
        self.frozen
    }

    /// Keeps the values as they are from now on.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Lets the values change again.
    pub fn unfreeze(&mut self) {
        self.frozen = false;
    }

    /// Sets a value.
    ///
    /// # Errors
    /// If the configuration is frozen.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.thawed(name)?.insert(name.to_owned(), value.into());
        Ok(())
    }

    /// Sets all values of another configuration.
    ///
    /// # Errors
    /// If this configuration is frozen.
    pub fn update(&mut self, other: &Config) -> Result<()> {
        let names: Vec<&str> = other.values.keys().map(String::as_str).collect();
        self.thawed(&names.join(", "))?.extend(other.values.clone());
        Ok(())
    }

    /// Takes a value out.
    ///
    /// # Errors
    /// If the configuration is frozen, or has no such value.
    pub fn pop(&mut self, name: &str) -> Result<Value> {
        // In the order of what is left, as Python's.
        let taken = self.thawed(name)?.shift_remove(name);
        taken.ok_or_else(|| self.missing(name))
    }

    /// The value named `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The value named `name`.
    ///
    /// # Errors
    /// If there is none: the message names the one that it may be.
    pub fn value(&self, name: &str) -> Result<&Value> {
        self.get(name).ok_or_else(|| self.missing(name))
    }

    /// Names and values in the order in which they were set.
    pub fn items(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values.
    pub fn as_dict(&self) -> Map<String, Value> {
        self.values.clone()
    }

    /// The values as JSON, in Python's way of writing it.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        let mut writer = serde_json::Serializer::with_formatter(&mut text, Spaced);
        // Maps with text keys always have a JSON form.
        let _ = self.values.serialize(&mut writer);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn thawed(&mut self, names: &str) -> Result<&mut Map<String, Value>> {
        if self.frozen {
            let what = format!("{names} cannot change, for the configuration is frozen");
            return Err(Error::argument("Config", what, "unfreeze it first, or change a clone"));
        }
        Ok(&mut self.values)
    }

    fn missing(&self, name: &str) -> Error {
        crate::saving::unknown("Config", name, self.values.keys().map(String::as_str))
    }
}

/// A space after each comma and colon, as Python has it.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

impl Index<&str> for Config {
    type Output = Value;

    /// The value, or `null`, as `serde_json` has it; [`Config::value`] tells what is missing.
    fn index(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or(&Value::Null)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Config {}>", self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_frozen_stays() {
        let mut config = Config::new().with("a", 1).with("b", json!([1.0, null]));
        config.freeze();
        assert!(config.frozen());
        let told = config.set("a", 2).unwrap_err().to_string();
        assert!(told.contains("frozen") && told.contains('a'), "{told}");
        assert!(config.pop("a").is_err() && config.update(&Config::new().with("c", 1)).is_err());
        let mut other = config.clone();
        other.unfreeze();
        other.update(&Config::new().with("c", "x").with("a", 3)).unwrap();
        assert_eq!(other.pop("b").unwrap(), json!([1.0, null]));
        assert_eq!(other.to_json(), r#"{"a": 3, "c": "x"}"#);
        assert_eq!(config.to_json(), r#"{"a": 1, "b": [1.0, null]}"#);
        assert_eq!(config.items().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((other.len(), other.is_empty(), other.get("b")), (2, false, None));
    }

    #[test]
    fn names_that_are_not_there_are_told() {
        let config = Config::new().with("learning_rate", 0.1);
        let told = config.value("rate").unwrap_err().to_string();
        assert!(told.contains("did you mean learning_rate"), "{told}");
        assert_eq!(config["rate"], Value::Null);
        assert_eq!(config.value("learning_rate").unwrap(), &json!(0.1));
    }
}
