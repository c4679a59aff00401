//! Losses, weights and metrics for one or several outputs, as `compile` takes them.

use indexmap::IndexMap;
use serde_json::Value;

use crate::error::{Error, Result};

/// One thing for all outputs, a list by output, or a dictionary by output name.
#[derive(Clone, Debug, Default)]
pub enum Spec<T> {
    /// Nothing.
    #[default]
    None,
    /// One.
    One(T),
    /// In the order of the outputs, or, for metrics, several for one output.
    List(Vec<Spec<T>>),
    /// By the name of the output.
    Dict(IndexMap<String, Spec<T>>),
    /// A name that nothing has; `compile` returns the error.
    Invalid(Error),
}

impl<T: Clone> Spec<T> {
    /// Whether nothing is in it.
    pub fn is_none(&self) -> bool {
        matches!(self, Spec::None)
    }

    /// As Keras writes it.
    pub(crate) fn to_json(&self, leaf: &impl Fn(&T) -> Value) -> Value {
        match self {
            Spec::None | Spec::Invalid(_) => Value::Null,
            Spec::One(item) => leaf(item),
            Spec::List(items) => items.iter().map(|i| i.to_json(leaf)).collect(),
            Spec::Dict(items) => Value::Object(items.iter().map(|(k, i)| (k.clone(), i.to_json(leaf))).collect()),
        }
    }

    /// From what Keras writes; an object with a `class_name` is a leaf.
    pub(crate) fn from_json(value: &Value, leaf: &impl Fn(&Value) -> Result<T>) -> Result<Spec<T>> {
        Ok(match value {
            Value::Null => Spec::None,
            Value::Array(items) => Spec::List(items.iter().map(|i| Spec::from_json(i, leaf)).collect::<Result<_>>()?),
            Value::Object(items) if !items.contains_key("class_name") => {
                let items = items.iter().map(|(k, i)| Ok((k.clone(), Spec::from_json(i, leaf)?)));
                Spec::Dict(items.collect::<Result<_>>()?)
            }
            item => Spec::One(leaf(item)?),
        })
    }

    /// Itself, or the first error in it.
    ///
    /// # Errors
    /// That of a name that nothing has.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Spec::Invalid(error) => Err(error.clone()),
            Spec::None | Spec::One(_) => Ok(()),
            Spec::List(items) => items.iter().try_for_each(Spec::check),
            Spec::Dict(items) => items.values().try_for_each(Spec::check),
        }
    }

    /// Everything in it, in order.
    pub(crate) fn leaves(&self) -> Vec<&T> {
        match self {
            Spec::None | Spec::Invalid(_) => Vec::new(),
            Spec::One(item) => vec![item],
            Spec::List(items) => items.iter().flat_map(Spec::leaves).collect(),
            Spec::Dict(items) => items.values().flat_map(Spec::leaves).collect(),
        }
    }

    /// What there is for each of the outputs named `names`: one thing alone goes to all of them.
    ///
    /// # Errors
    /// If a list has another length, or a dictionary names what is no output; the message has the names.
    pub(crate) fn by_output(&self, what: &str, names: &[String]) -> Result<Vec<Spec<T>>> {
        match self {
            Spec::Invalid(error) => Err(error.clone()),
            Spec::None => Ok(vec![Spec::None; names.len()]),
            Spec::One(_) => Ok(vec![self.clone(); names.len()]),
            Spec::List(items) if items.len() == names.len() => Ok(items.clone()),
            Spec::List(items) => Err(Error::argument(
                what,
                format!("{} were given for {} outputs", items.len(), names.len()),
                format!("give one an output, in the order {names:?}"),
            )),
            Spec::Dict(items) => match items.keys().find(|k| !names.contains(k)) {
                Some(stranger) => Err(Error::argument(
                    what,
                    format!("{stranger:?} is no output of the model"),
                    format!("the outputs are {names:?}"),
                )),
                None => Ok(names.iter().map(|n| items.get(n).cloned().unwrap_or_default()).collect()),
            },
        }
    }
}

impl<T, I: Into<Spec<T>>> From<Option<I>> for Spec<T> {
    fn from(item: Option<I>) -> Spec<T> {
        item.map_or(Spec::None, Into::into)
    }
}

impl<T, I: Into<Spec<T>>> From<Vec<I>> for Spec<T> {
    fn from(items: Vec<I>) -> Spec<T> {
        if items.is_empty() { Spec::None } else { Spec::List(items.into_iter().map(Into::into).collect()) }
    }
}

impl<T, I: Into<Spec<T>>, const N: usize> From<[I; N]> for Spec<T> {
    fn from(items: [I; N]) -> Spec<T> {
        Spec::from(Vec::from(items))
    }
}

impl<T, I: Into<Spec<T>>> From<IndexMap<String, I>> for Spec<T> {
    fn from(items: IndexMap<String, I>) -> Spec<T> {
        Spec::Dict(items.into_iter().map(|(k, i)| (k, i.into())).collect())
    }
}

impl<T: std::str::FromStr<Err = Error>> From<&str> for Spec<T> {
    /// By Keras's name, `"mse"`.
    fn from(name: &str) -> Spec<T> {
        name.parse().map_or_else(Spec::Invalid, Spec::One)
    }
}
