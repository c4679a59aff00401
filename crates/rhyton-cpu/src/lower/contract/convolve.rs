//! Convolutions.

use rhyton_ir::{DType, Element, Result};

use super::pairs::{Paired, Pairs, WORTH};
use super::{MOST_KEPT, epilogue, finish, numbers, then};
use crate::fuse::block;
use crate::fuse::fused_loop::FusedLoop;
use crate::kernels::conv::{self, ConvGeometry, ConvStrides};
use crate::kernels::gemm::{Pair, Real, Shared, Tile};
use crate::kernels::scratch::Aligned;
use crate::lower::emit::{Operand, Target};
use crate::plan::{Context, Cost, Kernel, Slot, aligned};

/// A convolution.
pub(super) struct Convolve {
    pub(super) convolution: conv::ConvPlan,
    pub(super) lhs: Operand,
    pub(super) rhs: Operand,
    pub(super) out: Target,
    pub(super) tiles: Option<FusedLoop>,
    /// The same of pairs of bf16 numbers.
    pairs: Option<Pairs<conv::ConvPlan>>,
    /// Where pairs that are copies are, or narrow operands and the result as `f32`s.
    scratch: Slot,
    /// Where the kernel is kept packed while it does not change.
    packed: Option<Slot>,
    /// Whether the buffer of the result holds what is to be added to it.
    adds: bool,
}

impl Pairs<conv::ConvPlan> {
    /// Pairs along the input features.
    fn of_convolution(g: &ConvGeometry, lhs: &Operand, rhs: &Operand) -> Option<Pairs<conv::ConvPlan>> {
        let of = |dtype, sizes: (usize, usize, [usize; 3]), strides: &ConvStrides| {
            let dims = [&[sizes.0, sizes.1][..], &sizes.2].concat();
            Paired::new(dtype, &dims, &[&[strides.batch, strides.feature][..], &strides.spatial].concat(), 0, 1)
        };
        let a = of(lhs.dtype, (g.batch, g.in_features, g.image), &g.lhs_strides)?;
        let b = of(rhs.dtype, (g.out_features, g.in_features / g.feature_groups, g.kernel), &g.rhs_strides)?;
        let positions = g.batch / g.batch_groups * g.out.iter().product::<usize>();
        let columns = g.out_features / (g.feature_groups * g.batch_groups);
        if columns < WORTH || (b.is_copied() && positions < WORTH) {
            return None;
        }
        let strides = |s: &[isize]| ConvStrides { batch: s[0], feature: s[1], spatial: [s[2], s[3], s[4]] };
        let geometry = ConvGeometry {
            in_features: g.in_features / 2,
            lhs_strides: strides(&a.strides),
            rhs_strides: strides(&b.strides),
            ..*g
        };
        Some(Pairs { a, b, shape: conv::ConvPlan::new(&geometry) })
    }
}

impl Convolve {
    pub(super) fn new(geometry: ConvGeometry, inputs: Vec<Operand>, out: Target, tiles: Option<FusedLoop>) -> Convolve {
        let [lhs, rhs]: [Operand; 2] =
            inputs.try_into().unwrap_or_else(|_| unreachable!("convolution has two operands"));
        let pairs = Pairs::of_convolution(&geometry, &lhs, &rhs);
        let convolution = conv::ConvPlan::new(&geometry);
        Convolve { convolution, lhs, rhs, out, tiles, pairs, scratch: 0, packed: None, adds: false }
    }

    /// The pairs, if they are what is multiplied.
    fn pairs(&self, cx: &Context) -> Option<&Pairs<conv::ConvPlan>> {
        self.pairs.as_ref().filter(|_| cx.isa.has_bf16_pairs())
    }

    fn run_as<T: Real + Element>(&self, cx: &Context, out: *mut T) {
        let rhs = || conv::Kernel::Elements(numbers::<T>(cx, &self.rhs));
        self.convolve(cx, &self.convolution, numbers::<T>(cx, &self.lhs), rhs, out);
    }

    /// Narrow operands that are not paired become `f32`s first: each is read once a tap, and most kernels read `f32`s only.
    fn run_widened(&self, cx: &Context) {
        let memory = cx.pointer(self.scratch);
        // SAFETY: `scratch` asked for these bytes.
        let lhs = unsafe { widened(cx, &self.lhs, memory) };
        let memory = memory.wrapping_add(wide_bytes(self.lhs.len));
        // SAFETY: as above.
        let rhs = || conv::Kernel::Elements(unsafe { widened(cx, &self.rhs, memory) });
        let out = memory.wrapping_add(wide_bytes(self.rhs.len));
        self.convolve(cx, &self.convolution, lhs, rhs, out.cast::<f32>());
    }

    fn run_pairs(&self, cx: &Context, pairs: &Pairs<conv::ConvPlan>) {
        let memory = cx.pointer(self.scratch);
        // SAFETY: `scratch` asked for these bytes.
        let lhs = unsafe { pairs.a.pairs(cx, &self.lhs, memory) };
        let after = memory.wrapping_add(pairs.a.bytes());
        // SAFETY: as above.
        let rhs = || conv::Kernel::Elements(unsafe { pairs.b.pairs(cx, &self.rhs, after) });
        self.convolve(cx, &pairs.shape, lhs, rhs, std::ptr::null_mut());
    }

    /// `out = lhs ⋆ rhs`, with the kernel packed if it is kept so; with a null `out` the epilogue stores the result.
    fn convolve<'a, T: Real>(
        &self,
        cx: &Context<'a>,
        plan: &conv::ConvPlan,
        lhs: &'a [T],
        rhs: impl FnOnce() -> conv::Kernel<'a, T>,
        out: *mut T,
    ) {
        let finish = |tile: Tile<'_, T>| finish(cx, &self.out, self.tiles.as_ref(), tile);
        let epilogue = epilogue(cx, &self.out, self.tiles.as_ref(), &finish);
        let rhs = self.kept(cx, plan).unwrap_or_else(rhs);
        // SAFETY: `out` is null or the buffer of the result, which has that many elements and only the epilogue reaches meanwhile.
        unsafe { plan.run(cx.pool, cx.isa, lhs, rhs, out, self.out.count(), self.adds, epilogue) };
    }

    /// The buffer whose elements `tiles` adds to those of the result, if the product may be added to them where they are.
    fn addend(&self) -> Option<Slot> {
        let addend = self.tiles.as_ref()?.addend()?;
        let fits = self.out.dtype == DType::F32 && self.convolution.accumulates::<f32>();
        (fits && addend != self.lhs.slot && addend != self.rhs.slot).then_some(addend)
    }

    /// The packed kernel, if it is kept.
    fn kept<'a, T: Real>(&self, cx: &Context<'a>, plan: &conv::ConvPlan) -> Option<conv::Kernel<'a, T>> {
        let (slot, len) = self.packed.zip(plan.packed::<T>())?;
        // SAFETY: the slot has these bytes, in which `prepare` has packed the kernel.
        Some(conv::Kernel::Packed(unsafe { std::slice::from_raw_parts(cx.pointer(slot).cast::<T>(), len) }))
    }

    /// The kernel, packed if it is kept so.
    pub(super) fn weights<'a, T: Real + Element>(
        &self,
        cx: &Context<'a>,
        plan: &conv::ConvPlan,
    ) -> conv::Kernel<'a, T> {
        self.kept(cx, plan).unwrap_or_else(|| conv::Kernel::Elements(numbers::<T>(cx, &self.rhs)))
    }

    fn pack<T: Real>(&self, cx: &Context, slot: Slot, plan: &conv::ConvPlan, rhs: &[T]) {
        let Some(len) = plan.packed::<T>() else { return };
        // SAFETY: the slot has these bytes, and nothing else uses them.
        let memory = unsafe { std::slice::from_raw_parts_mut(cx.pointer(slot).cast::<T>(), len) };
        plan.pack(cx.pool, cx.isa, rhs, memory);
    }
}

/// Bytes of `len` numbers as `f32`s.
fn wide_bytes(len: usize) -> usize {
    aligned(len * size_of::<f32>())
}

/// The numbers of a narrow operand as `f32`s, at `memory`.
///
/// # Safety
/// `memory` can be written for [`wide_bytes`] by nobody else, as long as the result lives.
unsafe fn widened<'a>(cx: &Context<'a>, operand: &Operand, memory: *mut u8) -> &'a [f32] {
    const TASK: usize = 1 << 15;
    let (from, to) = (Shared(cx.pointer(operand.slot)), Shared(memory));
    cx.pool.run(operand.len.div_ceil(TASK), &|task| {
        let first = task * TASK;
        let len = TASK.min(operand.len - first);
        let (from, to) = (from.get().wrapping_add(2 * first), to.get().wrapping_add(4 * first));
        // SAFETY: the operand's numbers of two bytes, and the caller's promise; stretches are divided among the tasks.
        unsafe { block::convert(cx.isa, operand.dtype, DType::F32, from, to, len) };
    });
    // SAFETY: all have been written.
    unsafe { std::slice::from_raw_parts(memory.cast::<f32>(), operand.len) }
}

impl Kernel for Convolve {
    fn run(&self, cx: &Context) -> Result<()> {
        let out = cx.pointer(self.out.slot);
        match self.out.dtype {
            DType::F64 => self.run_as::<f64>(cx, out.cast()),
            DType::F32 => self.run_as::<f32>(cx, out.cast()),
            _ => match self.pairs(cx) {
                Some(pairs) => self.run_pairs(cx, pairs),
                None => self.run_widened(cx),
            },
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let g = self.convolution.geometry();
        let mut out = format!(
            "convolution {} b{} {:?} by b{} {:?}, strides {:?}, dilations {:?} {:?}, groups {} {} -> b{} {:?}",
            self.out.dtype,
            self.lhs.slot,
            self.lhs.dims(),
            self.rhs.slot,
            self.rhs.dims(),
            g.strides,
            g.lhs_dilation,
            g.rhs_dilation,
            g.feature_groups,
            g.batch_groups,
            self.out.slot,
            self.out.dims
        );
        if let Some(tiles) = &self.tiles {
            out += &format!(", then {}", tiles.program().describe());
        }
        if self.adds {
            out += ", where the addend lies";
        }
        out
    }

    fn title(&self) -> String {
        let (lhs, rhs, tiles) = (self.lhs.dims(), self.rhs.dims(), then(&self.tiles));
        format!("convolution {} {lhs:?} by {rhs:?} to {:?}{tiles}", self.out.dtype, self.out.dims)
    }

    fn cost(&self) -> Cost {
        let g = self.convolution.geometry();
        let taps = g.kernel.iter().product::<usize>() * g.in_features / g.feature_groups;
        let holes: usize = g.lhs_dilation.iter().product();
        let extra = self.tiles.as_ref().map_or(Cost::default(), Kernel::cost);
        Cost {
            flops: (2 * self.out.count() * taps / holes) as u64 + extra.flops,
            bytes: (self.lhs.bytes() + self.rhs.bytes() + self.out.bytes()) as u64 + extra.bytes,
        }
    }

    fn keeps(&self, constant: &dyn Fn(Slot) -> bool) -> usize {
        let kept = match self.out.dtype {
            DType::F64 => self.convolution.packed::<f64>().unwrap_or(0) * size_of::<f64>(),
            _ => {
                let pairs = self.pairs.as_ref().and_then(|pairs| pairs.shape.packed::<Pair>()).unwrap_or(0);
                self.convolution.packed::<f32>().unwrap_or(0).max(pairs) * size_of::<f32>()
            }
        };
        if kept <= MOST_KEPT && constant(self.rhs.slot) { kept } else { 0 }
    }

    fn keep_at(&mut self, slot: Slot) {
        self.packed = Some(slot);
    }

    fn spares(&self) -> Option<Slot> {
        // Of 16-bit floats it is decided when it runs which kernel there is.
        self.packed.filter(|_| self.out.dtype.size() > 2).map(|_| self.rhs.slot)
    }

    fn prepare(&self, cx: &Context) {
        let Some(slot) = self.packed else { return };
        let mut memory = Aligned::<u8>::default();
        match self.out.dtype {
            DType::F64 => self.pack(cx, slot, &self.convolution, numbers::<f64>(cx, &self.rhs)),
            DType::F32 => self.pack(cx, slot, &self.convolution, numbers::<f32>(cx, &self.rhs)),
            _ => match self.pairs(cx) {
                Some(pairs) => {
                    // SAFETY: memory of that many bytes, for as long as it is read.
                    let rhs = unsafe { pairs.b.pairs(cx, &self.rhs, memory.get(pairs.b.bytes()).as_mut_ptr()) };
                    self.pack(cx, slot, &pairs.shape, rhs);
                }
                None => {
                    // SAFETY: as above.
                    let rhs = unsafe { widened(cx, &self.rhs, memory.get(wide_bytes(self.rhs.len)).as_mut_ptr()) };
                    self.pack(cx, slot, &self.convolution, rhs);
                }
            },
        }
    }

    fn in_place(&self) -> Vec<(Slot, Slot)> {
        self.addend().map(|addend| (addend, self.out.slot)).into_iter().collect()
    }

    fn scratch(&self) -> usize {
        if self.out.dtype.size() != 2 {
            return 0;
        }
        // Which of the two is done is known when it is run.
        let widened = wide_bytes(self.lhs.len) + wide_bytes(self.rhs.len) + wide_bytes(self.out.count());
        self.pairs.as_ref().map_or(0, Pairs::bytes).max(widened)
    }

    fn placed(&mut self, scratch: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        self.scratch = scratch;
        let addend = self.addend().filter(|&addend| shared(addend, self.out.slot));
        self.adds = addend.is_some();
        match (&mut self.tiles, addend) {
            (Some(tiles), Some(addend)) => tiles.placed_on(addend, shared),
            (Some(tiles), None) => tiles.placed(scratch, shared),
            (None, _) => {}
        }
    }
}
