//! Short forms for adding nodes to a graph, as gradient rules and decompositions need them.

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::op::*;
use crate::shape::{Dim, Shape, TensorType};

/// Adds nodes to a graph without a `?` at each step: the first error is kept and returned by [`Builder::finish`];
/// values made after it are meaningless.
#[derive(Debug)]
pub struct Builder<'g> {
    graph: &'g mut Graph,
    error: Option<Error>,
}

impl<'g> Builder<'g> {
    /// A builder that appends to `graph`.
    pub fn new(graph: &'g mut Graph) -> Builder<'g> {
        Builder { graph, error: None }
    }

    /// The first error, if there was one.
    ///
    /// # Errors
    /// That error.
    pub fn finish(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }

    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// The type of `value`.
    pub fn ty(&self, value: Value) -> TensorType {
        self.graph.ty(value).clone()
    }

    /// The shape of `value`.
    pub fn shape(&self, value: Value) -> Shape {
        self.graph.ty(value).shape.clone()
    }

    /// The dtype of `value`.
    pub fn dtype(&self, value: Value) -> DType {
        self.graph.ty(value).dtype
    }

    /// Adds a node and gives its first output.
    pub fn push(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Value {
        self.push_all(op, inputs)[0]
    }

    /// Adds a node and gives all its outputs.
    pub fn push_all(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Vec<Value> {
        if self.error.is_none() {
            match self.graph.push(op, inputs) {
                Ok(value) => return self.graph.outputs_of(value),
                Err(error) => self.error = Some(error),
            }
        }
        // More than any primitive has outputs, so that callers may index; they point at an existing node or nowhere.
        vec![Value { node: 0, output: 0 }; 64]
    }

    /// Copies the nodes of `callee` (see [`Graph::inline`]).
    pub fn inline(&mut self, callee: &Graph, arguments: &[Value]) -> Vec<Value> {
        if self.error.is_none() {
            match self.graph.inline(callee, arguments) {
                Ok(values) => return values,
                Err(error) => self.error = Some(error),
            }
        }
        vec![Value { node: 0, output: 0 }; callee.outputs().len()]
    }

    /// Gives the node of `value` further outputs (see `Graph::extend`).
    pub(crate) fn extend(&mut self, value: Value, op: Op) {
        if self.error.is_none() {
            self.error = self.graph.extend(value, op).err();
        }
    }

    /// A constant.
    pub fn constant(&mut self, value: Array) -> Value {
        self.push(Constant { value }, &[])
    }

    /// A scalar constant.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> Value {
        self.constant(Array::scalar_of(dtype, value))
    }

    /// `value` in every element of the type of `like`.
    pub fn full_like(&mut self, like: Value, value: f64) -> Value {
        let ty = self.ty(like);
        self.full(&ty, value)
    }

    /// `value` in every element of `ty`.
    pub fn full(&mut self, ty: &TensorType, value: f64) -> Value {
        let scalar = self.scalar(ty.dtype, value);
        self.broadcast(scalar, ty.shape.clone(), &[])
    }

    /// Zeros of the type of `like`.
    pub fn zeros_like(&mut self, like: Value) -> Value {
        self.full_like(like, 0.0)
    }

    /// An elementwise function of one operand.
    pub fn unary(&mut self, kind: UnaryKind, x: Value) -> Value {
        self.push(Unary { kind }, &[x])
    }

    /// An elementwise function of two operands of one type.
    pub fn binary(&mut self, kind: BinaryKind, x: Value, y: Value) -> Value {
        self.push(Binary { kind }, &[x, y])
    }

    /// `x + y`.
    pub fn add(&mut self, x: Value, y: Value) -> Value {
        self.binary(BinaryKind::Add, x, y)
    }

    /// `x − y`.
    pub fn sub(&mut self, x: Value, y: Value) -> Value {
        self.binary(BinaryKind::Sub, x, y)
    }

    /// `x · y`, elementwise.
    pub fn mul(&mut self, x: Value, y: Value) -> Value {
        self.binary(BinaryKind::Mul, x, y)
    }

    /// `x / y`.
    pub fn div(&mut self, x: Value, y: Value) -> Value {
        self.binary(BinaryKind::Div, x, y)
    }

    /// `−x`.
    pub fn neg(&mut self, x: Value) -> Value {
        self.unary(UnaryKind::Neg, x)
    }

    /// `x · factor`.
    pub fn scale(&mut self, x: Value, factor: f64) -> Value {
        let factor = self.full_like(x, factor);
        self.mul(x, factor)
    }

    /// `x + offset`.
    pub fn shift(&mut self, x: Value, offset: f64) -> Value {
        let offset = self.full_like(x, offset);
        self.add(x, offset)
    }

    /// `x <relation> y`.
    pub fn compare(&mut self, direction: Direction, x: Value, y: Value) -> Value {
        self.push(Compare { direction }, &[x, y])
    }

    /// `predicate ? x : y`.
    pub fn select(&mut self, predicate: Value, x: Value, y: Value) -> Value {
        self.push(Select, &[predicate, x, y])
    }

    /// `x` as `dtype`; `x` itself if it is that already.
    pub fn convert(&mut self, x: Value, dtype: DType) -> Value {
        if self.dtype(x) == dtype { x } else { self.push(Convert { dtype }, &[x]) }
    }

    /// Operand axis `i` as axis `axes[i]` of `shape`; `x` itself if nothing changes.
    pub fn broadcast(&mut self, x: Value, shape: impl Into<Shape>, axes: &[usize]) -> Value {
        let shape = shape.into();
        if self.shape(x) == shape {
            return x;
        }
        self.push(BroadcastInDim { shape, axes: axes.to_vec() }, &[x])
    }

    /// Another shape for the same elements; `x` itself if it has it already.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Value {
        let shape = shape.into();
        if self.shape(x) == shape { x } else { self.push(Reshape { shape }, &[x]) }
    }

    /// Permuted axes; `x` itself if nothing changes.
    pub fn transpose(&mut self, x: Value, permutation: &[usize]) -> Value {
        if permutation.iter().enumerate().all(|(i, &p)| i == p) {
            return x;
        }
        self.push(Transpose { permutation: permutation.to_vec() }, &[x])
    }

    /// A reduction; `x` itself over no axes.
    pub fn reduce(&mut self, kind: ReduceKind, x: Value, axes: &[usize]) -> Value {
        if axes.is_empty() { x } else { self.push(Reduce { kind, axes: axes.to_vec() }, &[x]) }
    }

    /// The sum over `axes`.
    pub fn sum(&mut self, x: Value, axes: &[usize]) -> Value {
        self.reduce(ReduceKind::Sum, x, axes)
    }

    /// The inverse of a reduction's loss of axes: repeats `x` along `axes` of `shape`.
    pub fn restore(&mut self, x: Value, shape: &Shape, axes: &[usize]) -> Value {
        let kept: Vec<usize> = (0..shape.rank()).filter(|a| !axes.contains(a)).collect();
        self.broadcast(x, shape.clone(), &kept)
    }

    /// Elements `start..limit` of `axis`.
    pub fn slice_axis(&mut self, x: Value, axis: usize, start: usize, limit: impl Into<Dim>) -> Value {
        let shape = self.shape(x);
        let mut limits = shape.clone().into_vec();
        let mut starts = vec![0; shape.rank()];
        (starts[axis], limits[axis]) = (start, limit.into());
        self.push(Slice { start: starts, limit: limits, stride: vec![1; shape.rank()] }, &[x])
    }

    /// Operands one after the other along `axis`.
    pub fn concatenate(&mut self, operands: &[Value], axis: usize) -> Value {
        self.push(Concatenate { axis }, operands)
    }

    /// A product of matrices.
    pub fn dot_general(&mut self, dims: DotGeneral, lhs: Value, rhs: Value) -> Value {
        self.push(dims, &[lhs, rhs])
    }
}
