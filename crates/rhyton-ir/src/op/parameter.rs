//! `parameter`: an input of the graph.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Input number *i* of the graph, *i* being its place in [`Graph::parameters`](crate::Graph::parameters).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its type.
    pub ty: TensorType,
}

impl Parameter {
    /// None: the value is whatever the caller of the graph passes.
    pub fn samples() -> Vec<Sample> {
        Vec::new()
    }
}

impl Primitive for Parameter {
    fn name(&self) -> &'static str {
        "parameter"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [] = operands(self, inputs)?;
        Ok(vec![self.ty.clone()])
    }

    fn eval(&self, _: &[&Array]) -> Result<Vec<Array>> {
        Err(Error::unsupported(
            self.name(),
            format!("a parameter of type {} has no value of its own", self.ty),
            "evaluate the graph with an argument for it",
        ))
    }

    fn vjp(&self, _: &mut Builder, _: &Applied, _: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(Parameter { ty: self.ty.with_shape(self.ty.shape.bind(bindings)) }.into())
    }
}
