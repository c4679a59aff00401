//! `gather` and `scatter`: boxes at places that an array of integers gives.

use rhyton_ir::op::{Combine, Gather, Scatter};
use rhyton_ir::{DType, Result, with_element};

use super::copy::read_integer;
use super::emit::{Operand, Target};
use super::view::dense_strides;
use crate::fuse::block;
use crate::kernels::fold::{Fold, Foldable};
use crate::kernels::gemm::Shared;
use crate::plan::{Context, Cost, Kernel, Slot};

/// Bytes moved by a task.
const TASK: usize = 64 * 1024;

/// One of the axes over which places are given.
#[derive(Clone, Debug)]
struct PlaceAxis {
    size: usize,
    /// Strides in the small operand (the slices or updates), in the indices, and in the large operand (0 unless the
    /// axis goes together with one of its).
    small: isize,
    index: isize,
    large: isize,
}

/// One of the numbers of an index vector.
#[derive(Clone, Debug)]
struct Component {
    /// Its place in the index vector.
    offset: isize,
    /// The largest start at which the box lies inside.
    limit: i64,
    /// Of the large operand's axis that it addresses.
    stride: isize,
}

/// How places and boxes lie in the large operand, the small one and the indices.
#[derive(Clone, Debug)]
struct Boxes {
    places: Vec<PlaceAxis>,
    components: Vec<Component>,
    /// The box: sizes, strides in the large operand and in the small one; neighbouring axes are joined.
    dims: Vec<usize>,
    large: Vec<isize>,
    small: Vec<isize>,
    index: Slot,
    index_dtype: DType,
}

/// What `gather` and `scatter` say in the same way.
struct Dimensions<'a> {
    window_axes: &'a [usize],
    dropped_axes: &'a [usize],
    operand_batching: &'a [usize],
    indices_batching: &'a [usize],
    addressed: &'a [usize],
    vector_axis: usize,
}

impl Boxes {
    fn new(d: &Dimensions, large: &[usize], indices: &Operand, small: &[usize], sizes: &[usize]) -> Boxes {
        let (large_strides, small_strides) = (dense_strides(large), dense_strides(small));
        let index_strides = dense_strides(indices.dims());
        let index_axes: Vec<usize> = (0..indices.dims().len()).filter(|&a| a != d.vector_axis).collect();
        let place_axes = (0..small.len()).filter(|a| !d.window_axes.contains(a));
        let places = place_axes
            .zip(&index_axes)
            .map(|(s, &i)| {
                let together = d.indices_batching.iter().position(|&a| a == i);
                let large = together.map_or(0, |k| large_strides[d.operand_batching[k]]);
                PlaceAxis { size: small[s], small: small_strides[s], index: index_strides[i], large }
            })
            .collect();
        let vector = index_strides.get(d.vector_axis).copied().unwrap_or(0);
        let components = d
            .addressed
            .iter()
            .enumerate()
            .map(|(k, &axis)| Component {
                offset: k as isize * vector,
                limit: large[axis] as i64 - sizes[axis] as i64,
                stride: large_strides[axis],
            })
            .collect();
        let kept: Vec<usize> =
            (0..large.len()).filter(|a| !d.dropped_axes.contains(a) && !d.operand_batching.contains(a)).collect();
        let dims: Vec<usize> = kept.iter().map(|&a| sizes[a]).collect();
        let mut both = [
            kept.iter().map(|&a| large_strides[a]).collect::<Vec<_>>(),
            d.window_axes.iter().map(|&a| small_strides[a]).collect::<Vec<_>>(),
        ];
        let mut dims = super::view::collapse(&dims, &mut both, 0);
        let [mut large, mut small] = both;
        if dims.is_empty() {
            (dims, large, small) = (vec![1], vec![1], vec![1]);
        }
        Boxes { places, components, dims, large, small, index: indices.slot, index_dtype: indices.dtype }
    }

    /// How many boxes there are.
    fn count(&self) -> usize {
        self.places.iter().map(|p| p.size).product()
    }

    /// Elements of a box.
    fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Where box `number` lies in the large operand and in the small one; `None` if it lies partly outside and is not
    /// to be moved inside.
    fn locate(&self, cx: &Context, number: usize, clamp: bool) -> Option<(isize, isize)> {
        let (mut rest, mut large, mut small, mut index) = (number, 0, 0, 0);
        for p in self.places.iter().rev() {
            let i = (rest % p.size) as isize;
            rest /= p.size;
            large += i * p.large;
            small += i * p.small;
            index += i * p.index;
        }
        let size = self.index_dtype.size() as isize;
        for c in &self.components {
            // SAFETY: the place of this component in the indices.
            let start =
                unsafe { read_integer(self.index_dtype, cx.pointer(self.index).offset((index + c.offset) * size)) };
            if !clamp && !(0..=c.limit).contains(&start) {
                return None;
            }
            large += start.clamp(0, c.limit.max(0)) as isize * c.stride;
        }
        Some((large, small))
    }

    /// Calls `run(large, small, n)` for each stretch of a box along its last axis.
    fn stretches(&self, (large, small): (isize, isize), mut run: impl FnMut(isize, isize)) {
        let outer = self.dims.len() - 1;
        let rows: usize = self.dims[..outer].iter().product();
        for row in 0..rows {
            let (mut rest, mut l, mut s) = (row, large, small);
            for a in (0..outer).rev() {
                let i = (rest % self.dims[a]) as isize;
                rest /= self.dims[a];
                l += i * self.large[a];
                s += i * self.small[a];
            }
            run(l, s);
        }
    }
}

/// Reads boxes.
pub(super) struct GatherKernel {
    boxes: Boxes,
    x: Slot,
    out: Target,
}

impl GatherKernel {
    pub fn new(op: &Gather, inputs: &[Operand], out: Target) -> GatherKernel {
        let dimensions = Dimensions {
            window_axes: &op.offset_axes,
            dropped_axes: &op.collapsed_slice_axes,
            operand_batching: &op.operand_batching_axes,
            indices_batching: &op.indices_batching_axes,
            addressed: &op.start_index_map,
            vector_axis: op.index_vector_axis,
        };
        let sizes = op.slice_sizes.known().expect("all sizes are numbers when a plan is made");
        let boxes = Boxes::new(&dimensions, inputs[0].dims(), &inputs[1], &out.dims, &sizes);
        GatherKernel { boxes, x: inputs[0].slot, out }
    }
}

impl Kernel for GatherKernel {
    fn run(&self, cx: &Context) -> Result<()> {
        let b = &self.boxes;
        let size = self.out.dtype.size() as isize;
        let (count, last) = (b.count(), b.dims.len() - 1);
        let (n, from, to) = (b.dims[last], b.large[last] * size, b.small[last] * size);
        if count * b.len() == 0 {
            return Ok(());
        }
        let (x, out) = (Shared(cx.pointer(self.x)), Shared(cx.pointer(self.out.slot)));
        let each = (TASK / (b.len() * size as usize)).max(1);
        cx.pool.run(count.div_ceil(each), &|task| {
            for number in task * each..((task + 1) * each).min(count) {
                let place = b.locate(cx, number, true).expect("boxes are moved inside");
                b.stretches(place, |large, small| {
                    // SAFETY: a stretch of a box that lies inside the operand, and its place in the result, which is
                    // that of this box alone.
                    unsafe {
                        let (src, dst) = (x.get().offset(large * size), out.get().offset(small * size));
                        if from == size && to == size {
                            std::ptr::copy_nonoverlapping(src, dst, n * size as usize);
                        } else {
                            for i in 0..n as isize {
                                std::ptr::copy_nonoverlapping(src.offset(i * from), dst.offset(i * to), size as usize);
                            }
                        }
                    }
                });
            }
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let b = &self.boxes;
        format!("gather {} boxes of {:?} b{} by b{} -> b{}", b.count(), b.dims, self.x, b.index, self.out.slot)
    }

    fn cost(&self) -> Cost {
        Cost { flops: 0, bytes: 2 * self.out.bytes() as u64 }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Combines boxes into an operand.
pub(super) struct ScatterKernel {
    boxes: Boxes,
    combine: Combine,
    x: Slot,
    updates: Slot,
    out: Target,
    /// Where 16-bit floats are combined, in `f32`.
    wide: Slot,
}

impl ScatterKernel {
    /// `None` where the order of updates would not be the one that is defined.
    pub fn new(op: &Scatter, inputs: &[Operand], out: &Target) -> Option<ScatterKernel> {
        let updates = inputs[2].dims();
        let places = updates.len() - op.update_window_axes.len();
        let in_order = op.update_window_axes.iter().all(|&a| a >= places) || op.combine != Combine::Assign;
        if !in_order {
            return None;
        }
        let dimensions = Dimensions {
            window_axes: &op.update_window_axes,
            dropped_axes: &op.inserted_window_axes,
            operand_batching: &op.operand_batching_axes,
            indices_batching: &op.indices_batching_axes,
            addressed: &op.scatter_axes_to_operand_axes,
            vector_axis: op.index_vector_axis,
        };
        let mut windows = op.update_window_axes.iter();
        let sizes: Vec<usize> = (0..out.dims.len())
            .map(|a| {
                let dropped = op.inserted_window_axes.contains(&a) || op.operand_batching_axes.contains(&a);
                if dropped { 1 } else { updates[*windows.next().expect("one window axis for each kept one")] }
            })
            .collect();
        let boxes = Boxes::new(&dimensions, &out.dims, &inputs[1], updates, &sizes);
        let (x, updates) = (inputs[0].slot, inputs[2].slot);
        Some(ScatterKernel { boxes, combine: op.combine, x, updates, out: out.clone(), wide: 0 })
    }

    /// Combines by a fold, whose type `out` has: that of the elements, or a wider one if they are widened.
    fn fold<O: Fold>(&self, cx: &Context, out: *mut u8) {
        self.combine::<O::T, O::X>(cx, out, |a, update| O::apply(a, O::load(update)));
    }

    /// Whether elements are combined in a wider type, and rounded at the end.
    fn is_widened(&self) -> bool {
        self.combine != Combine::Assign && self.out.dtype.is_float() && self.out.dtype.size() == 2
    }

    /// Combines all boxes into `out`. Tasks take different stretches of the last axis of every box, so that the order at
    /// each element is that of the updates.
    fn combine<W: Copy + Send, T: Copy + Send>(&self, cx: &Context, out: *mut u8, f: impl Fn(W, T) -> W + Sync) {
        let b = &self.boxes;
        let (count, last) = (b.count(), b.dims.len() - 1);
        let n = b.dims[last];
        let (out, updates) = (Shared(out.cast::<W>()), Shared(cx.pointer(self.updates).cast::<T>()));
        let bytes = count * b.len() * size_of::<T>();
        // If all else moves by multiples of at least the last axis, an element has the same place along it in every box.
        let moves = b.components.iter().map(|c| c.stride).chain(b.places.iter().map(|p| p.large));
        let unit = moves.chain(b.large[..last].iter().copied()).fold(0, |g, s| gcd(g, s.unsigned_abs()));
        let whole = b.large[last] == 1 && (unit == 0 || unit >= n);
        let tasks = if whole { (bytes / TASK).clamp(1, 16).min(n.div_ceil(64)) } else { 1 };
        let each = n.div_ceil(tasks);
        cx.pool.run(tasks, &|task| {
            let range = task * each..((task + 1) * each).min(n);
            for number in 0..count {
                let Some(place) = b.locate(cx, number, false) else { continue };
                b.stretches(place, |large, small| {
                    for i in range.clone() {
                        let i = i as isize;
                        // SAFETY: elements of a box inside the operand and of its update; of this task alone.
                        unsafe {
                            let to = out.get().offset(large + i * b.large[last]);
                            let update = updates.get().offset(small + i * b.small[last]).read();
                            to.write(f(to.read(), update));
                        }
                    }
                });
            }
        });
    }
}

impl Kernel for ScatterKernel {
    fn run(&self, cx: &Context) -> Result<()> {
        let (x, result) = (cx.pointer(self.x), cx.pointer(self.out.slot));
        let mut out = result;
        if self.is_widened() {
            out = cx.pointer(self.wide);
            // SAFETY: both have the elements of the result, scratch() asked for an f32 for each.
            unsafe { block::convert(cx.isa, self.out.dtype, DType::F32, x, out, self.out.count()) };
        } else if x != out {
            // SAFETY: both have the bytes of the result and are different buffers.
            unsafe { std::ptr::copy_nonoverlapping(x, out, self.out.bytes()) };
        }
        if self.boxes.count() * self.boxes.len() > 0 {
            with_element!(self.out.dtype, T => match self.combine {
                Combine::Assign => self.combine::<T, T>(cx, out, |_, update| update),
                Combine::Add => self.fold::<<T as Foldable>::Sum>(cx, out),
                Combine::Mul => self.fold::<<T as Foldable>::Prod>(cx, out),
                Combine::Min => self.fold::<<T as Foldable>::Min>(cx, out),
                Combine::Max => self.fold::<<T as Foldable>::Max>(cx, out),
            });
        }
        if self.is_widened() {
            // SAFETY: as above.
            unsafe { block::convert(cx.isa, DType::F32, self.out.dtype, out, result, self.out.count()) };
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let b = &self.boxes;
        let (x, to) = (self.x, self.out.slot);
        format!("scatter {:?} {} boxes of {:?} into b{x} by b{} -> b{to}", self.combine, b.count(), b.dims, b.index)
    }

    fn cost(&self) -> Cost {
        let moved = self.boxes.count() * self.boxes.len();
        Cost { flops: moved as u64, bytes: (3 * moved * self.out.dtype.size()) as u64 }
    }

    fn in_place(&self) -> Vec<(Slot, Slot)> {
        let once = self.x != self.updates && self.x != self.boxes.index;
        if once { vec![(self.x, self.out.slot)] } else { Vec::new() }
    }

    fn scratch(&self) -> usize {
        if self.is_widened() { self.out.count() * size_of::<f32>() } else { 0 }
    }

    fn placed(&mut self, scratch: Slot, _: &dyn Fn(Slot, Slot) -> bool) {
        self.wide = scratch;
    }
}
