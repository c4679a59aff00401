//! `scatter`: combines updates into an operand at computed places.

use serde::{Deserialize, Serialize};

use super::indexing::{Indexing, numbered};
use super::{Applied, BinaryKind, Direction, Gather, Op, Primitive, Sample, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// How an update meets the element that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The update replaces it; of several the last one stays.
    Assign,
    /// Their sum.
    Add,
    /// Their product.
    Mul,
    /// The smaller one, NaN if either is; the gradient is shared equally by ties.
    Min,
    /// The larger one, NaN if either is; the gradient is shared equally by ties.
    Max,
}

/// StableHLO's `scatter`, the transpose of [`Gather`](super::Gather). Operands: `x`, integer `indices`, `updates`.
/// Updates whose window lies partly outside are skipped; updates are combined in row-major order of `updates`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    /// Axes of `updates` that run over the window.
    pub update_window_axes: Vec<usize>,
    /// Axes of `x` of window size 1 that `updates` lacks.
    pub inserted_window_axes: Vec<usize>,
    /// Axes of `x` that go together with `indices_batching_axes`.
    pub operand_batching_axes: Vec<usize>,
    /// Axes of `indices` that go together with `operand_batching_axes`.
    pub indices_batching_axes: Vec<usize>,
    /// For component `k` of an index vector, the axis of `x` that it addresses.
    pub scatter_axes_to_operand_axes: Vec<usize>,
    /// The axis of `indices` that holds index vectors; its rank if they are scalars.
    pub index_vector_axis: usize,
    /// What happens to the element there.
    pub combine: Combine,
}

impl Scatter {
    /// Combines `updates[…, i, …]` into `x[…, indices[…, i, …], …]` along `axis`; all of one rank, `updates` and
    /// `indices` of one shape, the sizes of the other axes equal (NumPy's `put_along_axis`).
    pub fn along_axis(rank: usize, axis: usize, combine: Combine) -> Scatter {
        let others = places::other_axes(rank, &[&[axis]]);
        Scatter {
            update_window_axes: vec![],
            inserted_window_axes: vec![axis],
            operand_batching_axes: others.clone(),
            indices_batching_axes: others,
            scatter_axes_to_operand_axes: vec![axis],
            index_vector_axis: rank,
            combine,
        }
    }

    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([4, 3], (0..12).map(|i| f64::from(i) * 0.3 - 1.7).collect::<Vec<f64>>());
        let rows = Array::new([3], vec![3i32, 0, 3]); // twice the same row
        let outside = Array::new([3, 1], vec![1i64, 4, -1]); // the last two are skipped
        let updates = Array::new([3, 3], vec![0.5f64, -2.25, 1.0, 0.7, -1.45, 1.35, 2.1, -0.9, 0.8]);
        let corner = Array::new([2], vec![2i32, 1]);
        let window = Array::new([2, 2], vec![0.5f64, 3.0, -4.0, 0.9]);
        let mut samples = Vec::new();
        for combine in [Combine::Assign, Combine::Add, Combine::Mul, Combine::Min, Combine::Max] {
            let by_row = Scatter {
                update_window_axes: vec![1],
                inserted_window_axes: vec![0],
                operand_batching_axes: vec![],
                indices_batching_axes: vec![],
                scatter_axes_to_operand_axes: vec![0],
                index_vector_axis: 1,
                combine,
            };
            let boxed = Scatter {
                update_window_axes: vec![0, 1],
                inserted_window_axes: vec![],
                scatter_axes_to_operand_axes: vec![0, 1],
                index_vector_axis: 0,
                ..by_row.clone()
            };
            let along = Array::new([4, 2], vec![0i32, 1, 2, 0, 1, 2, 0, 2]);
            let values = Array::new([4, 2], vec![-2.0f64, 0.4, 1.3, -0.6, 0.05, 2.2, -1.1, 0.75]);
            samples.push(Sample::new(by_row.clone(), [x.clone(), rows.clone(), updates.clone()]));
            samples.push(Sample::new(by_row.clone(), [x.clone(), outside.clone(), updates.clone()]));
            samples.push(Sample::new(boxed, [x.clone(), corner.clone(), window.clone()]));
            samples.push(Sample::new(Scatter::along_axis(2, 1, combine), [x.clone(), along, values]));
        }
        samples
    }

    fn indexing(&self) -> Indexing<'_> {
        Indexing {
            window_axes: &self.update_window_axes,
            dropped_axes: &self.inserted_window_axes,
            operand_batching: &self.operand_batching_axes,
            indices_batching: &self.indices_batching_axes,
            addressed: &self.scatter_axes_to_operand_axes,
            vector_axis: self.index_vector_axis,
        }
    }

    /// The same places with another combination.
    fn with(&self, combine: Combine) -> Scatter {
        Scatter { combine, ..self.clone() }
    }

    /// What lies in `x` where each update goes; meaningless for updates that are skipped.
    fn gather(&self, b: &mut Builder, x: Value, indices: Value, updates: Value) -> Value {
        let gather = Gather {
            offset_axes: self.update_window_axes.clone(),
            collapsed_slice_axes: self.inserted_window_axes.clone(),
            operand_batching_axes: self.operand_batching_axes.clone(),
            indices_batching_axes: self.indices_batching_axes.clone(),
            start_index_map: self.scatter_axes_to_operand_axes.clone(),
            index_vector_axis: self.index_vector_axis,
            slice_sizes: self.indexing().window_sizes(b.shape(x).rank(), &b.shape(updates)),
        };
        b.push(gather, &[x, indices])
    }
}

impl Combine {
    fn floats(self, x: f64, update: f64) -> f64 {
        match self {
            Combine::Assign => update,
            Combine::Add => x + update,
            Combine::Mul => x * update,
            Combine::Min => {
                if x.is_nan() || x < update {
                    x
                } else {
                    update
                }
            }
            Combine::Max => {
                if x.is_nan() || x > update {
                    x
                } else {
                    update
                }
            }
        }
    }

    fn integers(self, x: i128, update: i128) -> i128 {
        match self {
            Combine::Assign => update,
            Combine::Add => x.wrapping_add(update),
            Combine::Mul => x.wrapping_mul(update),
            Combine::Min => x.min(update),
            Combine::Max => x.max(update),
        }
    }
}

impl Primitive for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, indices, updates] = operands(self, inputs)?;
        checked::same_dtype(self, x, updates)?;
        if self.combine != Combine::Assign {
            checked::number(self, x)?;
        }
        let indexing = self.indexing();
        let rank = indexing.check(self, x, indices)?;
        let fits = updates.rank() == rank && {
            let batch = indexing.batch_axes(indices.rank());
            let of_batch = places::other_axes(rank, &[&self.update_window_axes]);
            let window = indexing.operand_axes(x.rank());
            of_batch.iter().zip(batch).all(|(&a, i)| updates.shape[a].compatible(&indices.shape[i]))
                && self.update_window_axes.iter().zip(window).all(|(&a, axis)| {
                    updates.shape[a].known().zip(x.shape[axis].known()).is_none_or(|(size, d)| size <= d)
                })
        };
        if !fits {
            return Err(Error::shape(
                self.name(),
                format!(
                    "updates {updates} for {x} and indices {indices} with window axes {:?}",
                    self.update_window_axes
                ),
                format!("give updates of rank {rank}: the batch sizes of the indices and windows that fit the operand"),
            ));
        }
        Ok(vec![(*x).clone()])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn put<T: Element>(op: &Scatter, x: &[T], shape: &[usize], indices: &Array, updates: &Array) -> Array {
            let (indexing, starts) = (op.indexing(), checked::integers(indices));
            let sizes = indexing.window_sizes(shape.len(), &updates.shape().into());
            let sizes = sizes.known().expect("sizes of an array are numbers");
            let inside = |start: &[i64]| {
                (0..shape.len()).all(|a| start[a] >= 0 && start[a] <= shape[a] as i64 - sizes[a] as i64)
            };
            // Floats stay f64 until all updates are combined, so that they are rounded once.
            let mut floats: Vec<f64> =
                if T::DTYPE.is_float() { x.iter().map(|v| v.to_f64()).collect() } else { vec![] };
            let mut out = x.to_vec();
            for (index, &update) in super::indices(updates.shape()).zip(checked::values::<T>(updates)) {
                let (start, offset) = indexing.locate(&index, shape.len(), indices.shape(), &starts);
                if !inside(&start) {
                    continue;
                }
                let at = (0..shape.len()).fold(0, |at, a| at * shape[a] + start[a] as usize + offset[a]);
                if T::DTYPE.is_float() {
                    floats[at] = op.combine.floats(floats[at], update.to_f64());
                    out[at] = T::from_f64(floats[at]);
                } else {
                    out[at] = T::from_i128(op.combine.integers(out[at].to_i128(), update.to_i128()));
                }
            }
            Array::new(shape, out)
        }
        checked::shapes(self, inputs)?;
        let (x, indices, updates) = (inputs[0], inputs[1], inputs[2]);
        Ok(vec![crate::with_data!(x.data(), v => put(self, v, x.shape(), indices, updates))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let [x, indices, updates] = *operands(self, &node.inputs)?;
        let ty = b.ty(x);
        let Some(dy) = cotangents[0].filter(|_| ty.dtype.is_float()) else { return Ok(vec![None; 3]) };
        let windowed = b.shape(updates);
        let inside = self.indexing().inside(b, &ty.shape, indices, &windowed);
        let none = b.zeros_like(updates);
        let (dx, du) = match self.combine {
            Combine::Add => (dy, self.gather(b, dy, indices, updates)),
            Combine::Assign => {
                let dx = b.push(self.clone(), &[dy, indices, none]);
                // Of several updates of one element only the last one counts: the one whose number stays.
                let number = numbered(b, &windowed);
                let unwritten = b.full(&ty.with_dtype(b.dtype(number)), -1.0);
                let writers = b.push(self.clone(), &[unwritten, indices, number]);
                let writer = self.gather(b, writers, indices, updates);
                let stays = b.compare(Direction::Eq, writer, number);
                let du = self.gather(b, dy, indices, updates);
                (dx, b.select(stays, du, none))
            }
            Combine::Mul => {
                let one = b.full_like(x, 1.0);
                let factors = b.push(self.clone(), &[one, indices, updates]);
                let dx = b.mul(dy, factors);
                // The product of all others is the product of those that are not 0, without this one if it is not 0;
                // and 0 if there is another 0.
                let is_zero = b.compare(Direction::Eq, updates, none);
                let ones = b.full_like(updates, 1.0);
                let nonzero = b.select(is_zero, ones, updates);
                let product = b.push(self.clone(), &[x, indices, nonzero]);
                let product = self.gather(b, product, indices, updates);
                let others = b.div(product, nonzero);
                let is_zero = b.convert(is_zero, ty.dtype);
                let zero = b.zeros_like(x);
                let zeros = b.push(self.with(Combine::Add), &[zero, indices, is_zero]);
                let zeros = self.gather(b, zeros, indices, updates);
                let alone = b.compare(Direction::Eq, zeros, is_zero);
                let others = b.select(alone, others, none);
                let du = self.gather(b, dy, indices, updates);
                (dx, b.mul(du, others))
            }
            Combine::Min | Combine::Max => {
                let out = node.outputs[0];
                let kept = b.compare(Direction::Eq, x, out);
                let kept = b.convert(kept, ty.dtype);
                let reached = self.gather(b, out, indices, updates);
                let reaches = b.compare(Direction::Eq, updates, reached);
                let reaches = b.binary(BinaryKind::And, reaches, inside);
                let reaches = b.convert(reaches, ty.dtype);
                let ties = b.push(self.with(Combine::Add), &[kept, indices, reaches]);
                let share = b.div(dy, ties);
                let du = self.gather(b, share, indices, updates);
                (b.mul(share, kept), b.mul(du, reaches))
            }
        };
        let du = b.select(inside, du, none);
        Ok(vec![Some(dx), None, Some(du)])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
