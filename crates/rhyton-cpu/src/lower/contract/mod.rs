//! Products of matrices and convolutions, with elementwise work on their finished tiles.

mod convolve;
mod expand;
mod pairs;
mod product;

use rhyton_ir::op::{Convolution, DotGeneral};
use rhyton_ir::{DType, Element, Op};

use super::direct::Direct;
use super::emit::{Operand, Target};
use super::units::{Call, Units};
use crate::fuse::block;
use crate::fuse::fused_loop::FusedLoop;
use crate::fuse::program::Program;
use crate::kernels::conv::{ConvGeometry, ConvStrides};
use crate::kernels::gemm::{Epilogue, MAX_DIMS, Real, Tile};
use crate::plan::{Context, Kernel};
use convolve::Convolve;
use expand::Expand;
use product::Product;

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
            return dtype.is_float()
                && geometry(op, &call.inputs).is_some_and(|g| g.lhs_dilation == [1; 3])
                && count * taps > 0;
        }
        _ => return false,
    };
    let depth: usize = dot.lhs_contract.iter().map(|&a| call.inputs[0].dims[a]).product();
    dtype.is_float() && few_axes(dot, &call.inputs) && count > 0 && depth > 0
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

/// A contraction and its operands, and what its finished tiles go through.
pub(super) struct Contraction {
    pub op: Op,
    pub inputs: Vec<Operand>,
    pub output: Target,
    pub program: Option<Program>,
}

impl Contraction {
    /// Its kernel.
    pub(super) fn kernel(self) -> Box<dyn Kernel> {
        match self.program {
            Some(program) => with_epilogue(&self.op, self.inputs, self.output, program),
            None => kernel(&self.op, self.inputs, self.output),
        }
    }

    /// It as a convolution that a kernel computes.
    fn convolve(&self) -> Option<Convolve> {
        let Op::Convolution(op) = &self.op else { return None };
        let views = [self.inputs[0].view.clone(), self.inputs[1].view.clone()];
        if is_direct(&self.op, self.output.dtype, &views) {
            return None;
        }
        let tiles = self.program.clone().map(FusedLoop::for_tiles);
        Some(Convolve::new(geometry(op, &views)?, self.inputs.clone(), self.output.clone(), tiles))
    }
}

/// One kernel for two contractions, the second of what the first gives and nobody else reads; if there is one.
pub(super) fn joined(first: &Contraction, second: &Contraction) -> Option<Box<dyn Kernel>> {
    let view = &second.inputs[0].view;
    let whole = view.is_dense() && view.count() == second.inputs[0].len;
    let (first, second) = first.convolve().zip(second.convolve()).filter(|_| whole)?;
    Expand::new(first, second).map(|kernel| Box::new(kernel) as Box<dyn Kernel>)
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

/// Most bytes of a packed operand that is kept.
const MOST_KEPT: usize = 64 << 20;

/// What is to be done with a result that `tiles` work on, the work of [`finish`].
fn epilogue<'a, T: Real>(
    cx: &Context<'a>,
    out: &Target,
    tiles: Option<&FusedLoop>,
    finish: &'a (dyn Fn(Tile<'_, T>) + Sync),
) -> Option<Epilogue<'a, T>> {
    let narrow = out.dtype.size() == 2;
    let simple = tiles.filter(|_| !narrow).and_then(|tiles| tiles.finish(cx)).and_then(T::finish);
    (narrow || tiles.is_some()).then_some(Epilogue { tiles: finish, finish: simple })
}

/// Finishes a block of a product: stores it rounded if the result is narrower, and works on it.
fn finish<T>(cx: &Context, out: &Target, tiles: Option<&FusedLoop>, mut tile: Tile<'_, T>) {
    if out.dtype.size() == 2 {
        let (row_step, col_step) = tile.strides();
        let made = tile.as_mut_ptr().cast::<f32>();
        let to = cx.pointer(out.slot).cast::<u16>().wrapping_add(tile.offset);
        let round = |from: isize, at: isize, len: usize| {
            // SAFETY: `len` elements of this tile, which are `f32`s, and their places in the result, which are this task's.
            unsafe {
                block::convert(cx.isa, DType::F32, out.dtype, made.offset(from).cast(), to.offset(at).cast(), len);
            }
        };
        for row in 0..tile.rows as isize {
            if tile.cols == 1 || (tile.col_stride, col_step) == (1, 1) {
                round(row * row_step, row * tile.row_stride, tile.cols);
            } else {
                for col in 0..tile.cols as isize {
                    round(row * row_step + col * col_step, row * tile.row_stride + col * tile.col_stride, 1);
                }
            }
        }
    }
    if let Some(tiles) = tiles {
        run_tile(tiles, cx, &tile);
    }
}

/// The elements of an operand's buffer, which are `S`s.
fn numbers<'a, S: Element>(cx: &Context<'a>, o: &Operand) -> &'a [S] {
    assert_eq!(o.dtype, S::DTYPE, "operands of a product have the result's dtype");
    if o.len == 0 {
        return &[];
    }
    // SAFETY: the buffer has `len` elements of the operand's dtype; nothing writes to an operand while a product reads it.
    unsafe { std::slice::from_raw_parts(cx.pointer(o.slot).cast::<S>(), o.len) }
}

/// Runs the epilogue on a tile, row by row where its columns are neighbours, else element by element.
fn run_tile<T>(tiles: &FusedLoop, cx: &Context, tile: &Tile<'_, T>) {
    if tile.col_stride == 1 || tile.cols == 1 {
        tiles.run_tile(cx, tile.offset, tile.rows, tile.cols, tile.row_stride.unsigned_abs());
    } else {
        for row in 0..tile.rows {
            let start = tile.offset + row * tile.row_stride.unsigned_abs();
            tiles.run_tile(cx, start, tile.cols, 1, tile.col_stride.unsigned_abs());
        }
    }
}

/// What an epilogue computes, for titles.
fn then(tiles: &Option<FusedLoop>) -> String {
    tiles.as_ref().map(|t| format!(", then {}", t.program().functions())).unwrap_or_default()
}
