//! What `gather` and `scatter` share: where the window of an index vector lies in the operand.

use super::{BinaryKind, Direction, Iota, Primitive, ReduceKind, checked, places};
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Dim, Shape, TensorType};

/// The axes of `gather` and `scatter`, which are the same facts under different names. The *windowed* tensor is the
/// result of `gather` and the updates of `scatter`: its axes are those of the windows and the batch axes of `indices`.
pub(super) struct Indexing<'a> {
    /// Axes of the windowed tensor that run over the window.
    pub window_axes: &'a [usize],
    /// Axes of the operand that the window has with size 1 and the windowed tensor lacks.
    pub dropped_axes: &'a [usize],
    /// Axes of the operand that go together with `indices_batching`.
    pub operand_batching: &'a [usize],
    /// Axes of `indices` that go together with `operand_batching`.
    pub indices_batching: &'a [usize],
    /// The axis of the operand that each component of an index vector addresses.
    pub addressed: &'a [usize],
    /// The axis of `indices` that holds the vectors; its rank if they are scalars.
    pub vector_axis: usize,
}

impl Indexing<'_> {
    /// Checks everything but the window sizes; gives the rank of the windowed tensor.
    pub fn check(&self, op: &dyn Primitive, x: &TensorType, indices: &TensorType) -> Result<usize> {
        checked::integer(op, indices)?;
        let argument = |what: String, fix: &str| Err(Error::argument(op.name(), what, fix));
        if self.vector_axis > indices.rank() {
            let what = format!("index_vector_axis {} of indices {indices}", self.vector_axis);
            return argument(what, "give one of its axes, or its rank for scalar indices");
        }
        let components = indices.shape.get(self.vector_axis).cloned().unwrap_or(Dim::Known(1));
        if !components.compatible(&Dim::Known(self.addressed.len())) {
            let what = format!("index vectors of {components} in {indices} for the axes {:?} of {x}", self.addressed);
            return Err(Error::shape(op.name(), what, "give one component an addressed axis"));
        }
        checked::axes(op, "addressed and batching axes", &[self.addressed, self.operand_batching].concat(), x.rank())?;
        checked::axes(op, "dropped and batching axes", &[self.dropped_axes, self.operand_batching].concat(), x.rank())?;
        checked::axes(op, "batching axes and vector axis", &[self.indices_batching, &[self.vector_axis]].concat(), {
            // A vector axis one past the last is the implicit one of scalar indices.
            indices.rank().max(self.vector_axis + 1)
        })?;
        if self.operand_batching.len() != self.indices_batching.len() {
            let what = format!("batching axes {:?} and {:?}", self.operand_batching, self.indices_batching);
            return argument(what, "pair every batching axis of the operand with one of the indices");
        }
        for (&a, &i) in self.operand_batching.iter().zip(self.indices_batching) {
            if !x.shape[a].compatible(&indices.shape[i]) {
                let what = format!("batching axis {a} of {x} and {i} of {indices} differ in size");
                return Err(Error::shape(op.name(), what, "make them equal"));
            }
        }
        let window = self.operand_axes(x.rank()).len();
        if self.window_axes.len() != window {
            let what = format!("window axes {:?} for a window with {window} axes in {x}", self.window_axes);
            return argument(what, "give one a window axis that is neither dropped nor batching");
        }
        let rank = self.batch_axes(indices.rank()).len() + window;
        checked::axes(op, "window axes", self.window_axes, rank)?;
        if !self.window_axes.is_sorted() {
            return argument(format!("window axes {:?} are not ascending", self.window_axes), "sort them");
        }
        Ok(rank)
    }

    /// The batch axes of `indices`.
    pub fn batch_axes(&self, indices_rank: usize) -> Vec<usize> {
        places::other_axes(indices_rank, &[&[self.vector_axis]])
    }

    /// The axes of the operand over which `window_axes` run.
    pub fn operand_axes(&self, rank: usize) -> Vec<usize> {
        places::other_axes(rank, &[self.dropped_axes, self.operand_batching])
    }

    /// For an element of the windowed tensor, by axis of the operand: where its window starts, as the indices say, and
    /// where it lies inside the window.
    pub fn locate(&self, index: &[usize], rank: usize, shape: &[usize], indices: &[i64]) -> (Vec<i64>, Vec<usize>) {
        let mut batch = (0..index.len()).filter(|a| !self.window_axes.contains(a)).map(|a| index[a]);
        let mut at: Vec<usize> =
            (0..shape.len()).map(|a| if a == self.vector_axis { 0 } else { batch.next().unwrap_or(0) }).collect();
        let (mut start, mut inside) = (vec![0; rank], vec![0; rank]);
        for (&axis, &i) in self.operand_batching.iter().zip(self.indices_batching) {
            start[axis] = at[i] as i64;
        }
        for (component, &axis) in self.addressed.iter().enumerate() {
            if self.vector_axis < shape.len() {
                at[self.vector_axis] = component;
            }
            start[axis] = indices[places::offset(shape, &at)];
        }
        for (&axis, &a) in self.operand_axes(rank).iter().zip(self.window_axes) {
            inside[axis] = index[a];
        }
        (start, inside)
    }

    /// The window's sizes by axis of the operand, given the windowed tensor's shape.
    pub fn window_sizes(&self, rank: usize, windowed: &Shape) -> Shape {
        let mut sizes = Shape::from(vec![1usize; rank]);
        for (axis, &a) in self.operand_axes(rank).into_iter().zip(self.window_axes) {
            sizes[axis] = windowed[a].clone();
        }
        sizes
    }

    /// The largest start index of each component at which the window lies inside, in the shape of `indices`.
    fn limits(&self, b: &mut Builder, x: &Shape, sizes: &Shape, indices: Value) -> Value {
        let ty = b.ty(indices);
        let mut limits = Vec::new();
        for &axis in self.addressed {
            let limit = match (x[axis].known(), sizes[axis].known()) {
                (Some(n), Some(size)) => b.scalar(ty.dtype, n as f64 - size as f64),
                _ => {
                    // Counting to a symbolic size turns it into a value.
                    let starts = x[axis].clone() - sizes[axis].clone() + Dim::Known(1);
                    let count = b.push(Iota { ty: TensorType::new(ty.dtype, [starts]), axis: 0 }, &[]);
                    b.reduce(ReduceKind::Max, count, &[0])
                }
            };
            limits.push(b.reshape(limit, [1]));
        }
        if self.vector_axis == ty.rank() {
            let limit = b.reshape(limits[0], Shape::scalar());
            return b.broadcast(limit, ty.shape, &[]);
        }
        if limits.is_empty() {
            return b.zeros_like(indices);
        }
        let limits = b.concatenate(&limits, 0);
        b.broadcast(limits, ty.shape, &[self.vector_axis])
    }

    /// The indices clamped so that every window lies inside, as `gather` does.
    pub fn clamp(&self, b: &mut Builder, x: &Shape, sizes: &Shape, indices: Value) -> Value {
        let limits = self.limits(b, x, sizes, indices);
        let zero = b.zeros_like(indices);
        let low = b.binary(BinaryKind::Maximum, indices, zero);
        b.binary(BinaryKind::Minimum, low, limits)
    }

    /// Whether each element of the windowed tensor of shape `windowed` belongs to a window that lies inside, as
    /// `scatter` demands.
    pub fn inside(&self, b: &mut Builder, x: &Shape, indices: Value, windowed: &Shape) -> Value {
        let sizes = self.window_sizes(x.rank(), windowed);
        let limits = self.limits(b, x, &sizes, indices);
        let zero = b.zeros_like(indices);
        let low = b.compare(Direction::Ge, indices, zero);
        let high = b.compare(Direction::Le, indices, limits);
        let mut inside = b.binary(BinaryKind::And, low, high);
        if self.vector_axis < b.shape(indices).rank() {
            inside = b.reduce(ReduceKind::And, inside, &[self.vector_axis]);
        }
        b.broadcast(inside, windowed.clone(), &places::other_axes(windowed.rank(), &[self.window_axes]))
    }
}

/// Numbers the elements of `shape` in row-major order.
pub(super) fn numbered(b: &mut Builder, shape: &Shape) -> Value {
    let count = b.push(Iota { ty: TensorType::new(DType::I64, [shape.elements()]), axis: 0 }, &[]);
    b.reshape(count, shape.clone())
}
