//! Nested structures of tensors: what layers take and give.

use indexmap::IndexMap;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// A tensor, a list or dictionary of such, or a plain argument.
#[derive(Clone, Debug)]
pub enum Nest {
    /// A tensor.
    Tensor(Tensor),
    /// A list or tuple.
    List(Vec<Nest>),
    /// A dictionary, in order of insertion.
    Dict(IndexMap<String, Nest>),
    /// An argument that is no tensor (`null` for `None`).
    Plain(Value),
}

impl Nest {
    /// `None`.
    pub fn none() -> Nest {
        Nest::Plain(Value::Null)
    }

    /// Whether this is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Nest::Plain(Value::Null))
    }

    /// The tensors, depth first; a dictionary's in the order of its sorted keys, as Keras flattens them.
    pub fn tensors(&self) -> Vec<&Tensor> {
        let mut out = Vec::new();
        self.visit(&mut |t| out.push(t));
        out
    }

    fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Tensor)) {
        match self {
            Nest::Tensor(t) => see(t),
            Nest::List(items) => items.iter().for_each(|n| n.visit(see)),
            Nest::Dict(items) => {
                let mut keys: Vec<&String> = items.keys().collect();
                keys.sort();
                keys.into_iter().for_each(|k| items[k].visit(see));
            }
            Nest::Plain(_) => {}
        }
    }

    /// The same structure with other tensors.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map(&self, change: &mut impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Nest> {
        Ok(match self {
            Nest::Tensor(t) => Nest::Tensor(change(t)?),
            Nest::List(items) => Nest::List(items.iter().map(|n| n.map(change)).collect::<Result<_>>()?),
            Nest::Dict(items) => {
                let mut keys: Vec<&String> = items.keys().collect();
                keys.sort();
                let mut changed = IndexMap::new();
                for key in keys {
                    changed.insert(key.clone(), items[key].map(change)?);
                }
                // Visited in flattening order, kept in order of insertion.
                Nest::Dict(items.keys().filter_map(|k| changed.swap_remove_entry(k)).collect())
            }
            Nest::Plain(value) => Nest::Plain(value.clone()),
        })
    }

    /// The only tensor.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn single(&self) -> Result<&Tensor> {
        match self {
            Nest::Tensor(t) => Ok(t),
            Nest::List(items) if items.len() == 1 => items[0].single(),
            other => Err(Error::argument(
                "call",
                format!("{} tensors where one is taken", other.tensors().len()),
                "pass one tensor, or use the call that takes several",
            )),
        }
    }

    /// The value of a plain argument.
    pub fn plain(&self) -> Option<&Value> {
        match self {
            Nest::Plain(value) => Some(value),
            _ => None,
        }
    }
}

impl From<Tensor> for Nest {
    fn from(t: Tensor) -> Nest {
        Nest::Tensor(t)
    }
}

impl From<&Tensor> for Nest {
    fn from(t: &Tensor) -> Nest {
        Nest::Tensor(t.clone())
    }
}

impl<N: Into<Nest>> From<Vec<N>> for Nest {
    fn from(items: Vec<N>) -> Nest {
        Nest::List(items.into_iter().map(Into::into).collect())
    }
}

impl<N: Into<Nest>, const K: usize> From<[N; K]> for Nest {
    fn from(items: [N; K]) -> Nest {
        Nest::List(items.into_iter().map(Into::into).collect())
    }
}

impl<N: Into<Nest> + Clone> From<&[N]> for Nest {
    fn from(items: &[N]) -> Nest {
        Nest::List(items.iter().cloned().map(Into::into).collect())
    }
}

impl<N: Into<Nest>> From<Option<N>> for Nest {
    fn from(item: Option<N>) -> Nest {
        item.map_or_else(Nest::none, Into::into)
    }
}

impl From<Value> for Nest {
    fn from(value: Value) -> Nest {
        Nest::Plain(value)
    }
}

/// The arguments of a call: those by position and those by name.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// By position.
    pub positional: Vec<Nest>,
    /// By name.
    pub named: IndexMap<String, Nest>,
}

impl Args {
    /// One argument by position.
    pub fn new(argument: impl Into<Nest>) -> Args {
        Args { positional: vec![argument.into()], named: IndexMap::new() }
    }

    /// A further argument by position.
    pub fn and(mut self, argument: impl Into<Nest>) -> Args {
        self.positional.push(argument.into());
        self
    }

    /// A further argument by name: a tensor, or a plain value as JSON (`json!(true)`).
    pub fn with(mut self, name: &str, argument: impl Into<Nest>) -> Args {
        self.named.insert(name.to_owned(), argument.into());
        self
    }

    /// The first argument, which must be one tensor.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn tensor(&self) -> Result<&Tensor> {
        self.first()?.single()
    }

    /// The tensors of the first argument, for layers that take a list.
    ///
    /// # Errors
    /// If it is missing.
    pub fn list(&self) -> Result<Vec<&Tensor>> {
        Ok(self.first()?.tensors())
    }

    /// The first argument.
    ///
    /// # Errors
    /// If it is missing.
    pub fn first(&self) -> Result<&Nest> {
        self.positional
            .first()
            .or_else(|| self.named.get("inputs"))
            .ok_or_else(|| Error::argument("call", "no input was given", "pass the layer's input first"))
    }

    /// The argument at `position` or named `name`; `None` if it is absent or `None`.
    pub fn get(&self, position: usize, name: &str) -> Option<&Nest> {
        self.positional.get(position).or_else(|| self.named.get(name)).filter(|n| !n.is_none())
    }

    /// The tensor at `position` or named `name`, if there is one.
    pub fn tensor_at(&self, position: usize, name: &str) -> Option<&Tensor> {
        self.get(position, name).and_then(|n| n.single().ok())
    }

    /// The argument named `name`, if it is there and not `None`.
    pub fn named(&self, name: &str) -> Option<&Nest> {
        self.named.get(name).filter(|n| !n.is_none())
    }

    /// The truth value named `name`; false if absent.
    pub fn flag(&self, name: &str) -> bool {
        self.named.get(name).and_then(Nest::plain).and_then(Value::as_bool).unwrap_or(false)
    }

    /// All tensors: those by position, then those by name in order.
    pub fn tensors(&self) -> Vec<&Tensor> {
        self.positional.iter().chain(self.named.values()).flat_map(Nest::tensors).collect()
    }

    /// The same arguments with other tensors.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map(&self, change: &mut impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Args> {
        let positional = self.positional.iter().map(|n| n.map(change)).collect::<Result<_>>()?;
        let named = self.named.iter().map(|(k, n)| Ok((k.clone(), n.map(change)?))).collect::<Result<_>>()?;
        Ok(Args { positional, named })
    }
}

impl<N: Into<Nest>> From<N> for Args {
    fn from(argument: N) -> Args {
        Args::new(argument)
    }
}
