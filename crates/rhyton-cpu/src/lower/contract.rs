//! Products of matrices and convolutions, with elementwise work on their finished tiles.

use rhyton_ir::op::{Convolution, DotGeneral};
use rhyton_ir::{DType, Element, Op, Result, bf16, f16};

use super::direct::Direct;
use super::emit::{Operand, Target};
use super::units::{Call, Units};
use crate::fuse::block;
use crate::fuse::fused_loop::FusedLoop;
use crate::fuse::program::Program;
use crate::kernels::conv::{self, ConvGeometry, ConvStrides};
use crate::kernels::gemm::{
    Axis, BatchDim, Dim, Elements, Epilogue, FEW_ROWS, Gemm, MAX_DIMS, Out, Packed, Real, Rhs, Space, View, gemm,
};
use crate::plan::{Context, Cost, Kernel, Slot};

/// Whether the operation's kernel reads these operands through their strides.
pub(super) fn reads_views(op: &Op, dtype: DType, inputs: &[super::view::View]) -> bool {
    dtype.is_float()
        && match op {
            Op::DotGeneral(dot) => few_axes(dot, inputs),
            Op::Convolution(op) => geometry(op, inputs).is_some(),
            _ => false,
        }
}

/// Whether the operation's kernel can hand out finished tiles.
pub(super) fn has_tiles(call: &Call, dtype: DType, units: &Units) -> bool {
    let count = units.tensors[call.outputs[0]].count();
    let dot = match &call.op {
        Op::DotGeneral(dot) => dot,
        Op::Convolution(op) => {
            let taps = call.inputs[1].count();
            // The phases of a dilated image visit the result one after the other, each with gaps: work on their tiles
            // would bring every line of its operands into cache several times.
            return matches!(dtype, DType::F32 | DType::F64)
                && geometry(op, &call.inputs).is_some_and(|g| g.lhs_dilation == [1; 3])
                && count * taps > 0;
        }
        _ => return false,
    };
    let depth: usize = dot.lhs_contract.iter().map(|&a| call.inputs[0].dims[a]).product();
    matches!(dtype, DType::F32 | DType::F64) && few_axes(dot, &call.inputs) && count > 0 && depth > 0
}

/// Whether no side of the product has more axes than the kernel takes.
fn few_axes(dot: &DotGeneral, inputs: &[super::view::View]) -> bool {
    inputs.iter().all(|v| v.dims.len() <= MAX_DIMS + dot.lhs_batch.len().min(1))
        && inputs.iter().all(|v| v.dims.iter().filter(|&&d| d != 1).count() <= MAX_DIMS)
}

/// Whether the operation is computed by its definition, see [`direct`](super::direct): of integers, and what no other
/// kernel takes.
pub(super) fn is_direct(op: &Op, dtype: DType, inputs: &[super::view::View]) -> bool {
    let dense = |view: &super::view::View| super::view::View::dense(view.tensor, &view.dims);
    !dtype.is_float()
        || match op {
            Op::Convolution(op) => {
                inputs.iter().any(|v| v.count() == 0) || geometry(op, &[dense(&inputs[0]), dense(&inputs[1])]).is_none()
            }
            _ => false,
        }
}

/// The kernel of a contraction.
pub(super) fn kernel(op: &Op, inputs: Vec<Operand>, output: Target) -> Box<dyn Kernel> {
    let views = [inputs[0].view.clone(), inputs[1].view.clone()];
    match op {
        _ if is_direct(op, output.dtype, &views) => Box::new(Direct::new(op, inputs, output)),
        Op::DotGeneral(dot) => Box::new(Product::new(dot, inputs, output, None)),
        Op::Convolution(op) => {
            let geometry = geometry(op, &views).expect("what has none is direct, or dense");
            Box::new(Convolve::new(geometry, inputs, output, None))
        }
        _ => unreachable!("only contractions are contracted"),
    }
}

/// The kernel of a contraction whose finished tiles go through `program`; one for which [`has_tiles`] holds.
pub(super) fn with_epilogue(op: &Op, inputs: Vec<Operand>, output: Target, program: Program) -> Box<dyn Kernel> {
    let tiles = Some(FusedLoop::for_tiles(program));
    match op {
        Op::Convolution(op) => {
            let views = [inputs[0].view.clone(), inputs[1].view.clone()];
            let geometry = geometry(op, &views).expect("convolutions with tiles have a geometry");
            Box::new(Convolve::new(geometry, inputs, output, tiles))
        }
        Op::DotGeneral(dot) => Box::new(Product::new(dot, inputs, output, tiles)),
        _ => unreachable!("only contractions have tiles"),
    }
}

/// The sizes and strides of a convolution of two views.
fn geometry(op: &Convolution, inputs: &[super::view::View]) -> Option<ConvGeometry> {
    let (lhs, rhs) = (&inputs[0], &inputs[1]);
    let mut out = ConvGeometry::new(op, &lhs.dims, &rhs.dims)?;
    let skip = 3 - op.dims.lhs_spatial.len();
    let place = |view: &super::view::View, batch: usize, feature: usize, spatial: &[usize]| ConvStrides {
        batch: view.strides[batch],
        feature: view.strides[feature],
        spatial: std::array::from_fn(|d| if d < skip { 0 } else { view.strides[spatial[d - skip]] }),
    };
    out.lhs_strides = place(lhs, op.dims.lhs_batch, op.dims.lhs_feature, &op.dims.lhs_spatial);
    out.rhs_strides = place(rhs, op.dims.rhs_output, op.dims.rhs_input, &op.dims.rhs_spatial);
    // A kernel that is read backwards starts at its last element; the kernels count from the first.
    for d in skip..3 {
        if out.rhs_strides.spatial[d] < 0 {
            out.rhs_strides.spatial[d] = -out.rhs_strides.spatial[d];
            out.reversed[d] = true;
        }
    }
    // The gradient of a mean repeats one pixel: runs of taps are not neighbours in memory, a copy is cheaper.
    if (0..3).any(|d| out.image[d] > 1 && out.lhs_strides.spatial[d] == 0) {
        return None;
    }
    let backwards = |s: &ConvStrides| s.batch < 0 || s.feature < 0 || s.spatial.iter().any(|&s| s < 0);
    let first = |view: &super::view::View, reversed: &[bool; 3], spatial: &[isize; 3], sizes: &[usize; 3]| {
        let back: isize = (0..3).filter(|&d| reversed[d]).map(|d| spatial[d] * (sizes[d] as isize - 1)).sum();
        view.offset - back
    };
    let starts =
        (first(lhs, &[false; 3], &[0; 3], &[1; 3]), first(rhs, &out.reversed, &out.rhs_strides.spatial, &out.kernel));
    (!backwards(&out.lhs_strides) && !backwards(&out.rhs_strides) && starts == (0, 0)).then_some(out)
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
    /// Where `b` is kept packed while it does not change.
    packed: Option<Slot>,
}

/// Most bytes of a packed operand that is kept.
const MOST_KEPT: usize = 64 << 20;

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
        Product { a, b, c, a_axes, b_axes, batch, size: (m, n, k), tiles, wide: 0, packed: None }
    }

    fn run_as<T: Real + Element>(&self, cx: &Context, c: *mut T) {
        let (m, n, k) = self.size;
        let epilogue = |tile: crate::kernels::gemm::Tile<'_, T>| {
            if let Some(tiles) = &self.tiles {
                run_tile(tiles, cx, &tile);
            }
        };
        let epilogue: Option<Epilogue<'_, T>> = if self.tiles.is_some() { Some(&epilogue) } else { None };
        let view = |o: &Operand, (rows, cols): (Axis, Axis)| {
            View::new(elements::<T>(cx, o), o.view.offset, rows, cols, Space::NONE)
        };
        // SAFETY: the buffer of the result has that many elements, and only the epilogue reaches it meanwhile.
        let out = unsafe { Out::from_raw(c, self.c.count(), 0, Axis::plain(m, n as isize), n, 1) };
        let b = match self.packed {
            // SAFETY: the slot has these bytes, in which `prepare` has packed `b`.
            Some(slot) => unsafe {
                let memory = std::slice::from_raw_parts(cx.pointer(slot).cast::<T>(), Packed::<T>::most(k, n));
                Rhs::Packed(Packed::of(cx.isa, (k, n), 1, memory))
            },
            None => Rhs::View(view(&self.b, self.b_axes)),
        };
        let product =
            Gemm { a: view(&self.a, self.a_axes), b, c: out, batch: &self.batch, accumulate: false, epilogue };
        gemm(cx.pool, cx.isa, &product);
    }

    fn pack<T: Real + Element>(&self, cx: &Context, slot: Slot) {
        let (_, n, k) = self.size;
        let b = View::new(elements::<T>(cx, &self.b), self.b.view.offset, self.b_axes.0, self.b_axes.1, Space::NONE);
        // SAFETY: the slot has these bytes, and nothing else uses them.
        let memory = unsafe { std::slice::from_raw_parts_mut(cx.pointer(slot).cast::<T>(), Packed::<T>::most(k, n)) };
        Packed::pack(cx.pool, cx.isa, b, (1, 0), memory);
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
                unsafe { block::convert(cx.isa, DType::F32, narrow, wide, out, self.c.count()) };
            }
        }
        Ok(())
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

    fn title(&self) -> String {
        let (m, n, k) = self.size;
        let batch: usize = self.batch.iter().map(|b| b.size).product();
        let times = if batch == 1 { String::new() } else { format!("{batch} × ") };
        format!("product {} {times}({m}×{k} · {k}×{n}){}", self.c.dtype, then(&self.tiles))
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

    fn keeps(&self, constant: &dyn Fn(Slot) -> bool) -> usize {
        let (m, n, k) = self.size;
        let bytes = Packed::<f32>::most(k, n) * self.c.dtype.size().max(size_of::<f32>());
        // With few rows the operand is read where it lies.
        let worth = m > FEW_ROWS && self.batch.is_empty() && k > 0 && bytes <= MOST_KEPT;
        if worth && constant(self.b.slot) { bytes } else { 0 }
    }

    fn keep_at(&mut self, slot: Slot) {
        self.packed = Some(slot);
    }

    fn prepare(&self, cx: &Context) {
        match (self.packed, self.c.dtype) {
            (None, _) => {}
            (Some(slot), DType::F64) => self.pack::<f64>(cx, slot),
            (Some(slot), _) => self.pack::<f32>(cx, slot),
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

/// A convolution.
struct Convolve {
    convolution: conv::ConvPlan,
    lhs: Operand,
    rhs: Operand,
    out: Target,
    tiles: Option<FusedLoop>,
    /// Where the result is made in `f32` if it is narrower.
    wide: Slot,
    /// Where the kernel is kept packed while it does not change.
    packed: Option<Slot>,
}

impl Convolve {
    fn new(geometry: ConvGeometry, inputs: Vec<Operand>, out: Target, tiles: Option<FusedLoop>) -> Convolve {
        let [lhs, rhs]: [Operand; 2] =
            inputs.try_into().unwrap_or_else(|_| unreachable!("convolution has two operands"));
        Convolve { convolution: conv::ConvPlan::new(&geometry), lhs, rhs, out, tiles, wide: 0, packed: None }
    }

    fn run_as<T: Real + Element>(&self, cx: &Context, out: *mut T) {
        let epilogue = |tile: crate::kernels::gemm::Tile<'_, T>| {
            if let Some(tiles) = &self.tiles {
                run_tile(tiles, cx, &tile);
            }
        };
        let epilogue: Option<Epilogue<'_, T>> = if self.tiles.is_some() { Some(&epilogue) } else { None };
        let lhs = elements::<T>(cx, &self.lhs);
        let rhs = match self.packed {
            // SAFETY: the slot has these bytes, in which `prepare` has packed the kernel.
            Some(slot) => conv::Kernel::Packed(unsafe {
                std::slice::from_raw_parts(cx.pointer(slot).cast::<T>(), self.packed_len())
            }),
            None => conv::Kernel::Elements(elements::<T>(cx, &self.rhs)),
        };
        // SAFETY: the buffer of the result has that many elements, and only the epilogue reaches it meanwhile.
        unsafe { self.convolution.run(cx.pool, cx.isa, lhs, rhs, out, self.out.count(), epilogue) };
    }
}

impl Convolve {
    fn packed_len(&self) -> usize {
        match self.out.dtype {
            DType::F64 => self.convolution.packed::<f64>(true),
            dtype => self.convolution.packed::<f32>(dtype == DType::F32),
        }
        .unwrap_or(0)
    }

    fn pack<T: Real + Element>(&self, cx: &Context, slot: Slot) {
        // SAFETY: the slot has these bytes, and nothing else uses them.
        let memory = unsafe { std::slice::from_raw_parts_mut(cx.pointer(slot).cast::<T>(), self.packed_len()) };
        self.convolution.pack(cx.pool, cx.isa, elements::<T>(cx, &self.rhs), memory);
    }
}

/// Runs the epilogue on a tile, row by row where its columns are neighbours, else element by element.
fn run_tile<T>(tiles: &FusedLoop, cx: &Context, tile: &crate::kernels::gemm::Tile<'_, T>) {
    if tile.col_stride == 1 || tile.cols == 1 {
        tiles.run_tile(cx, tile.offset, tile.rows, tile.cols, tile.row_stride.unsigned_abs());
    } else {
        for row in 0..tile.rows {
            let start = tile.offset + row * tile.row_stride.unsigned_abs();
            tiles.run_tile(cx, start, tile.cols, 1, tile.col_stride.unsigned_abs());
        }
    }
}

impl Kernel for Convolve {
    fn run(&self, cx: &Context) -> Result<()> {
        let out = cx.pointer(self.out.slot);
        match self.out.dtype {
            DType::F64 => self.run_as::<f64>(cx, out.cast()),
            DType::F32 => self.run_as::<f32>(cx, out.cast()),
            narrow => {
                let wide = cx.pointer(self.wide);
                self.run_as::<f32>(cx, wide.cast());
                // SAFETY: scratch() asked for an f32 for each element of the result.
                unsafe { block::convert(cx.isa, DType::F32, narrow, wide, out, self.out.count()) };
            }
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
        let bytes = self.packed_len() * self.out.dtype.size().max(size_of::<f32>());
        if bytes <= MOST_KEPT && constant(self.rhs.slot) { bytes } else { 0 }
    }

    fn keep_at(&mut self, slot: Slot) {
        self.packed = Some(slot);
    }

    fn prepare(&self, cx: &Context) {
        match (self.packed, self.out.dtype) {
            (None, _) => {}
            (Some(slot), DType::F64) => self.pack::<f64>(cx, slot),
            (Some(slot), _) => self.pack::<f32>(cx, slot),
        }
    }

    fn scratch(&self) -> usize {
        if self.out.dtype.size() == 2 { self.out.count() * size_of::<f32>() } else { 0 }
    }

    fn placed(&mut self, scratch: Slot, shared: &dyn Fn(Slot, Slot) -> bool) {
        self.wide = scratch;
        if let Some(tiles) = &mut self.tiles {
            tiles.placed(scratch, shared);
        }
    }
}

/// What an epilogue computes, for titles.
fn then(tiles: &Option<FusedLoop>) -> String {
    tiles.as_ref().map(|t| format!(", then {}", t.program().functions())).unwrap_or_default()
}
