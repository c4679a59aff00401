//! `sort` and `top_k`: lines ordered in parallel.

use rhyton_ir::op::Sort;
use rhyton_ir::{Result, with_element};

use super::along::around;
use super::emit::{Operand, Target};
use crate::fuse::block::{read, write};
use crate::kernels::gemm::Shared;
use crate::kernels::scratch;
use crate::kernels::sort::{Line, Order};
use crate::plan::{Context, Cost, Kernel};

/// Elements of a task, unless a line has more.
const TASK: usize = 1 << 13;

/// Calls `each` with the numbers of the lines, in parallel.
fn each_line(cx: &Context, lines: usize, len: usize, each: &(dyn Fn(&mut Order, usize) + Sync)) {
    let share = (TASK / len.max(1)).max(1);
    cx.pool.run(lines.div_ceil(share), &|task| {
        scratch::with(|order: &mut Order| {
            (task * share..lines.min((task + 1) * share)).for_each(|line| each(order, line));
        });
    });
}

/// Operands ordered along an axis by the first of them.
pub(super) struct SortKernel {
    keys: usize,
    descending: bool,
    sizes: (usize, usize, usize),
    inputs: Vec<Operand>,
    outputs: Vec<Target>,
}

impl SortKernel {
    pub fn new(op: &Sort, inputs: Vec<Operand>, outputs: Vec<Target>) -> SortKernel {
        let sizes = around(inputs[0].dims(), op.axis);
        SortKernel { keys: op.keys, descending: op.descending, sizes, inputs, outputs }
    }
}

impl Kernel for SortKernel {
    fn run(&self, cx: &Context) -> Result<()> {
        let (outer, len, inner) = self.sizes;
        each_line(cx, outer * inner, len, &|order, number| {
            let line = Line::nth(number, self.sizes);
            order.start(len);
            for key in self.inputs[..self.keys].iter().rev() {
                // SAFETY: operands are dense and have these counts and dtypes.
                with_element!(key.dtype, T => unsafe {
                    order.refine::<T>(read(cx.pointer(key.slot), key.count()), line, self.descending);
                });
            }
            for (x, out) in self.inputs.iter().zip(&self.outputs) {
                // SAFETY: as above; the result has the operand's type, is another buffer, and each line is of one task.
                with_element!(x.dtype, T => unsafe {
                    order.permute::<T>(read(cx.pointer(x.slot), x.count()), line, cx.pointer(out.slot).cast());
                });
            }
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let operands = |(x, out): (&Operand, &Target)| format!("b{} {} -> b{}", x.slot, x.dtype, out.slot);
        let operands: Vec<String> = self.inputs.iter().zip(&self.outputs).map(operands).collect();
        let direction = if self.descending { "descending" } else { "ascending" };
        format!("sort {direction} by {} of {:?} ({})", self.keys, self.inputs[0].dims(), operands.join(", "))
    }

    fn cost(&self) -> Cost {
        let bytes = self.inputs.iter().map(Operand::bytes).sum::<usize>() * 2;
        Cost { flops: 0, bytes: bytes as u64 }
    }
}

/// The largest elements of the last axis, and their places.
pub(super) struct TopKKernel {
    k: usize,
    x: Operand,
    values: Target,
    places: Target,
}

impl TopKKernel {
    pub fn new(k: usize, mut inputs: Vec<Operand>, outputs: Vec<Target>) -> TopKKernel {
        let [values, places]: [Target; 2] = outputs.try_into().unwrap_or_else(|_| unreachable!("two results"));
        TopKKernel { k, x: inputs.remove(0), values, places }
    }
}

impl Kernel for TopKKernel {
    fn run(&self, cx: &Context) -> Result<()> {
        let (rows, len, _) = around(self.x.dims(), self.x.dims().len() - 1);
        let (values, places) = (Shared(cx.pointer(self.values.slot)), Shared(cx.pointer(self.places.slot)));
        each_line(cx, rows, len, &|order, row| {
            // SAFETY: the operand is dense; the results have `k` elements a row, each row is of one task.
            with_element!(self.x.dtype, T => unsafe {
                let x = &read::<T>(cx.pointer(self.x.slot), rows * len)[row * len..(row + 1) * len];
                let values = write::<T>(values.get().add(row * self.k * size_of::<T>()), self.k);
                order.largest(x, values, write::<i32>(places.get().add(row * self.k * size_of::<i32>()), self.k));
            });
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let x = &self.x;
        let (values, places) = (self.values.slot, self.places.slot);
        format!("top_k {} b{} {}{:?} -> b{values}, b{places}", self.k, x.slot, x.dtype, x.dims())
    }

    fn cost(&self) -> Cost {
        Cost {
            flops: self.x.count() as u64,
            bytes: (self.x.bytes() + self.values.bytes() + self.places.bytes()) as u64,
        }
    }
}
