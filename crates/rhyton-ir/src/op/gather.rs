//! `gather`: slices of an operand at computed places.

use serde::{Deserialize, Serialize};

use super::indexing::Indexing;
use super::{Applied, Combine, Op, Primitive, Sample, Scatter, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Dim, Shape, TensorType};

/// StableHLO's `gather`. Operands: `x` and integer `indices`; result axes are the batch axes of `indices` (all but
/// `index_vector_axis`) and the `offset_axes`. Start indices are clamped so that each slice lies inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gather {
    /// Axes of the result that run over the slice.
    pub offset_axes: Vec<usize>,
    /// Axes of `x` of slice size 1 that the result lacks.
    pub collapsed_slice_axes: Vec<usize>,
    /// Axes of `x` that go together with `indices_batching_axes`.
    pub operand_batching_axes: Vec<usize>,
    /// Axes of `indices` that go together with `operand_batching_axes`.
    pub indices_batching_axes: Vec<usize>,
    /// For component `k` of an index vector, the axis of `x` that it addresses.
    pub start_index_map: Vec<usize>,
    /// The axis of `indices` that holds index vectors; its rank if they are scalars.
    pub index_vector_axis: usize,
    /// The sizes of a slice, one an axis of `x`.
    pub slice_sizes: Shape,
}

impl Gather {
    /// `out[…, i, …] = x[…, indices[…, i, …], …]` along `axis`, with `x` and `indices` of one rank whose other sizes
    /// are equal (NumPy's `take_along_axis`).
    pub fn along_axis(rank: usize, axis: usize) -> Gather {
        let others = places::other_axes(rank, &[&[axis]]);
        Gather {
            offset_axes: vec![],
            collapsed_slice_axes: vec![axis],
            operand_batching_axes: others.clone(),
            indices_batching_axes: others,
            start_index_map: vec![axis],
            index_vector_axis: rank,
            slice_sizes: vec![1usize; rank].into(),
        }
    }

    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([3, 4], (0..12).map(|i| f64::from(i) * 0.5 - 1.0).collect::<Vec<f64>>());
        let rows = Gather {
            offset_axes: vec![1],
            collapsed_slice_axes: vec![0],
            operand_batching_axes: vec![],
            indices_batching_axes: vec![],
            start_index_map: vec![0],
            index_vector_axis: 1,
            slice_sizes: [1, 4].into(),
        };
        let boxes = Gather {
            offset_axes: vec![0, 2],
            collapsed_slice_axes: vec![],
            start_index_map: vec![1, 0],
            index_vector_axis: 0,
            slice_sizes: [2, 2].into(),
            ..rows.clone()
        };
        vec![
            // Repeated and out of range: 7 is clamped to 2, −1 to 0.
            Sample::new(rows, [x.clone(), Array::new([5], vec![2i32, 0, 2, 7, -1])]),
            Sample::new(boxes, [x.clone(), Array::new([2, 3], vec![0i64, 2, 9, 1, 0, 5])]),
            Sample::new(Gather::along_axis(2, 1), [x.clone(), Array::new([3, 2], vec![1i32, 1, 3, 0, 2, 2])]),
            Sample::new(Gather::along_axis(2, 0), [x, Array::new([2, 4], vec![1u8, 1, 2, 0, 2, 2, 0, 1])]),
        ]
    }

    fn indexing(&self) -> Indexing<'_> {
        Indexing {
            window_axes: &self.offset_axes,
            dropped_axes: &self.collapsed_slice_axes,
            operand_batching: &self.operand_batching_axes,
            indices_batching: &self.indices_batching_axes,
            addressed: &self.start_index_map,
            vector_axis: self.index_vector_axis,
        }
    }
}

impl Primitive for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, indices] = operands(self, inputs)?;
        let indexing = self.indexing();
        let rank = indexing.check(self, x, indices)?;
        if self.slice_sizes.rank() != x.rank() {
            let what = format!("slice sizes {} for {x}", self.slice_sizes);
            return Err(Error::argument(self.name(), what, "give one size an axis of the operand"));
        }
        for (axis, (size, d)) in self.slice_sizes.iter().zip(x.shape.iter()).enumerate() {
            let batching = self.operand_batching_axes.contains(&axis);
            if (batching || self.collapsed_slice_axes.contains(&axis)) && !size.compatible(&Dim::Known(1)) {
                let what =
                    format!("slice sizes {} with {size} along the collapsed or batching axis {axis}", self.slice_sizes);
                return Err(Error::argument(self.name(), what, "make it 1"));
            }
            if !batching && size.known().zip(d.known()).is_some_and(|(size, d)| size > d) {
                let what = format!("slice sizes {} in {x}", self.slice_sizes);
                return Err(Error::shape(self.name(), what, "make each at most the operand's size"));
            }
        }
        let mut batch = indexing.batch_axes(indices.rank()).into_iter().map(|a| indices.shape[a].clone());
        let mut window = indexing.operand_axes(x.rank()).into_iter().map(|a| self.slice_sizes[a].clone());
        let axis = |a: usize| if self.offset_axes.contains(&a) { window.next() } else { batch.next() };
        Ok(vec![x.with_shape((0..rank).filter_map(axis).collect::<Shape>())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn take<T: Element>(
            op: &Gather,
            x: &[T],
            from: &[usize],
            indices: &Array,
            sizes: &[usize],
            to: &[usize],
        ) -> Array {
            let (indexing, places) = (op.indexing(), checked::integers(indices));
            let out = super::indices(to).map(|index| {
                let (start, inside) = indexing.locate(&index, from.len(), indices.shape(), &places);
                let at = (0..from.len()).fold(0, |at, a| {
                    at * from[a] + start[a].clamp(0, from[a] as i64 - sizes[a] as i64) as usize + inside[a]
                });
                x[at]
            });
            Array::new(to, out.collect::<Vec<T>>())
        }
        let to = checked::shapes(self, inputs)?.remove(0);
        let sizes = super::known(self, &self.slice_sizes)?;
        let (x, indices) = (inputs[0], inputs[1]);
        Ok(vec![crate::with_data!(x.data(), v => take(self, v, x.shape(), indices, &sizes, &to))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let (x, indices) = (node.inputs[0], node.inputs[1]);
        let Some(dy) = cotangents[0].filter(|_| b.dtype(x).is_float()) else { return Ok(vec![None, None]) };
        // Scatter skips windows that lie partly outside, where gather has moved them inside.
        let indices = self.indexing().clamp(b, &b.shape(x), &self.slice_sizes, indices);
        let zero = b.zeros_like(x);
        let back = Scatter {
            update_window_axes: self.offset_axes.clone(),
            inserted_window_axes: self.collapsed_slice_axes.clone(),
            operand_batching_axes: self.operand_batching_axes.clone(),
            indices_batching_axes: self.indices_batching_axes.clone(),
            scatter_axes_to_operand_axes: self.start_index_map.clone(),
            index_vector_axis: self.index_vector_axis,
            combine: Combine::Add,
        };
        Ok(vec![Some(b.push(back, &[zero, indices, dy])), None])
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(Gather { slice_sizes: self.slice_sizes.bind(bindings), ..self.clone() }.into())
    }
}
