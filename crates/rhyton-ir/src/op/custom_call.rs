//! `custom_call`: a function of the host.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Applied, Op, Primitive, Sample};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// A function of the host that graphs can call; the opening for what the primitives cannot express.
pub trait HostFunction: Send + Sync + std::fmt::Debug {
    /// The name under which it is written in text.
    fn name(&self) -> &str;
    /// The types of the outputs.
    ///
    /// # Errors
    /// If the operands do not fit.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>>;
    /// The outputs.
    ///
    /// # Errors
    /// If they cannot be computed.
    fn call(&self, inputs: &[&Array]) -> Result<Vec<Array>>;
}

/// Calls `target`. Equality, text and cache keys go by its name; a target read from text is unresolved until it is given
/// by `text::parse_with`. Has no gradient: wrap it in a [`CustomGradient`](super::CustomGradient).
#[derive(Clone, Debug)]
pub struct CustomCall {
    /// The function.
    pub target: Arc<dyn HostFunction>,
}

/// Stands for a function that is known by name only: it has the types that the text states and cannot be called.
#[derive(Clone, Debug)]
pub(crate) struct Unresolved {
    pub(crate) name: String,
    pub(crate) types: Vec<TensorType>,
}

impl HostFunction for Unresolved {
    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, _: &[&TensorType]) -> Result<Vec<TensorType>> {
        Ok(self.types.clone())
    }

    fn call(&self, _: &[&Array]) -> Result<Vec<Array>> {
        Err(Error::unsupported(
            "custom_call",
            format!("the function {:?} is known by name only", self.name),
            "pass it to text::parse_with when the graph is read",
        ))
    }
}

/// Reverses an array's elements; the sample of a host function.
#[derive(Debug)]
struct Mirror;

impl HostFunction for Mirror {
    fn name(&self) -> &str {
        "mirror"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        Ok(inputs.iter().map(|&ty| ty.clone()).collect())
    }

    fn call(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let mirror = |&x: &&Array| {
            let mut x = x.clone();
            crate::with_data!(x.data_mut(), v => v.reverse());
            x
        };
        Ok(inputs.iter().map(mirror).collect())
    }
}

impl CustomCall {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        vec![Sample::new(CustomCall { target: Arc::new(Mirror) }, [Array::new([3], vec![1i32, 2, 3])])]
    }
}

impl PartialEq for CustomCall {
    fn eq(&self, other: &CustomCall) -> bool {
        self.target.name() == other.target.name()
    }
}

/// The attributes in text.
#[derive(Serialize, Deserialize)]
#[serde(rename = "CustomCall")]
struct ByName {
    target: String,
}

impl Serialize for CustomCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ByName { target: self.target.name().to_owned() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CustomCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CustomCall, D::Error> {
        let name = ByName::deserialize(deserializer)?.target;
        Ok(CustomCall { target: Arc::new(Unresolved { name, types: Vec::new() }) })
    }
}

impl Primitive for CustomCall {
    fn name(&self) -> &'static str {
        "custom_call"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        self.target.infer(inputs)
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        self.target.call(inputs)
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Err(Error::unsupported(
            self.name(),
            format!("the gradient of the host function {:?} is not known", self.target.name()),
            "wrap the call in a custom_gradient, or stop the gradient before it",
        ))
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
