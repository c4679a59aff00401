//! Convolutions of 1 × 1 windows whose kernels stay the same, with an eighth fewer multiplications: one level of Strassen's
//! algorithm (1969, <https://doi.org/10.1007/BF02165411>).
//!
//! Both operands and the result are cut in two along each axis. Of the eight products of parts, seven are enough, of sums of
//! the parts:
//!
//! ```text
//! M1 = (A11 + A22)(B11 + B22)    C11 = M1 + M4 − M5 + M7
//! M2 = (A21 + A22) B11           C12 = M3 + M5
//! M3 = A11 (B12 − B22)           C21 = M2 + M4
//! M4 = A22 (B21 − B11)           C22 = M1 − M2 + M3 + M6
//! M5 = (A11 + A12) B22
//! M6 = (A21 − A11)(B11 + B12)
//! M7 = (A12 − A22)(B21 + B22)
//! ```
//!
//! The sums of the kernel's parts are made and packed once. A task takes some pairs of positions; it makes their sums, which are
//! read in the second-level cache, multiplies, and adds the products of a group of panels to what it writes, finished.
//!
//! In terms of the direct product's operations, 19 × 19 × 728 positions and features by 728 features reach 103% of the
//! processor's peak (measured with 96 pairs a task), where that product reaches 94%; 14 × 14 × 256 by 1,024 103 and 96%, 37 × 37 × 256 by 728 98 and 91%.
//!
//! The two parts of the rows are the positions of a pair: neighbours in the same image, so that no image depends on the
//! others of its batch. An element's error grows with its pair's and its features' size, not with its own alone, as in
//! Winograd's algorithm. That is no harm where features are applied; gradients, which can be of any size and are zero for what is
//! not used, are not computed so.

mod sums;

pub(crate) use sums::{Sums, f32_sums};

use super::ConvGeometry;
use super::winograd::{fetch, point_step};
use crate::isa::Isa;
use crate::kernels::gemm::{
    Axis, BLOCK_K, Cut, Elements, Epilogue, Finish, MAX_ROWS, Packed, Panel, Real, Shared, Space, Tile, View,
    multiply_panel,
};
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;

/// Products of parts.
const PRODUCTS: usize = 7;
/// Sums of parts of the left operand: two products are of parts as they are.
const OPERANDS: usize = 5;
/// Pairs of positions of a task at most.
const PAIRS: usize = 64;
/// Columns of the products that are computed before they are added.
const COLUMNS: usize = 192;
/// Elements of a line of the cache.
const LINE: usize = 16;
/// What the sums cost in terms of multiplications: those of four elements of the left operand, and of the result.
const SUM_OPERANDS: f64 = 48.0;
const SUM_RESULTS: f64 = 64.0;
/// What an element of the kernel costs so, if it comes from memory.
const LOAD: f64 = 12.0;
/// Elements of a kernel from which on it is not worth while: the sums take three quarters more memory than they do.
const MOST_ELEMENTS: usize = 1 << 20;

/// The left operand of a product.
#[derive(Clone, Copy)]
enum Left {
    /// The first row's first half.
    First,
    /// The second row's second half.
    Second,
    /// A sum.
    Sum(usize),
}

/// Those of the seven products, in the order of the table above.
const LEFT: [Left; PRODUCTS] =
    [Left::Sum(0), Left::Sum(1), Left::First, Left::Second, Left::Sum(2), Left::Sum(3), Left::Sum(4)];
/// A part of the kernel: which half of its rows, and of its columns.
type Part = (usize, usize);
/// The parts that make the right operands, and the sign of the second.
const RIGHT: [(Part, Option<Part>, f32); PRODUCTS] = [
    ((0, 0), Some((1, 1)), 1.0),
    ((0, 0), None, 1.0),
    ((0, 1), Some((1, 1)), -1.0),
    ((1, 0), Some((0, 0)), -1.0),
    ((1, 1), None, 1.0),
    ((0, 0), Some((0, 1)), 1.0),
    ((1, 0), Some((1, 1)), 1.0),
];

/// A convolution that is computed so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strassen {
    g: ConvGeometry,
    /// Positions of an image of the result.
    positions: usize,
}

/// The buffers of a task.
struct Task<T> {
    /// By sum, pair, input feature of a half.
    sums: Aligned<T>,
    /// By product, pair, output feature of a half.
    products: Aligned<T>,
    zeros: Aligned<T>,
    /// The rows of the pairs.
    rows: Vec<[*const T; 2]>,
}

impl<T> Default for Task<T> {
    fn default() -> Self {
        Task { sums: Aligned::default(), products: Aligned::default(), zeros: Aligned::default(), rows: Vec::new() }
    }
}

impl Strassen {
    /// If the convolution can be computed so, and that is faster.
    pub(super) fn new(g: &ConvGeometry) -> Option<Strassen> {
        let plane = g.kernel == [1; 3] && g.image[0] == 1 && g.out[0] == 1;
        let whole = g.feature_groups == 1 && g.batch_groups == 1 && g.lhs_dilation == [1; 3];
        let inside = g.padding == [0; 3] && (0..3).all(|d| (g.out[d] - 1) * g.strides[d] < g.image[d]);
        let halves = g.in_features.is_multiple_of(2) && g.out_features.is_multiple_of(2);
        let last = g.lhs_strides.feature == 1 && g.out_strides.feature == 1;
        // Positions follow each other, so that the epilogue runs on those of a task.
        let rows = g.out_strides.spatial[1] == g.out_strides.spatial[2] * g.out[2] as isize;
        let strassen = Strassen { g: *g, positions: g.out[1] * g.out[2] };
        (plane && whole && inside && halves && last && rows && strassen.is_faster()).then_some(strassen)
    }

    /// By the multiplications, the sums, and what more of the kernel has to come from memory.
    fn is_faster(&self) -> bool {
        let (k, n) = (self.g.in_features as f64, self.g.out_features as f64);
        let pairs = (self.g.batch * self.pairs()) as f64;
        let sums = pairs / 2.0 * (k * SUM_OPERANDS + n * SUM_RESULTS);
        let direct = (self.g.batch * self.positions) as f64 * k * n + k * n * LOAD;
        let strassen = pairs * 7.0 / 4.0 * k * n + sums + 7.0 / 4.0 * k * n * LOAD;
        self.g.in_features * self.g.out_features < MOST_ELEMENTS && strassen < direct
    }

    /// Pairs of positions of an image; the last may be of one.
    fn pairs(&self) -> usize {
        self.positions.div_ceil(2)
    }

    /// K and N of the products.
    fn shape(&self) -> (usize, usize) {
        (self.g.in_features / 2, self.g.out_features / 2)
    }

    /// Elements of the packed sums of the kernel's parts.
    pub(super) fn packed(&self) -> usize {
        let (k, n) = self.shape();
        PRODUCTS * Packed::<f32>::most(k, n)
    }

    /// Adds and packs the parts of the kernel.
    pub(super) fn pack<T: Real>(&self, pool: &Pool, isa: Isa, sums: &Sums<T>, rhs: &[T], memory: &mut [T]) {
        let s = &self.g.rhs_strides;
        let (k, n) = self.shape();
        let reach = (2 * k - 1) as isize * s.feature + (2 * n - 1) as isize * s.batch;
        assert!((reach as usize) < rhs.len(), "convolution: the kernel reaches beyond its buffer");
        let cut = Cut::new(T::kernels(isa), k, n, BLOCK_K);
        // Not kept: kernels are packed once.
        let mut right = Aligned::<T>::default();
        let right = right.get(k * n);
        for (p, (x, y, sign)) in RIGHT.into_iter().enumerate() {
            let to = Shared(right.as_mut_ptr());
            pool.run(k, &|i| {
                let at = |(row, col): Part| {
                    let offset = (row * k + i) as isize * s.feature + (col * n) as isize * s.batch;
                    rhs.as_ptr().wrapping_offset(offset)
                };
                let y = y.map_or(std::ptr::null(), at);
                // SAFETY: the kernel was checked above; each task writes its own row.
                unsafe { (sums.kernel)(at(x), y, sign, s.batch, n, to.get().add(i * n)) };
            });
            let (rows, cols) = (Axis::plain(k, n as isize), Axis::plain(n, 1));
            let matrix = View::new(Elements::Native(&*right), 0, rows, cols, Space::NONE);
            Packed::pack(pool, isa, matrix, (1, 0), &mut memory[p * cut.len()..]);
        }
    }

    /// Computes the convolution; `packed` is what [`Strassen::pack`] has made of the kernel.
    ///
    /// # Safety
    /// As [`ConvPlan::run`](super::ConvPlan::run).
    #[expect(clippy::too_many_arguments, reason = "as `ConvPlan::run`")]
    pub(super) unsafe fn run<T: Real>(
        &self,
        pool: &Pool,
        isa: Isa,
        sums: &Sums<T>,
        lhs: &[T],
        packed: &[T],
        out: *mut T,
        out_len: usize,
        epilogue: Option<Epilogue<'_, T>>,
    ) {
        let g = &self.g;
        self.check(lhs, out_len);
        let kernel = Packed::of(isa, self.shape(), PRODUCTS, packed);
        let finish = epilogue.and_then(|epilogue| epilogue.finish).filter(|finish| {
            let steps = [g.out_strides.batch, g.out_strides.spatial[2]];
            !finish.swish && finish.suits(g.out_features, 0, steps.into_iter(), std::iter::empty())
        });
        let epilogue = epilogue.filter(|_| finish.is_none());
        let (pairs, out) = (self.pairs(), Shared(out));
        // Of equal size, and as many for each thread.
        let parts = (g.batch * pairs).div_ceil(PAIRS).next_multiple_of(pool.threads()).min(g.batch * pairs);
        pool.run(parts, &|task| {
            let all = g.batch * pairs;
            let (first, last) = (all * task / parts, all * (task + 1) / parts);
            scratch::with(|s: &mut Task<T>| {
                // SAFETY: the operands were checked; each task has its own pairs of positions.
                unsafe { self.task(isa, sums, lhs, &kernel, s, first..last, out.get(), finish) };
            });
            let Some(epilogue) = epilogue else { return };
            let mut pair = first;
            while pair < last {
                let (image, within) = (pair / pairs, pair % pairs);
                let count = (last - pair).min(pairs - within);
                let row0 = 2 * within;
                let rows = (2 * count).min(self.positions - row0);
                let row_stride = g.out_strides.spatial[2];
                let offset = self.place(image, row0);
                // SAFETY: positions of this task, which are written.
                let tile = unsafe {
                    Tile::new(out.get(), offset, (image * self.positions + row0, rows), g.out_features, row_stride)
                };
                (epilogue.tiles)(tile);
                pair += count;
            }
        });
    }

    /// The element of the result at a position, feature 0.
    fn place(&self, image: usize, position: usize) -> usize {
        let s = &self.g.out_strides;
        image * s.batch as usize + position * s.spatial[2] as usize
    }

    /// Computes some pairs.
    ///
    /// # Safety
    /// The operands were checked; the pairs are the caller's alone.
    #[expect(clippy::too_many_arguments, reason = "the operands, which part, and where to")]
    unsafe fn task<T: Real>(
        &self,
        isa: Isa,
        sums: &Sums<T>,
        lhs: &[T],
        kernel: &Packed<'_, T>,
        s: &mut Task<T>,
        all: std::ops::Range<usize>,
        out: *mut T,
        finish: Option<Finish<'_, T>>,
    ) {
        let (g, (k, n), pairs) = (&self.g, self.shape(), self.pairs());
        let zeros = s.zeros.get(g.in_features);
        zeros.fill(T::ZERO);
        let zeros = zeros.as_ptr();
        s.rows.clear();
        s.rows.extend(all.clone().map(|pair| {
            [0, 1].map(|i| {
                let (image, position) = (pair / pairs, pair % pairs * 2 + i);
                if position >= self.positions {
                    return zeros;
                }
                let (y, x) =
                    ((position / g.out[2] * g.strides[1]) as isize, (position % g.out[2] * g.strides[2]) as isize);
                let at = &g.lhs_strides;
                lhs.as_ptr().wrapping_offset(image as isize * at.batch + y * at.spatial[1] + x * at.spatial[2])
            })
        }));
        let rows = s.rows.len();
        // Rows are padded, so that they do not compete for the same lines of the cache.
        let k_step = k.next_multiple_of(LINE) + LINE;
        let sum_step = point_step(rows * k_step);
        let operands = s.sums.get(OPERANDS * sum_step).as_mut_ptr();
        for (row, pair) in s.rows.iter().enumerate() {
            if let Some(next) = s.rows.get(row + 1) {
                fetch(next, g.in_features);
            }
            // SAFETY: `check` found the rows in the buffer; the sums have room for whole vectors.
            unsafe { (sums.operands)(*pair, k, operands.add(row * k_step), sum_step) };
        }
        let cut = &kernel.cut;
        let c_step = COLUMNS.max(cut.panel) + LINE;
        let product_step = point_step((rows + MAX_ROWS) * c_step);
        let products = s.products.get(PRODUCTS * product_step).as_mut_ptr();
        let group = (COLUMNS / cut.panel).max(1);
        for first in (0..cut.panels()).step_by(group) {
            let panels = first..(first + group).min(cut.panels());
            for (p, left) in LEFT.into_iter().enumerate() {
                let a = |row: usize| match left {
                    Left::First => s.rows[row][0],
                    Left::Second => s.rows[row][1].wrapping_add(k),
                    Left::Sum(i) => operands.wrapping_add(i * sum_step + row * k_step).cast_const(),
                };
                let c = products.wrapping_add(p * product_step);
                for block in 0..cut.blocks() {
                    // SAFETY: passed on.
                    unsafe { multiply(isa, kernel, (p, block), panels.clone(), rows, &a, (c, c_step)) };
                }
            }
            let col0 = panels.start * cut.panel;
            let cols = (panels.end * cut.panel).min(n) - col0;
            let finish = finish.map(|finish| [finish.at(out, col0), finish.at(out, n + col0)]);
            for (row, pair) in all.clone().enumerate() {
                let to = [0, 1].map(|i| {
                    let (image, position) = (pair / pairs, pair % pairs * 2 + i);
                    if position >= self.positions {
                        return [std::ptr::null_mut(); 2];
                    }
                    let row = out.wrapping_add(self.place(image, position) + col0);
                    [row, row.wrapping_add(n)]
                });
                // SAFETY: positions of the caller's; the products were computed above, in whole vectors.
                unsafe { (sums.results)(products.add(row * c_step), product_step, cols, to, finish.as_ref()) };
            }
        }
    }

    fn check<T>(&self, lhs: &[T], out_len: usize) {
        let g = &self.g;
        let reach = |sizes: [usize; 4], strides: [isize; 4]| {
            sizes.iter().zip(strides).map(|(&n, stride)| (n as i128 - 1) * stride as i128).sum::<i128>()
        };
        let s = &g.lhs_strides;
        let step = |d: usize| g.strides[d] as isize * s.spatial[d];
        let images = reach([g.batch, g.out[1], g.out[2], g.in_features], [s.batch, step(1), step(2), 1]);
        assert!(images < lhs.len() as i128, "convolution: the image reaches beyond its buffer");
        let s = &g.out_strides;
        let result = reach([g.batch, self.positions, g.out_features, 1], [s.batch, s.spatial[2], 1, 0]);
        assert!(result < out_len as i128, "convolution: the result reaches beyond its buffer");
        let dense = s.spatial[2] >= g.out_features as isize
            && (g.batch == 1 || s.batch >= self.positions as isize * s.spatial[2]);
        assert!(dense, "convolution: elements of the result overlap");
    }
}

/// Product `p` of `rows` rows of A by some panels, of a block of K: it is written to rows of `c`, to which later blocks are
/// added.
///
/// # Safety
/// The processor has the instruction set; rows of A can be read for K elements; those of C, and `MAX_ROWS` more, can be written
/// for the columns of the panels in whole vectors.
unsafe fn multiply<T: Real>(
    isa: Isa,
    kernel: &Packed<'_, T>,
    (p, block): (usize, usize),
    panels: std::ops::Range<usize>,
    rows: usize,
    a: &dyn Fn(usize) -> *const T,
    (c, c_step): (*mut T, usize),
) {
    let cut = &kernel.cut;
    let (k0, k1) = cut.range(block);
    let at = |p: usize, block: usize, panel: usize| {
        kernel.data.as_ptr().wrapping_add(p * cut.len() + cut.offset(block, panel))
    };
    for panel in panels.clone() {
        let next = match (panel + 1 < panels.end, block + 1 < cut.blocks(), p + 1 < PRODUCTS) {
            (true, _, _) => at(p, block, panel + 1),
            (false, true, _) => at(p, block + 1, panels.start),
            (false, false, true) => at(p + 1, 0, panels.start),
            (false, false, false) if panels.end < cut.panels() => at(0, 0, panels.end),
            (false, false, false) => std::ptr::null(),
        };
        let right = Panel { b: at(p, block, panel), width: cut.width(panel), len: k1 - k0, next };
        let a = |row: usize| a(row).wrapping_add(k0);
        let c = |row: usize| c.wrapping_add(row * c_step);
        // SAFETY: the caller's promise; panels of the kernel, which is as long as its `cut` says.
        unsafe { multiply_panel(isa, &right, rows, a, (c, (panel - panels.start) * cut.panel), block > 0) };
    }
}
