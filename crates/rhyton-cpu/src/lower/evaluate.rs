//! Operations that run as the reference interpreter runs them.
//!
//! These are custom calls, which have no other definition, and what is so rare that a kernel would only be more code:
//! windows over more axes than [`MAX_AXES`](crate::kernels::window::MAX_AXES), and `scatter` that assigns with window
//! axes before others, where the order of updates is another than that of the places.

use rhyton_ir::{Array, Op, Result};

use super::emit::{Operand, Target};
use crate::fuse::block;
use crate::plan::{Context, Cost, Kernel};

/// [`Op::eval`] on copies of the operands.
pub(super) struct Evaluate {
    op: Op,
    inputs: Vec<Operand>,
    outputs: Vec<Target>,
}

impl Evaluate {
    pub fn new(op: &Op, inputs: Vec<Operand>, outputs: Vec<Target>) -> Evaluate {
        Evaluate { op: op.clone(), inputs, outputs }
    }
}

impl Kernel for Evaluate {
    fn run(&self, cx: &Context) -> Result<()> {
        // SAFETY: operands are dense, so the buffers hold all their elements.
        let inputs: Vec<Array> =
            self.inputs.iter().map(|o| unsafe { block::to_array(o.dtype, cx.pointer(o.slot), o.dims()) }).collect();
        let outputs = self.op.eval(&inputs.iter().collect::<Vec<_>>())?;
        for (array, target) in outputs.iter().zip(&self.outputs) {
            assert_eq!((array.len(), array.dtype()), (target.count(), target.dtype), "{}", self.op.name());
            // SAFETY: the buffer has the bytes of the target's type, just compared.
            unsafe { block::from_array(array, cx.pointer(target.slot)) };
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let inputs: Vec<String> =
            self.inputs.iter().map(|o| format!("b{} {}{:?}", o.slot, o.dtype, o.dims())).collect();
        let outputs: Vec<String> =
            self.outputs.iter().map(|t| format!("b{} {}{:?}", t.slot, t.dtype, t.dims)).collect();
        format!("evaluate {} ({}) -> {}", self.op.name(), inputs.join(", "), outputs.join(", "))
    }

    fn cost(&self) -> Cost {
        let bytes: usize = self.inputs.iter().map(Operand::bytes).sum::<usize>()
            + self.outputs.iter().map(Target::bytes).sum::<usize>();
        Cost { flops: 0, bytes: bytes as u64 }
    }
}
