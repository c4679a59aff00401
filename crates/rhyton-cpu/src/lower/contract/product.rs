//! `dot_general` as a batch of matrix products.

use rhyton_ir::op::DotGeneral;
use rhyton_ir::{DType, Element, Result, bf16, f16};

use super::pairs::{Paired, Pairs, WORTH};
use super::{MOST_KEPT, epilogue, finish, numbers, then};
use crate::fuse::fused_loop::FusedLoop;
use crate::fuse::program::Program;
use crate::kernels::gemm::{
    Axis, BatchDim, Dim, Elements, FEW_ROWS, Gemm, Out, Packed, Real, Rhs, Space, Tile, View, gemm,
};
use crate::kernels::scratch::Aligned;
use crate::lower::emit::{Operand, Target};
use crate::plan::{Context, Cost, Kernel, Slot};

/// `dot_general` as a batch of matrix products.
pub(super) struct Product {
    a: Operand,
    b: Operand,
    c: Target,
    axes: Axes,
    tiles: Option<FusedLoop>,
    /// The same of pairs of bf16 numbers.
    pairs: Option<Pairs<Axes>>,
    /// Where pairs that are copies are.
    scratch: Slot,
    /// Where `b` is kept packed while it does not change.
    packed: Option<Slot>,
}

/// The axes of a batch of products.
struct Axes {
    a: (Axis, Axis),
    b: (Axis, Axis),
    batch: Vec<BatchDim>,
    /// Of the rows and columns of the result, and of what is summed over.
    size: (usize, usize, usize),
}

impl Axes {
    /// Of operands of these dimensions and strides.
    fn new(dot: &DotGeneral, a: (&[usize], &[isize]), b: (&[usize], &[isize])) -> Axes {
        let free = |rank: usize, batch: &[usize], contract: &[usize]| -> Vec<usize> {
            (0..rank).filter(|x| !batch.contains(x) && !contract.contains(x)).collect()
        };
        let a_free = free(a.0.len(), &dot.lhs_batch, &dot.lhs_contract);
        let b_free = free(b.0.len(), &dot.rhs_batch, &dot.rhs_contract);
        let axis = |(dims, strides): (&[usize], &[isize]), axes: &[usize]| {
            let dims: Vec<Dim> = axes.iter().map(|&x| Dim::plain(dims[x], strides[x])).collect();
            Axis::new(&dims)
        };
        let product = |dims: &[usize], axes: &[usize]| axes.iter().map(|&x| dims[x]).product::<usize>();
        let (m, n, k) = (product(a.0, &a_free), product(b.0, &b_free), product(a.0, &dot.lhs_contract));
        let mut batch = Vec::new();
        let mut stride = (m * n) as isize;
        for (&x, &y) in dot.lhs_batch.iter().zip(&dot.rhs_batch).rev() {
            let size = a.0[x];
            batch.push(BatchDim { size, a: a.1[x], b: b.1[y], c: stride });
            stride *= size as isize;
        }
        batch.reverse();
        Axes {
            a: (axis(a, &a_free), axis(a, &dot.lhs_contract)),
            b: (axis(b, &dot.rhs_contract), axis(b, &b_free)),
            batch,
            size: (m, n, k),
        }
    }
}

impl Pairs<Axes> {
    /// Pairs along one of the axes that are summed over.
    fn of_product(dot: &DotGeneral, a: &Operand, b: &Operand, (m, n, _): (usize, usize, usize)) -> Option<Pairs<Axes>> {
        dot.lhs_contract.iter().zip(&dot.rhs_contract).rev().find_map(|(&x, &y)| {
            let of = |o: &Operand, along| Paired::new(o.dtype, &o.view.dims, &o.view.strides, o.view.offset, along);
            let (paired_a, paired_b) = (of(a, x)?, of(b, y)?);
            if (paired_a.is_copied() && n < WORTH) || (paired_b.is_copied() && m < WORTH) {
                return None;
            }
            let halved = |o: &Operand, along: usize| {
                let mut dims = o.view.dims.clone();
                dims[along] /= 2;
                dims
            };
            let axes = Axes::new(dot, (&halved(a, x), &paired_a.strides), (&halved(b, y), &paired_b.strides));
            Some(Pairs { a: paired_a, b: paired_b, shape: axes })
        })
    }
}

impl Product {
    pub(super) fn new(dot: &DotGeneral, inputs: Vec<Operand>, c: Target, tiles: Option<FusedLoop>) -> Product {
        let [a, b]: [Operand; 2] = inputs.try_into().unwrap_or_else(|_| unreachable!("dot_general has two operands"));
        let axes = Axes::new(dot, (&a.view.dims, &a.view.strides), (&b.view.dims, &b.view.strides));
        let pairs = Pairs::of_product(dot, &a, &b, axes.size);
        Product { a, b, c, axes, tiles, pairs, scratch: 0, packed: None }
    }

    /// The pairs, if they are what is multiplied.
    fn pairs(&self, cx: &Context) -> Option<&Pairs<Axes>> {
        self.pairs.as_ref().filter(|_| cx.isa.has_bf16_pairs())
    }

    fn run_as<T: Real + Element>(&self, cx: &Context, c: *mut T) {
        let view =
            |o: &Operand, axes: (Axis, Axis)| View::new(elements(cx, o), o.view.offset, axes.0, axes.1, Space::NONE);
        let b = || Rhs::View(view(&self.b, self.axes.b));
        self.multiply(cx, &self.axes, view(&self.a, self.axes.a), b, c);
    }

    fn run_pairs(&self, cx: &Context, pairs: &Pairs<Axes>) {
        let memory = cx.pointer(self.scratch);
        let view = |paired: &Paired, o: &Operand, (rows, cols): (Axis, Axis), memory: *mut u8| {
            // SAFETY: `scratch` asked for these bytes.
            let data = unsafe { paired.pairs(cx, o, memory) };
            View::new(Elements::Native(data), paired.offset, rows, cols, Space::NONE)
        };
        let a = view(&pairs.a, &self.a, pairs.shape.a, memory);
        let b = || Rhs::View(view(&pairs.b, &self.b, pairs.shape.b, memory.wrapping_add(pairs.a.bytes())));
        self.multiply(cx, &pairs.shape, a, b, std::ptr::null_mut());
    }

    /// Product `batch` of the batch.
    fn run_one<T: Real + Element>(&self, cx: &Context, batch: usize) {
        let (m, n, _) = self.axes.size;
        let (mut rest, mut at) = (batch, (0, 0));
        for dim in self.axes.batch.iter().rev() {
            let index = (rest % dim.size) as isize;
            at = (at.0 + index * dim.a, at.1 + index * dim.b);
            rest /= dim.size;
        }
        let view = |o: &Operand, at: isize, axes: (Axis, Axis)| {
            View::new(elements::<T>(cx, o), o.view.offset + at, axes.0, axes.1, Space::NONE)
        };
        let finish = |tile: Tile<'_, T>| finish(cx, &self.c, self.tiles.as_ref(), tile);
        let epilogue = epilogue(cx, &self.c, self.tiles.as_ref(), &finish);
        let (c, rows) = (cx.pointer(self.c.slot).cast(), Axis::plain(m, n as isize));
        // SAFETY: the buffer of the result, which has that many elements and of which only this reaches these meanwhile.
        let c = unsafe { Out::from_raw(c, self.c.count(), batch * m * n, rows, n, 1) };
        let (a, b) = (view(&self.a, at.0, self.axes.a), Rhs::View(view(&self.b, at.1, self.axes.b)));
        gemm(cx.pool, cx.isa, &Gemm { a, b, c, batch: &[], accumulate: false, epilogue });
    }

    /// Whether each product of the batch reads only its own stretch of an operand, where one follows the other.
    fn in_stretches(&self, o: &Operand, (rows, cols): &(Axis, Axis), stride: impl Fn(&BatchDim) -> isize) -> bool {
        let reach = |axis: &Axis| axis.dims().iter().map(|d| (d.size as isize - 1) * d.stride).sum::<isize>();
        let forward = |axis: &Axis| axis.dims().iter().all(|d| d.stride >= 0);
        let mut next = (rows.len() * cols.len()) as isize;
        let within = forward(rows) && forward(cols) && reach(rows) + reach(cols) < next;
        let apart = self.axes.batch.iter().rev().all(|dim| {
            let own = stride(dim) == next;
            next *= dim.size as isize;
            own
        });
        o.view.offset == 0 && within && apart && next == o.len as isize
    }

    /// `c = a · b`, with `b` packed if it is kept so; with a null `c` the epilogue stores the result.
    fn multiply<'a, T: Real>(
        &self,
        cx: &Context<'a>,
        axes: &Axes,
        a: View<'a, T>,
        b: impl FnOnce() -> Rhs<'a, T>,
        c: *mut T,
    ) {
        let (m, n, k) = axes.size;
        let finish = |tile: Tile<'_, T>| finish(cx, &self.c, self.tiles.as_ref(), tile);
        let epilogue = epilogue(cx, &self.c, self.tiles.as_ref(), &finish);
        // SAFETY: `c` is null or the buffer of the result, which has that many elements and only the epilogue reaches meanwhile.
        let out = unsafe { Out::from_raw(c, self.c.count(), 0, Axis::plain(m, n as isize), n, 1) };
        let b = match self.packed {
            // SAFETY: the slot has these bytes, in which `prepare` has packed `b`.
            Some(slot) => unsafe {
                let memory = std::slice::from_raw_parts(cx.pointer(slot).cast::<T>(), Packed::<T>::most(k, n));
                Rhs::Packed(Packed::of(cx.isa, (k, n), 1, memory))
            },
            None => b(),
        };
        gemm(cx.pool, cx.isa, &Gemm { a, b, c: out, batch: &axes.batch, accumulate: false, epilogue });
    }

    fn pack<T: Real>(&self, cx: &Context, slot: Slot, b: View<T>) {
        let (k, n) = b.shape();
        // SAFETY: the slot has these bytes, and nothing else uses them.
        let memory = unsafe { std::slice::from_raw_parts_mut(cx.pointer(slot).cast::<T>(), Packed::<T>::most(k, n)) };
        Packed::pack(cx.pool, cx.isa, b, (1, 0), memory);
    }

    fn pack_elements<T: Real + Element>(&self, cx: &Context, slot: Slot) {
        let (rows, cols) = self.axes.b;
        self.pack(cx, slot, View::new(elements::<T>(cx, &self.b), self.b.view.offset, rows, cols, Space::NONE));
    }
}

/// The elements of an operand's buffer.
fn elements<'a, T: Real + Element>(cx: &Context<'a>, o: &Operand) -> Elements<'a, T> {
    match o.dtype {
        DType::F16 => Elements::F16(numbers::<f16>(cx, o)),
        DType::BF16 => Elements::Bf16(numbers::<bf16>(cx, o)),
        _ => Elements::Native(numbers::<T>(cx, o)),
    }
}

impl Kernel for Product {
    fn run(&self, cx: &Context) -> Result<()> {
        let out = cx.pointer(self.c.slot);
        if self.axes.size.2 == 0 {
            // SAFETY: the buffer of the result has these bytes; zero bits are 0 in every float dtype.
            unsafe { std::ptr::write_bytes(out, 0, self.c.bytes()) };
            return Ok(());
        }
        match self.c.dtype {
            DType::F64 => self.run_as::<f64>(cx, out.cast()),
            DType::F32 => self.run_as::<f32>(cx, out.cast()),
            // What is narrower is rounded by the epilogue, and not kept before.
            _ => match self.pairs(cx) {
                Some(pairs) => self.run_pairs(cx, pairs),
                None => self.run_as::<f32>(cx, std::ptr::null_mut()),
            },
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let (m, n, k) = self.axes.size;
        let batch: usize = self.axes.batch.iter().map(|b| b.size).product();
        let mut out = format!(
            "product {} {batch}x({m}x{k} by {k}x{n}) b{} {:?} by b{} {:?} -> b{}",
            self.c.dtype, self.a.slot, self.a.view.strides, self.b.slot, self.b.view.strides, self.c.slot
        );
        if let Some(tiles) = &self.tiles {
            out += &format!(", then {}", tiles.program().describe());
        }
        out
    }

    fn title(&self) -> String {
        let (m, n, k) = self.axes.size;
        let batch: usize = self.axes.batch.iter().map(|b| b.size).product();
        let times = if batch == 1 { String::new() } else { format!("{batch} × ") };
        format!("product {} {times}({m}×{k} · {k}×{n}){}", self.c.dtype, then(&self.tiles))
    }

    fn cost(&self) -> Cost {
        let (m, n, k) = self.axes.size;
        let batch: usize = self.axes.batch.iter().map(|b| b.size).product();
        let extra = self.tiles.as_ref().map_or(Cost::default(), Kernel::cost);
        Cost {
            flops: (2 * batch * m * n * k) as u64 + extra.flops,
            bytes: (self.a.bytes() + self.b.bytes() + self.c.bytes()) as u64 + extra.bytes,
        }
    }

    fn keeps(&self, constant: &dyn Fn(Slot) -> bool) -> usize {
        let (m, n, k) = self.axes.size;
        let bytes = Packed::<f32>::most(k, n) * self.c.dtype.size().max(size_of::<f32>());
        // With few rows the operand is read where it lies.
        let worth = m > FEW_ROWS && self.axes.batch.is_empty() && k > 0 && bytes <= MOST_KEPT;
        if worth && constant(self.b.slot) { bytes } else { 0 }
    }

    fn keep_at(&mut self, slot: Slot) {
        self.packed = Some(slot);
    }

    fn spares(&self) -> Option<Slot> {
        self.packed.map(|_| self.b.slot)
    }

    fn prepare(&self, cx: &Context) {
        match (self.packed, self.c.dtype) {
            (None, _) => {}
            (Some(slot), DType::F64) => self.pack_elements::<f64>(cx, slot),
            (Some(slot), _) => match self.pairs(cx) {
                Some(pairs) => {
                    let mut memory = Aligned::<u8>::default();
                    // SAFETY: memory of that many bytes, for as long as it is read.
                    let data = unsafe { pairs.b.pairs(cx, &self.b, memory.get(pairs.b.bytes()).as_mut_ptr()) };
                    let (rows, cols) = pairs.shape.b;
                    self.pack(cx, slot, View::new(Elements::Native(data), pairs.b.offset, rows, cols, Space::NONE));
                }
                None => self.pack_elements::<f32>(cx, slot),
            },
        }
    }

    fn parts(&self, count: usize) -> Option<Vec<(Slot, usize)>> {
        let whole = matches!(self.c.dtype, DType::F32 | DType::F64) && self.packed.is_none() && self.scratch() == 0;
        if !whole || count != self.batches() || self.axes.size.2 == 0 {
            return None;
        }
        let program = self.tiles.as_ref().map(FusedLoop::program);
        if program.is_some_and(|program| program.count() != self.c.count() || !program.accums.is_empty()) {
            return None;
        }
        let (a, b) = (&self.a, &self.b);
        let stretches =
            (self.in_stretches(a, &self.axes.a, |dim| dim.a), self.in_stretches(b, &self.axes.b, |dim| dim.b));
        // However often it is read.
        let own = |&(slot, _): &(Slot, usize)| {
            (a.slot != slot || stretches.0)
                && (b.slot != slot || stretches.1)
                && program.is_none_or(|program| program.keeps_order(slot))
        };
        let all = [(self.c.slot, self.c.bytes()), (a.slot, a.bytes()), (b.slot, b.bytes())].into_iter();
        Some(all.chain(program.into_iter().flat_map(Program::in_order)).filter(own).collect())
    }

    fn run_part(&self, cx: &Context, part: usize, _count: usize) {
        match self.c.dtype {
            DType::F64 => self.run_one::<f64>(cx, part),
            _ => self.run_one::<f32>(cx, part),
        }
    }

    fn batches(&self) -> usize {
        self.axes.batch.iter().map(|b| b.size).product()
    }

    fn scratch(&self) -> usize {
        self.pairs.as_ref().map_or(0, Pairs::bytes)
    }

    fn placed(&mut self, scratch: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        self.scratch = scratch;
        if let Some(tiles) = &mut self.tiles {
            tiles.placed(scratch, shared);
        }
    }
}
