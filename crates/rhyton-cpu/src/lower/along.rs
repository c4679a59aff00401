//! Operations along an axis or over windows: extremes' places, running reductions, pooling and its gradient.

use rhyton_ir::op::{Cumulative, ReduceKind, ReduceWindow, SelectAndScatter};
use rhyton_ir::{Result, with_element};

use super::emit::{Operand, Target};
use crate::fuse::block::{read, write};
use crate::kernels::fold::{Fold, Foldable};
use crate::kernels::gemm::Shared;
use crate::kernels::reduce::arg_reduce;
use crate::kernels::window::{MAX_AXES, WindowAxis, reduce_window, select_and_scatter};
use crate::plan::{Context, Cost, Kernel};

/// What is done.
enum Work {
    ArgReduce { max: bool, sizes: (usize, usize, usize) },
    Cumulative { kind: ReduceKind, reverse: bool, sizes: (usize, usize, usize) },
    Window { kind: ReduceKind, axes: Vec<WindowAxis> },
    Select { max: bool, axes: Vec<WindowAxis> },
}

/// One of these operations on dense operands.
pub(super) struct Along {
    work: Work,
    inputs: Vec<Operand>,
    out: Target,
}

/// The products of the sizes before an axis, of it, and after it.
pub(super) fn around(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    (dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product())
}

impl Along {
    pub fn arg_reduce(max: bool, axis: usize, inputs: Vec<Operand>, out: Target) -> Along {
        let sizes = around(inputs[0].dims(), axis);
        Along { work: Work::ArgReduce { max, sizes }, inputs, out }
    }

    pub fn cumulative(op: &Cumulative, inputs: Vec<Operand>, out: Target) -> Along {
        let sizes = around(inputs[0].dims(), op.axis);
        Along { work: Work::Cumulative { kind: op.kind, reverse: op.reverse, sizes }, inputs, out }
    }

    /// `None` if there are more axes than the kernel takes.
    pub fn reduce_window(op: &ReduceWindow, inputs: &[Operand], out: &Target) -> Option<Along> {
        let axis = |(a, &size): (usize, &usize)| {
            let dilations = (op.base_dilation[a], op.window_dilation[a]);
            WindowAxis::new(size, op.window[a], op.strides[a], op.padding[a], dilations)
        };
        let axes: Vec<WindowAxis> = inputs[0].dims().iter().enumerate().map(axis).collect();
        let fits = axes.len() <= MAX_AXES;
        fits.then(|| Along { work: Work::Window { kind: op.kind, axes }, inputs: inputs.to_vec(), out: out.clone() })
    }

    /// `None` if there are more axes than the kernel takes.
    pub fn select_and_scatter(op: &SelectAndScatter, inputs: &[Operand], out: &Target) -> Option<Along> {
        let axis = |(a, &size): (usize, &usize)| {
            WindowAxis::new(size, op.window[a], op.strides[a], op.padding[a], (1, op.window_dilation[a]))
        };
        let axes: Vec<WindowAxis> = inputs[0].dims().iter().enumerate().map(axis).collect();
        let fits = axes.len() <= MAX_AXES;
        fits.then(|| Along { work: Work::Select { max: op.max, axes }, inputs: inputs.to_vec(), out: out.clone() })
    }
}

/// Running reductions along the middle axis of `(outer, len, inner)`.
fn run_cumulative<O: Fold>(
    cx: &Context,
    reverse: bool,
    (outer, len, inner): (usize, usize, usize),
    x: &[O::X],
    out: &mut [O::X],
) {
    let to = Shared(out.as_mut_ptr());
    // A task takes one of the outer indices: lines of neighbours stay together.
    let task = |o: usize| {
        let x = &x[o * len * inner..(o + 1) * len * inner];
        // SAFETY: each task has its own outer index.
        let out = unsafe { std::slice::from_raw_parts_mut(to.get().add(o * len * inner), len * inner) };
        for i in 0..inner {
            let mut running = O::identity();
            for step in 0..len {
                let at = (if reverse { len - 1 - step } else { step }) * inner + i;
                running = O::apply(running, O::load(x[at]));
                out[at] = O::store(running);
            }
        }
    };
    if x.len() < 1 << 14 { (0..outer).for_each(task) } else { cx.pool.run(outer, &task) }
}

impl Kernel for Along {
    fn run(&self, cx: &Context) -> Result<()> {
        let (x, n) = (cx.pointer(self.inputs[0].slot), self.inputs[0].count());
        let (out, m) = (cx.pointer(self.out.slot), self.out.count());
        // SAFETY: operands are dense and have these counts and this dtype; the result overlaps none of them.
        with_element!(self.inputs[0].dtype, T => unsafe {
            let x = read::<T>(x, n);
            match &self.work {
                Work::ArgReduce { max, sizes } => arg_reduce(cx.pool, cx.isa, *max, x, *sizes, write::<i32>(out, m)),
                Work::Window { kind, axes } => reduce_window(cx.pool, cx.isa, *kind, axes, x, write::<T>(out, m)),
                Work::Select { max, axes } => {
                    let source = read::<T>(cx.pointer(self.inputs[1].slot), self.inputs[1].count());
                    select_and_scatter(cx.pool, cx.isa, *max, axes, x, source, write::<T>(out, m));
                }
                Work::Cumulative { kind, reverse, sizes } => {
                    let (reverse, sizes, out) = (*reverse, *sizes, write::<T>(out, m));
                    match kind {
                        ReduceKind::Sum | ReduceKind::Or => {
                            run_cumulative::<<T as Foldable>::Sum>(cx, reverse, sizes, x, out);
                        }
                        ReduceKind::Prod | ReduceKind::And => {
                            run_cumulative::<<T as Foldable>::Prod>(cx, reverse, sizes, x, out);
                        }
                        ReduceKind::Max => run_cumulative::<<T as Foldable>::Max>(cx, reverse, sizes, x, out),
                        ReduceKind::Min => run_cumulative::<<T as Foldable>::Min>(cx, reverse, sizes, x, out),
                    }
                }
            }
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let work = match &self.work {
            Work::ArgReduce { max, .. } => format!("arg_{}", if *max { "max" } else { "min" }),
            Work::Cumulative { kind, .. } => format!("cumulative {kind:?}"),
            Work::Window { kind, axes } => {
                format!("reduce_window {kind:?} of {:?}", axes.iter().map(|a| a.window).collect::<Vec<_>>())
            }
            Work::Select { axes, .. } => {
                format!("select_and_scatter of {:?}", axes.iter().map(|a| a.window).collect::<Vec<_>>())
            }
        };
        let x = &self.inputs[0];
        format!("{work} b{} {}{:?} -> b{} {:?}", x.slot, x.dtype, x.dims(), self.out.slot, self.out.dims)
    }

    fn cost(&self) -> Cost {
        let bytes = self.inputs.iter().map(Operand::bytes).sum::<usize>() + self.out.bytes();
        Cost { flops: self.inputs[0].count() as u64, bytes: bytes as u64 }
    }
}
