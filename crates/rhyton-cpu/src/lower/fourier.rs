//! `fft`: lines transformed in parallel, by a plan made when the graph is compiled.

use rhyton_ir::op::Fft;
use rhyton_ir::{DType, Result, bf16, f16};

use super::emit::{Operand, Target};
use crate::fuse::block::{read, write};
use crate::kernels::fft::Transform;
use crate::kernels::fold::{Fold, Sum};
use crate::kernels::gemm::Shared;
use crate::plan::{Context, Cost, Kernel};

/// Elements of a task, unless a line has more.
const TASK: usize = 1 << 12;

/// The kernel of a transform; 16-bit floats are transformed in `f32`.
pub(super) fn kernel(op: &Fft, inputs: Vec<Operand>, outputs: Vec<Target>) -> Box<dyn Kernel> {
    match inputs[0].dtype {
        DType::F64 => Box::new(Lines::<Sum<f64>>::new(op, inputs, outputs)),
        DType::F16 => Box::new(Lines::<Sum<f16>>::new(op, inputs, outputs)),
        DType::BF16 => Box::new(Lines::<Sum<bf16>>::new(op, inputs, outputs)),
        _ => Box::new(Lines::<Sum<f32>>::new(op, inputs, outputs)),
    }
}

/// Transforms of the lines of the last axis, of elements that `O` widens and rounds.
struct Lines<O: Fold> {
    op: Fft,
    transform: Transform<O::T>,
    inputs: Vec<Operand>,
    outputs: Vec<Target>,
}

impl<O: Fold<T: realfft::FftNum + Default>> Lines<O> {
    fn new(op: &Fft, inputs: Vec<Operand>, outputs: Vec<Target>) -> Lines<O> {
        Lines { op: op.clone(), transform: Transform::new(op), inputs, outputs }
    }
}

impl<O: Fold<T: realfft::FftNum + Default>> Kernel for Lines<O> {
    fn run(&self, cx: &Context) -> Result<()> {
        let last = |dims: &[usize]| dims.last().copied().expect("a transform has an axis");
        let (from, to) = (last(self.inputs[0].dims()), last(&self.outputs[0].dims));
        let (rows, share) = (self.inputs[0].count() / from, (TASK / self.op.length).max(1));
        let targets: [Option<Shared<u8>>; 2] =
            std::array::from_fn(|i| self.outputs.get(i).map(|out| Shared(cx.pointer(out.slot))));
        cx.pool.run(rows.div_ceil(share), &|task| {
            for row in task * share..rows.min((task + 1) * share) {
                let part = |x: &Operand| {
                    // SAFETY: operands are dense and have these counts and this dtype.
                    let all = unsafe { read::<O::X>(cx.pointer(x.slot), x.count()) };
                    &all[row * from..(row + 1) * from]
                };
                // SAFETY: each row of a result is of one task.
                let target =
                    |out: &Shared<u8>| unsafe { write::<O::X>(out.get().add(row * to * size_of::<O::X>()), to) };
                let x = [part(&self.inputs[0]), self.inputs.get(1).map_or(&[][..], part)];
                let [re, im] = [0, 1].map(|i| targets[i].as_ref().map_or(&mut [][..], target));
                self.transform.line::<O>(x, [re, im]);
            }
        });
        Ok(())
    }

    fn describe(&self) -> String {
        let x = &self.inputs[0];
        let slots = |slots: Vec<String>| slots.join(", ");
        let inputs = slots(self.inputs.iter().map(|x| format!("b{}", x.slot)).collect());
        let outputs = slots(self.outputs.iter().map(|out| format!("b{}", out.slot)).collect());
        format!("{:?} of {} {inputs} {}{:?} -> {outputs}", self.op.kind, self.op.length, x.dtype, x.dims())
    }

    fn cost(&self) -> Cost {
        let n = self.op.length as f64;
        let bytes = self.inputs.iter().map(Operand::bytes).sum::<usize>()
            + self.outputs.iter().map(Target::bytes).sum::<usize>();
        let lines = self.inputs[0].count() as f64 / self.inputs[0].dims().last().map_or(1.0, |&n| n.max(1) as f64);
        // The usual count of a complex transform.
        Cost { flops: (5.0 * n * n.log2() * lines) as u64, bytes: bytes as u64 }
    }
}
