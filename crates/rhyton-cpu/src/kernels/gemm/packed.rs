//! B in the order in which the micro-kernels read it: blocks of K, in each the panels from left to right, in each panel
//! one row of its columns after the other, padded with zeros to whole vectors.

use super::micro::Kernels;
use super::pack::{across, along};
use super::view::{Pos, Run, View};
use super::{BLOCK_K, Real};
use crate::isa::Isa;
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;

/// How K is cut into blocks, and N into panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// K of a block, but for the last.
    pub(crate) block: usize,
    /// Columns of a panel, but for the last.
    pub(crate) panel: usize,
    /// N, padded to whole vectors.
    pub(crate) padded: usize,
}

impl Cut {
    /// `most` is the longest block of K.
    pub(crate) fn new<T>(kernels: &Kernels<T>, k: usize, n: usize, most: usize) -> Cut {
        let blocks = k.div_ceil(most).max(1);
        let block = if blocks == 1 { k.max(1) } else { k.div_ceil(blocks).next_multiple_of(8) };
        Cut { k, n, block, panel: kernels.panel(), padded: n.next_multiple_of(kernels.lanes) }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.k.div_ceil(self.block)
    }

    pub(crate) fn panels(&self) -> usize {
        self.n.div_ceil(self.panel)
    }

    /// The columns of a panel, padding included.
    pub(crate) fn width(&self, panel: usize) -> usize {
        (self.padded - panel * self.panel).min(self.panel)
    }

    /// First and last + 1 of a block of K.
    pub(crate) fn range(&self, block: usize) -> (usize, usize) {
        (block * self.block, ((block + 1) * self.block).min(self.k))
    }

    /// Where a panel of a block starts.
    pub(crate) fn offset(&self, block: usize, panel: usize) -> usize {
        let (first, last) = self.range(block);
        first * self.padded + (last - first) * panel * self.panel
    }

    /// Elements of all of it.
    pub(crate) fn len(&self) -> usize {
        self.k * self.padded
    }
}

/// A right operand packed for one instruction set, to be kept for as long as its values do not change.
#[derive(Debug)]
pub struct PackedB<T> {
    pub(crate) data: Aligned<T>,
    pub(crate) cut: Cut,
    pub(crate) batches: usize,
    pub(crate) isa: Isa,
}

impl<T: Real> PackedB<T> {
    /// Packs `b`, repeated over `batch` dimensions of sizes and strides.
    ///
    /// # Panics
    /// If `b` reaches outside its buffer.
    pub fn new(pool: &Pool, isa: Isa, b: View<T>, batch: &[(usize, isize)]) -> PackedB<T> {
        b.check(batch.iter().copied(), "b");
        let (k, n) = b.shape();
        let cut = Cut::new(T::kernels(isa), k, n, BLOCK_K);
        let batches = batch.iter().map(|dim| dim.0).product();
        let mut data = Aligned::default();
        pack_all(pool, isa, &b, &cut, batches, &|i| offset_of(batch.iter().copied(), i), data.get(cut.len() * batches));
        PackedB { data, cut, batches, isa }
    }

    /// It, to be multiplied with.
    pub fn view(&self) -> Packed<'_, T> {
        Packed {
            data: self.data.view(self.cut.len() * self.batches),
            cut: self.cut,
            batches: self.batches,
            isa: self.isa,
        }
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        self.cut.len() * self.batches * size_of::<T>()
    }
}

/// A packed right operand that lies in memory of the caller's, or in a [`PackedB`].
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) cut: Cut,
    pub(crate) batches: usize,
    pub(crate) isa: Isa,
}

impl<'a, T: Real> Packed<'a, T> {
    /// The most elements that a matrix of `k` rows and `n` columns takes with any instruction set.
    pub fn most(k: usize, n: usize) -> usize {
        k * n.next_multiple_of(MOST_LANES)
    }

    /// Packs `b`, for each of the batches that are `stride` elements apart, into `memory`.
    ///
    /// # Panics
    /// If `b` reaches outside its buffer, or `memory` is shorter than [`Packed::most`] for each batch.
    pub fn pack(pool: &Pool, isa: Isa, b: View<T>, (batches, stride): (usize, isize), memory: &mut [T]) {
        b.check([(batches, stride)].into_iter(), "b");
        let (k, n) = b.shape();
        let cut = Cut::new(T::kernels(isa), k, n, BLOCK_K);
        pack_all(pool, isa, &b, &cut, batches, &|i| i as isize * stride, &mut memory[..cut.len() * batches]);
    }

    /// What [`Packed::pack`] has put into `memory` for matrices of that shape.
    ///
    /// # Panics
    /// If `memory` is shorter than [`Packed::most`] for each batch.
    pub fn of(isa: Isa, (k, n): (usize, usize), batches: usize, memory: &'a [T]) -> Packed<'a, T> {
        let cut = Cut::new(T::kernels(isa), k, n, BLOCK_K);
        Packed { data: &memory[..cut.len() * batches], cut, batches, isa }
    }

    /// The columns of panels `first..last`.
    ///
    /// # Panics
    /// If there are several blocks of K, or batches.
    pub(crate) fn columns(&self, first: usize, last: usize) -> Packed<'a, T> {
        assert!(self.cut.blocks() == 1 && self.batches == 1, "panels of one block follow each other");
        let panel = self.cut.panel;
        let n = (last * panel).min(self.cut.n) - first * panel;
        let padded = (last * panel).min(self.cut.padded) - first * panel;
        let cut = Cut { n, padded, ..self.cut };
        Packed { data: &self.data[self.cut.offset(0, first)..][..cut.len()], cut, ..*self }
    }

    /// K and N.
    pub fn shape(&self) -> (usize, usize) {
        (self.cut.k, self.cut.n)
    }
}

/// Elements of the widest vector of any instruction set.
const MOST_LANES: usize = 16;

/// The offset of batch `index`, row-major over dimensions of sizes and strides.
pub(crate) fn offset_of(dims: impl DoubleEndedIterator<Item = (usize, isize)>, mut index: usize) -> isize {
    let mut offset = 0;
    for (size, stride) in dims.rev() {
        offset += (index % size) as isize * stride;
        index /= size;
    }
    offset
}

#[derive(Default)]
struct Runs {
    k: Vec<Run>,
    n: Vec<Run>,
}

/// Packs all of B, for every batch.
pub(crate) fn pack_all<T: Real>(
    pool: &Pool,
    isa: Isa,
    b: &View<T>,
    cut: &Cut,
    batches: usize,
    offset: &(dyn Fn(usize) -> isize + Sync),
    out: &mut [T],
) {
    assert_eq!(out.len(), cut.len() * batches);
    let out = Shared(out.as_mut_ptr());
    let (blocks, panels) = (cut.blocks(), cut.panels());
    let task = |i: usize| {
        let (batch, block, panel) = (i / panels / blocks, i / panels % blocks, i % panels);
        let to = out.get().wrapping_add(batch * cut.len() + cut.offset(block, panel));
        let (first, last) = cut.range(block);
        // SAFETY: the caller checked the bounds of `b`; panels are disjoint parts of `out`, whose length was checked.
        unsafe { pack_panel(isa, b, offset(batch), (first, last), panel * cut.panel, cut, to) }
    };
    let tasks = batches * blocks * panels;
    if cut.len() * batches < 8192 { (0..tasks).for_each(task) } else { pool.run(tasks, &task) }
}

/// Packs K from `first` to `last` of the panel that starts at column `col`.
///
/// # Safety
/// The bounds of `b` were checked for a batch with this `offset`, and `to` can be written for the panel.
pub(crate) unsafe fn pack_panel<T: Real>(
    isa: Isa,
    b: &View<T>,
    offset: isize,
    (first, last): (usize, usize),
    col: usize,
    cut: &Cut,
    to: *mut T,
) {
    let width = cut.width(col / cut.panel);
    let cols = (cut.n - col).min(width);
    let mut origin: Pos = b.origin();
    origin.offset += offset;
    scratch::with(|runs: &mut Runs| {
        // SAFETY: the caller's promise; `cols` ≤ `width`.
        unsafe {
            if b.fine(&b.rows) == 1 && b.fine(&b.cols) == 0 {
                b.positions(&b.cols, col, col + cols, &mut runs.n);
                b.runs(&b.rows, 1, first, last, &mut runs.k);
                across(b, origin, &runs.n, &runs.k, to, width, T::transpose(isa));
            } else {
                b.positions(&b.rows, first, last, &mut runs.k);
                b.runs(&b.cols, b.fine(&b.cols), col, col + cols, &mut runs.n);
                along(isa, b, origin, &runs.k, &runs.n, to, width);
            }
            for k in 0..last - first {
                for j in cols..width {
                    *to.add(k * width + j) = T::ZERO;
                }
            }
        }
    });
}

/// A pointer that tasks share, each for its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

// SAFETY: whoever dereferences it argues that the parts are disjoint.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn get(&self) -> *mut T {
        self.0
    }
}
