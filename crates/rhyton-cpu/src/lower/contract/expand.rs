//! Two convolutions as one kernel: one of 1 × 1 windows, and one in which each channel sees only itself.

use rhyton_ir::{DType, Result};

use super::convolve::Convolve;
use super::{epilogue, finish, numbers};
use crate::kernels::conv::Kernel as Weights;
use crate::kernels::conv::expanded::Expanded;
use crate::kernels::gemm::Tile;
use crate::kernels::scratch::{self, Aligned};
use crate::plan::{Context, Cost, Kernel, Slot};

/// Both convolutions. What the first gives is nowhere whole.
pub(super) struct Expand {
    first: Convolve,
    second: Convolve,
    kernel: Expanded,
}

/// The packed kernel of a run that keeps none.
#[derive(Default)]
struct Whole(Aligned<f32>);

impl Expand {
    /// If they are of the two kinds, of `f32`s, and what is done to the result of the first is simple.
    pub(super) fn new(first: Convolve, second: Convolve) -> Option<Expand> {
        let features = first.convolution.geometry().out_features;
        let simple = first.tiles.as_ref().is_none_or(|tiles| tiles.is_simple(features));
        let reads = [&first.lhs, &first.rhs, &second.lhs, &second.rhs];
        let floats = reads.iter().all(|operand| operand.dtype == DType::F32) && second.out.dtype == DType::F32;
        let kernel = Expanded::new(first.convolution.geometry(), second.convolution.geometry());
        let kernel = kernel.filter(|kernel| floats && simple && kernel.pointwise().packed::<f32>().is_some())?;
        Some(Expand { first, second, kernel })
    }

    /// Bytes of what is between, which other kernels would write and read.
    fn between(&self) -> u64 {
        2 * self.first.out.bytes() as u64
    }
}

impl Kernel for Expand {
    fn run(&self, cx: &Context) -> Result<()> {
        let weights = numbers::<f32>(cx, &self.second.rhs);
        let simple = self.first.tiles.as_ref().and_then(|tiles| tiles.finish(cx));
        let tiles = |tile: Tile<'_, f32>| finish(cx, &self.second.out, self.second.tiles.as_ref(), tile);
        let last = epilogue(cx, &self.second.out, self.second.tiles.as_ref(), &tiles);
        let out = &self.second.out;
        let run = |packed: &[f32]| {
            let image = numbers::<f32>(cx, &self.first.lhs);
            let to = cx.pointer(out.slot).cast::<f32>();
            // SAFETY: the buffer of the result, which has that many elements and only the epilogue reaches meanwhile.
            unsafe { self.kernel.run(cx.pool, cx.isa, image, packed, simple, weights, to, out.count(), last) };
        };
        match self.first.weights::<f32>(cx, self.kernel.pointwise()) {
            Weights::Packed(packed) => run(packed),
            Weights::Elements(elements) => scratch::with(|whole: &mut Whole| {
                let plan = self.kernel.pointwise();
                let memory = whole.0.get(plan.packed::<f32>().expect("asked for when the kernel was made"));
                plan.pack(cx.pool, cx.isa, elements, memory);
                run(memory);
            }),
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("{}\nthen, band by band, {}", self.first.describe(), self.second.describe())
    }

    fn title(&self) -> String {
        format!("{}; {}", self.first.title(), self.second.title())
    }

    fn cost(&self) -> Cost {
        let (first, second) = (self.first.cost(), self.second.cost());
        Cost { flops: first.flops + second.flops, bytes: (first.bytes + second.bytes).saturating_sub(self.between()) }
    }

    fn keeps(&self, constant: &dyn Fn(Slot) -> bool) -> usize {
        self.first.keeps(constant)
    }

    fn keep_at(&mut self, slot: Slot) {
        self.first.keep_at(slot);
    }

    fn spares(&self) -> Option<Slot> {
        self.first.spares()
    }

    fn prepare(&self, cx: &Context) {
        self.first.prepare(cx);
    }

    fn placed(&mut self, scratch: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        self.first.placed(scratch, shared);
        self.second.placed(scratch, shared);
    }
}
