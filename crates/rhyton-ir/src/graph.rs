//! The graph: nodes in static single assignment form, in an order in which every node follows its operands.

use std::fmt;

use crate::error::{Error, Result};
use crate::op::{Op, Parameter};
use crate::shape::{Bindings, TensorType};

/// One output of one node of a [`Graph`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    /// The node's index.
    pub node: u32,
    /// Which of its outputs.
    pub output: u32,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.node)?;
        if self.output > 0 { write!(f, ".{}", self.output) } else { Ok(()) }
    }
}

/// An operation applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation with its attributes.
    pub op: Op,
    /// Its operands.
    pub inputs: Vec<Value>,
    /// The types of its outputs.
    pub types: Vec<TensorType>,
}

/// A function: parameters in, outputs out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    parameters: Vec<Value>,
    outputs: Vec<Value>,
}

impl Graph {
    /// A graph without nodes.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Adds a parameter after those there are.
    pub fn parameter(&mut self, ty: TensorType) -> Value {
        let value = Value { node: self.nodes.len() as u32, output: 0 };
        self.nodes.push(Node { op: Op::Parameter(Parameter { ty: ty.clone() }), inputs: Vec::new(), types: vec![ty] });
        self.parameters.push(value);
        value
    }

    /// Adds a node and gives its first output; further ones are `Value { output: 1, .. }` and so on.
    ///
    /// # Errors
    /// If the operands are not what the operation takes: the error names the operation and their types.
    pub fn push(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Value> {
        let op = op.into();
        if let Op::Parameter(p) = op {
            return Ok(self.parameter(p.ty));
        }
        let operands: Vec<&TensorType> = inputs.iter().map(|&v| self.ty(v)).collect();
        let types = op.infer(&operands)?;
        let value = Value { node: self.nodes.len() as u32, output: 0 };
        self.nodes.push(Node { op, inputs: inputs.to_vec(), types });
        Ok(value)
    }

    /// Replaces the operation of the node of `value` by one that has the same outputs and perhaps more after them; what
    /// refers to the node keeps its meaning.
    ///
    /// # Errors
    /// If the first outputs of `op` are not those of the node.
    pub(crate) fn extend(&mut self, value: Value, op: Op) -> Result<()> {
        let operands: Vec<&TensorType> = self.node(value).inputs.iter().map(|&v| self.ty(v)).collect();
        let types = op.infer(&operands)?;
        if !types.starts_with(&self.node(value).types) {
            return Err(Error::argument(
                op.name(),
                format!("{types:?} does not begin with {:?}", self.node(value).types),
                "only add outputs",
            ));
        }
        let node = &mut self.nodes[value.node as usize];
        (node.op, node.types) = (op, types);
        Ok(())
    }

    /// The first `count` nodes, with the parameters and without the outputs among the rest.
    pub(crate) fn prefix(&self, count: usize) -> Graph {
        let within = |values: &[Value]| values.iter().copied().filter(|v| (v.node as usize) < count).collect();
        Graph {
            nodes: self.nodes[..count].to_vec(),
            parameters: within(&self.parameters),
            outputs: within(&self.outputs),
        }
    }

    /// Sets what the graph computes.
    pub fn set_outputs(&mut self, outputs: Vec<Value>) {
        self.outputs = outputs;
    }

    /// The nodes, each after its operands.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node that computes `value`.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.node as usize]
    }

    /// All outputs of the node that computes `value`.
    pub fn outputs_of(&self, value: Value) -> Vec<Value> {
        (0..self.node(value).types.len() as u32).map(|output| Value { node: value.node, output }).collect()
    }

    /// The type of `value`.
    pub fn ty(&self, value: Value) -> &TensorType {
        &self.nodes[value.node as usize].types[value.output as usize]
    }

    /// The parameters, in order.
    pub fn parameters(&self) -> &[Value] {
        &self.parameters
    }

    /// The types of the parameters.
    pub fn parameter_types(&self) -> Vec<TensorType> {
        self.parameters.iter().map(|&v| self.ty(v).clone()).collect()
    }

    /// What the graph computes.
    pub fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    /// The types of the outputs.
    pub fn output_types(&self) -> Vec<TensorType> {
        self.outputs.iter().map(|&v| self.ty(v).clone()).collect()
    }

    /// Copies the nodes of `callee` into this graph with `arguments` for its parameters, and gives its outputs.
    ///
    /// # Errors
    /// If the arguments are not what the parameters take.
    pub fn inline(&mut self, callee: &Graph, arguments: &[Value]) -> Result<Vec<Value>> {
        if arguments.len() != callee.parameters.len() {
            return Err(Error::argument(
                "inline",
                format!("{} arguments for {} parameters", arguments.len(), callee.parameters.len()),
                "give one argument a parameter",
            ));
        }
        let mut renamed = vec![0u32; callee.nodes.len()];
        let mut replaced = vec![None; callee.nodes.len()];
        for (&parameter, &argument) in callee.parameters.iter().zip(arguments) {
            let (want, got) = (callee.ty(parameter), self.ty(argument));
            if want.dtype != got.dtype || !want.shape.compatible(&got.shape) {
                return Err(Error::shape(
                    "inline",
                    format!("argument {got} for parameter {want}"),
                    "pass what it takes",
                ));
            }
            replaced[parameter.node as usize] = Some(argument);
        }
        let rename = |v: Value, renamed: &[u32], replaced: &[Option<Value>]| {
            replaced[v.node as usize].unwrap_or(Value { node: renamed[v.node as usize], output: v.output })
        };
        for (i, node) in callee.nodes.iter().enumerate() {
            if replaced[i].is_some() {
                continue;
            }
            let inputs: Vec<Value> = node.inputs.iter().map(|&v| rename(v, &renamed, &replaced)).collect();
            renamed[i] = self.push(node.op.clone(), &inputs)?.node;
        }
        Ok(callee.outputs.iter().map(|&v| rename(v, &renamed, &replaced)).collect())
    }

    /// The same graph with numbers for the symbols that `bindings` names; every shape is inferred anew.
    ///
    /// # Errors
    /// If shapes that were compatible as symbols differ as numbers.
    pub fn bind(&self, bindings: &Bindings) -> Result<Graph> {
        let mut out = Graph::new();
        let mut renamed: Vec<u32> = Vec::with_capacity(self.nodes.len());
        let rename = |v: &Value, renamed: &[u32]| Value { node: renamed[v.node as usize], output: v.output };
        for node in &self.nodes {
            let inputs: Vec<Value> = node.inputs.iter().map(|v| rename(v, &renamed)).collect();
            renamed.push(out.push(node.op.bind(bindings)?, &inputs)?.node);
        }
        out.parameters = self.parameters.iter().map(|v| rename(v, &renamed)).collect();
        out.outputs = self.outputs.iter().map(|v| rename(v, &renamed)).collect();
        Ok(out)
    }
}
