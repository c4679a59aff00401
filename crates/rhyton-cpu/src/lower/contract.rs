//! Products of matrices and convolutions, with elementwise work on their finished tiles.

use rhyton_ir::op::DotGeneral;
use rhyton_ir::{DType, Element, Op, Result, bf16, f16};

use super::emit::{Operand, Target};
use super::evaluate::Evaluate;
use super::units::{Call, Units};
use crate::fuse::block;
use crate::fuse::fused_loop::FusedLoop;
use crate::fuse::program::Program;
use crate::kernels::gemm::{Axis, BatchDim, Dim, Elements, Epilogue, Gemm, MAX_DIMS, Out, Real, Rhs, Space, View, gemm};
use crate::plan::{Context, Cost, Kernel, Slot};

/// Whether the operation's kernel reads operands through strides.
pub(super) fn reads_views(op: &Op, dtype: DType) -> bool {
    matches!(op, Op::DotGeneral(_)) && dtype.is_float()
}

/// Whether the operation's kernel can hand out finished tiles.
pub(super) fn has_tiles(call: &Call, dtype: DType, units: &Units) -> bool {
    let Op::DotGeneral(dot) = &call.op else { return false };
    let count = units.tensors[call.outputs[0]].count();
    let depth: usize = dot.lhs_contract.iter().map(|&a| call.inputs[0].dims[a]).product();
    matches!(dtype, DType::F32 | DType::F64) && few_axes(dot, &call.inputs) && count > 0 && depth > 0
}

/// Whether no side of the product has more axes than the kernel takes.
fn few_axes(dot: &DotGeneral, inputs: &[super::view::View]) -> bool {
    inputs.iter().all(|v| v.dims.len() <= MAX_DIMS + dot.lhs_batch.len().min(1))
        && inputs.iter().all(|v| v.dims.iter().filter(|&&d| d != 1).count() <= MAX_DIMS)
}

/// The kernel of a contraction.
pub(super) fn kernel(op: &Op, inputs: Vec<Operand>, output: Target) -> Box<dyn Kernel> {
    match op {
        Op::DotGeneral(dot) if output.dtype.is_float() => Box::new(Product::new(dot, inputs, output, None)),
        _ => Box::new(Evaluate::new(op, inputs, vec![output])),
    }
}

/// The kernel of a contraction whose finished tiles go through `program`.
///
/// # Errors
/// None today; kernels may refuse.
pub(super) fn with_epilogue(
    op: &Op,
    inputs: Vec<Operand>,
    output: Target,
    program: Program,
) -> Result<Box<dyn Kernel>> {
    let tiles = FusedLoop::for_tiles(program);
    match op {
        Op::DotGeneral(dot) => Ok(Box::new(Product::new(dot, inputs, output, Some(tiles)))),
        _ => unreachable!("only operations with tiles have epilogues"),
    }
}

/// `dot_general` as a batch of matrix products.
struct Product {
    a: Operand,
    b: Operand,
    c: Target,
    a_axes: (Axis, Axis),
    b_axes: (Axis, Axis),
    batch: Vec<BatchDim>,
    size: (usize, usize, usize),
    tiles: Option<FusedLoop>,
    /// Where the product is made in `f32` if the result is narrower.
    wide: Slot,
}

impl Product {
    fn new(dot: &DotGeneral, inputs: Vec<Operand>, c: Target, tiles: Option<FusedLoop>) -> Product {
        let [a, b]: [Operand; 2] = inputs.try_into().unwrap_or_else(|_| unreachable!("dot_general has two operands"));
        let free = |rank: usize, batch: &[usize], contract: &[usize]| -> Vec<usize> {
            (0..rank).filter(|x| !batch.contains(x) && !contract.contains(x)).collect()
        };
        let a_free = free(a.view.dims.len(), &dot.lhs_batch, &dot.lhs_contract);
        let b_free = free(b.view.dims.len(), &dot.rhs_batch, &dot.rhs_contract);
        let axis = |o: &Operand, axes: &[usize]| {
            let dims: Vec<Dim> = axes.iter().map(|&x| Dim::plain(o.view.dims[x], o.view.strides[x])).collect();
            Axis::new(&dims)
        };
        let product = |o: &Operand, axes: &[usize]| axes.iter().map(|&x| o.view.dims[x]).product::<usize>();
        let (m, n, k) = (product(&a, &a_free), product(&b, &b_free), product(&a, &dot.lhs_contract));
        let mut batch = Vec::new();
        let mut stride = (m * n) as isize;
        for (&x, &y) in dot.lhs_batch.iter().zip(&dot.rhs_batch).rev() {
            let size = a.view.dims[x];
            batch.push(BatchDim { size, a: a.view.strides[x], b: b.view.strides[y], c: stride });
            stride *= size as isize;
        }
        batch.reverse();
        let a_axes = (axis(&a, &a_free), axis(&a, &dot.lhs_contract));
        let b_axes = (axis(&b, &dot.rhs_contract), axis(&b, &b_free));
        Product { a, b, c, a_axes, b_axes, batch, size: (m, n, k), tiles, wide: 0 }
    }

    fn run_as<T: Real + Element>(&self, cx: &Context, c: *mut T) {
        let (m, n, _) = self.size;
        let epilogue = |tile: crate::kernels::gemm::Tile<'_, T>| {
            if let Some(tiles) = &self.tiles {
                tiles.run_tile(cx, tile.offset, tile.rows, tile.cols, tile.row_stride.unsigned_abs());
            }
        };
        let epilogue: Option<Epilogue<'_, T>> = if self.tiles.is_some() { Some(&epilogue) } else { None };
        let view = |o: &Operand, (rows, cols): (Axis, Axis)| {
            View::new(elements::<T>(cx, o), o.view.offset, rows, cols, Space::NONE)
        };
        // SAFETY: the buffer of the result has that many elements, and only the epilogue reaches it meanwhile.
        let out = unsafe { Out::from_raw(c, self.c.count(), 0, Axis::plain(m, n as isize), n, 1) };
        let product = Gemm {
            a: view(&self.a, self.a_axes),
            b: Rhs::View(view(&self.b, self.b_axes)),
            c: out,
            batch: &self.batch,
            accumulate: false,
            epilogue,
        };
        gemm(cx.pool, cx.isa, &product);
    }
}

/// The elements of an operand's buffer.
fn elements<'a, T: Real + Element>(cx: &Context<'a>, o: &Operand) -> Elements<'a, T> {
    fn slice<'a, S>(cx: &Context<'a>, o: &Operand) -> &'a [S] {
        if o.len == 0 {
            return &[];
        }
        // SAFETY: the buffer has `len` elements of the operand's dtype, which the caller matched with S; nothing
        // writes to an operand while a product reads it.
        unsafe { std::slice::from_raw_parts(cx.pointer(o.slot).cast::<S>(), o.len) }
    }
    match o.dtype {
        DType::F16 => Elements::F16(slice::<f16>(cx, o)),
        DType::BF16 => Elements::Bf16(slice::<bf16>(cx, o)),
        _ => {
            assert_eq!(o.dtype, T::DTYPE, "operands of a product have the result's dtype");
            Elements::Native(slice::<T>(cx, o))
        }
    }
}

impl Kernel for Product {
    fn run(&self, cx: &Context) -> Result<()> {
        let out = cx.pointer(self.c.slot);
        if self.size.2 == 0 {
            // SAFETY: the buffer of the result has these bytes; zero bits are 0 in every float dtype.
            unsafe { std::ptr::write_bytes(out, 0, self.c.bytes()) };
            return Ok(());
        }
        match self.c.dtype {
            DType::F64 => self.run_as::<f64>(cx, out.cast()),
            DType::F32 => self.run_as::<f32>(cx, out.cast()),
            narrow => {
                let wide = cx.pointer(self.wide);
                self.run_as::<f32>(cx, wide.cast());
                // SAFETY: scratch() asked for an f32 for each element of the result.
                unsafe { block::convert(DType::F32, narrow, wide, out, self.c.count()) };
            }
        }
        cx.check()
    }

    fn describe(&self) -> String {
        let (m, n, k) = self.size;
        let batch: usize = self.batch.iter().map(|b| b.size).product();
        let mut out = format!(
            "product {} {batch}x({m}x{k} by {k}x{n}) b{} {:?} by b{} {:?} -> b{}",
            self.c.dtype, self.a.slot, self.a.view.strides, self.b.slot, self.b.view.strides, self.c.slot
        );
        if let Some(tiles) = &self.tiles {
            out += &format!(", then {}", tiles.program().describe());
        }
        out
    }

    fn cost(&self) -> Cost {
        let (m, n, k) = self.size;
        let batch: usize = self.batch.iter().map(|b| b.size).product();
        let extra = self.tiles.as_ref().map_or(Cost::default(), Kernel::cost);
        Cost {
            flops: (2 * batch * m * n * k) as u64 + extra.flops,
            bytes: (self.a.bytes() + self.b.bytes() + self.c.bytes()) as u64 + extra.bytes,
        }
    }

    fn scratch(&self) -> usize {
        if self.c.dtype.size() == 2 { self.c.count() * size_of::<f32>() } else { 0 }
    }

    fn placed(&mut self, scratch: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        self.wide = scratch;
        if let Some(tiles) = &mut self.tiles {
            tiles.placed(scratch, shared);
        }
    }
}
