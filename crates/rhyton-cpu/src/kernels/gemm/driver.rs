//! How a product is cut into tasks. What a task does is in `block`, in `split` if K is split, or in `few_rows`.

use super::block::{Scratch, row_copy};
use super::blocks::{Blocks, Work};
use super::packed::{Cut, Shared, offset_of, pack_all};
use super::view::{Axis, Elements, View};
use super::{BLOCK_K, BLOCK_K_COLUMNS, BatchDim, Epilogue, Finish, Gemm, Out, Real, Rhs, Tile};
use crate::isa::Isa;
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;
use std::marker::PhantomData;

/// Below this many multiplications a product is not worth a second thread.
const SERIAL: usize = 1 << 16;
/// Rows of A up to which B is read where it lies.
pub(crate) const FEW_ROWS: usize = 12;
/// Rows of A up to which each panel of B is packed by the one task that uses it.
const LOCAL_ROWS: usize = 192;
/// Rows and columns of a block of C at most; twice the rows if there are many.
const BLOCK_M: usize = 96;
const BLOCK_N: usize = 256;
/// Rows and columns of a block of C that a long epilogue works on.
const LONG_M: usize = 48;
const LONG_N: usize = 1024;
/// Rows of a block of C if K is split.
const BLOCK_M_SPLIT: usize = 288;
/// Elements of C up to which K may be split, and K from which.
const SPLIT_C: usize = 1 << 16;
const SPLIT_K: usize = 2048;
/// The most chunks that K is split into.
const CHUNKS: usize = 16;

/// Computes the product `p` on `pool` with the instruction set `isa`.
///
/// # Panics
/// If the sizes of the operands do not fit each other, an operand reaches outside its buffer, elements of C overlap, or
/// the machine lacks `isa`.
pub fn gemm<T: Real>(pool: &Pool, isa: Isa, p: &Gemm<'_, T>) {
    let (m, k) = p.a.shape();
    let (k_b, n) = match &p.b {
        Rhs::View(b) => b.shape(),
        Rhs::Packed(b) => b.shape(),
    };
    assert_eq!(k, k_b, "gemm: columns of a and rows of b");
    assert_eq!((p.c.rows.len(), p.c.cols), (m, n), "gemm: the shape of c");
    assert!(isa.is_available(), "this machine lacks {isa}");
    let batches: usize = p.batch.iter().map(|dim| dim.size).product();
    if m * n * batches == 0 {
        return;
    }
    p.a.check(p.batch.iter().map(|dim| (dim.size, dim.a)), "a");
    match &p.b {
        Rhs::View(b) => b.check(p.batch.iter().map(|dim| (dim.size, dim.b)), "b"),
        Rhs::Packed(b) => {
            let own: usize = p.batch.iter().filter(|dim| dim.b != 0).map(|dim| dim.size).product();
            assert_eq!((b.batches, b.isa), (own, isa), "gemm: b was packed for other batches or instructions");
        }
    }
    check_out(&p.c, p.batch);
    assert!(p.c.is_kept() || !p.accumulate, "gemm: there is nothing to add to");
    if n == 1
        && m > 1
        && let (Rhs::View(b), Some(stride)) = (&p.b, p.c.rows.uniform_stride())
    {
        return transposed(pool, isa, p, b, m, stride);
    }
    Plan::new(pool, isa, p, (m, n, k), batches).run();
}

/// A product with a single column as one with a single row.
fn transposed<T: Real>(pool: &Pool, isa: Isa, p: &Gemm<'_, T>, b: &View<'_, T>, m: usize, stride: isize) {
    let batch: Vec<BatchDim> = p.batch.iter().map(|dim| BatchDim { a: dim.b, b: dim.a, ..*dim }).collect();
    let epilogue = |tile: Tile<'_, T>| {
        let Some(epilogue) = p.epilogue else { return };
        (epilogue.tiles)(Tile {
            row0: tile.col0,
            rows: tile.cols,
            row_stride: tile.col_stride,
            col0: tile.row0,
            cols: tile.rows,
            col_stride: 1,
            strides: (tile.strides.1, tile.strides.0),
            ..tile
        });
    };
    // SAFETY: the elements of `p.c`, which lives as long as this call.
    let c = unsafe { Out::from_raw(p.c.ptr, p.c.len, p.c.offset, Axis::plain(1, 0), m, stride) };
    gemm(
        pool,
        isa,
        &Gemm {
            a: b.transposed(),
            b: Rhs::View(p.a.transposed()),
            c,
            batch: &batch,
            accumulate: p.accumulate,
            epilogue: p.epilogue.is_some().then_some(Epilogue::new(&epilogue)),
        },
    );
}

/// Checks that the elements of C lie in its buffer and are all different.
fn check_out<T>(c: &Out<'_, T>, batch: &[BatchDim]) {
    let rows = c.rows.dims().iter().map(|dim| (dim.size, dim.stride));
    let all = rows.chain([(c.cols, c.col_stride)]).chain(batch.iter().map(|dim| (dim.size, dim.c)));
    let dims = all.filter(|&(size, _)| size > 1);
    let mut reach: i128 = 0;
    // By ascending stride, each looked for anew: there are few, and this way nothing is allocated.
    let mut last = isize::MIN;
    while let Some((size, stride)) = dims.clone().filter(|&(_, stride)| stride > last).min_by_key(|&(_, s)| s) {
        last = stride;
        let equal = dims.clone().filter(|&(_, s)| s == stride).count();
        assert!(equal == 1, "gemm: elements of c overlap");
        assert!(stride as i128 > reach, "gemm: elements of c overlap");
        reach += (size as i128 - 1) * stride as i128;
    }
    assert!(c.offset as i128 + reach < c.len as i128, "gemm: c reaches element {reach} of a buffer of {}", c.len);
    assert!(c.rows.dims().iter().all(|dim| dim.steps == [0; 3]), "gemm: rows of c move through space");
}

/// How A is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReadA {
    /// Where it lies; rows whose taps along a coordinate are all inside the image read them as one run (see
    /// [`View::coarse`]).
    InPlace(Option<(usize, i32)>),
    /// From a copy of the block, row by row.
    Rows,
    /// From a transposed copy: neighbours along M are neighbours in memory.
    Columns,
}

/// How B is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReadB {
    /// Where it lies: elements between rows.
    InPlace(isize),
    /// Packed before the blocks of C are computed, or before the call.
    Packed,
    /// Packed by each task.
    Local,
}

pub(super) struct Plan<'p, 'a, T: Real> {
    pub(super) pool: &'p Pool,
    pub(super) isa: Isa,
    pub(super) p: &'p Gemm<'a, T>,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) batches: usize,
    pub(super) cut: Cut,
    pub(super) read_a: ReadA,
    pub(super) read_b: ReadB,
    pub(super) blocks: Blocks,
    /// Chunks of K.
    pub(super) chunks: usize,
    /// What the micro-kernels do to elements of C before they write them, instead of the epilogue.
    pub(super) finish: Option<Finish<'a, T>>,
}

/// The buffers that all tasks share.
struct Common<T> {
    b: Aligned<T>,
    partial: Aligned<T>,
}

impl<T> Default for Common<T> {
    fn default() -> Self {
        Common { b: Aligned::default(), partial: Aligned::default() }
    }
}

impl<'p, 'a, T: Real> Plan<'p, 'a, T> {
    fn new(
        pool: &'p Pool,
        isa: Isa,
        p: &'p Gemm<'a, T>,
        (m, n, k): (usize, usize, usize),
        batches: usize,
    ) -> Plan<'p, 'a, T> {
        let kernels = T::kernels(isa);
        let read_a = read_a(&p.a, n);
        let cut = match (&p.b, read_a) {
            (Rhs::Packed(b), _) => b.cut,
            (_, ReadA::Columns) => Cut::new(kernels, k, n, BLOCK_K_COLUMNS),
            _ => Cut::new(kernels, k, n, BLOCK_K),
        };
        // The epilogue is a program that an interpreter runs: a row of a block should be long, best all of C's.
        let long = p.epilogue.is_some_and(|epilogue| epilogue.finish.is_none());
        let kernels = kernels.of_width(cut.width(0));
        let (tile, panel) = (kernels[kernels.len() - 1].0, cut.panel);
        let work =
            Work { batches, m, n, k, panel, tile, copies: !matches!(read_a, ReadA::InPlace(_)), whole_rows: long };
        let plan = |read_b: ReadB, blocks: Blocks| Plan {
            pool,
            isa,
            p,
            m,
            n,
            k,
            batches,
            cut,
            read_a,
            read_b,
            blocks,
            chunks: 1,
            finish: None,
        };
        let mut read_b = ReadB::Packed;
        if let Rhs::View(b) = &p.b {
            let in_place = matches!(b.data, Elements::Native(_)) && !b.is_spatial();
            if m <= FEW_ROWS
                && in_place
                && matches!(b.cols.dims(), [dim] if dim.stride == 1)
                && let Some(stride) = b.rows.uniform_stride()
            {
                read_b = ReadB::InPlace(stride);
            } else if batches * m * n <= SPLIT_C && k >= SPLIT_K {
                let chunks = (k / 1024).min(CHUNKS);
                return Plan { chunks, ..plan(ReadB::Local, Blocks::even(&work, m.div_ceil(BLOCK_M_SPLIT), 1)) };
            } else if m <= LOCAL_ROWS && cut.panels() >= pool.threads() && !long {
                // A single block of rows: each panel is packed by its only user, who finds it in cache.
                return plan(ReadB::Local, Blocks::even(&work, 1, cut.panels()));
            }
        }
        let (rows, columns) = match long {
            true => (LONG_M, LONG_N),
            false if m >= 8 * BLOCK_M => (2 * BLOCK_M, BLOCK_N),
            false => (BLOCK_M, BLOCK_N),
        };
        plan(read_b, Blocks::new(&work, pool.idle_threads(), rows, columns.div_ceil(panel)))
    }

    pub(super) fn tasks(&self) -> usize {
        self.batches * self.chunks * self.blocks.count()
    }

    fn run(mut self) {
        if let Some((kernel, rows)) = self.dot_operands() {
            return self.run_dots(kernel, rows);
        }
        let c = &self.p.c;
        if let Some(finish) = self.p.epilogue.and_then(|epilogue| epilogue.finish)
            && c.is_kept()
            && c.col_stride == 1
            && self.chunks == 1
            && self.k > 0
        {
            let rows = c.rows.dims().iter().filter(|dim| dim.size > 1).map(|dim| dim.stride);
            let batches = self.p.batch.iter().filter(|dim| dim.size > 1).map(|dim| dim.c);
            self.finish = finish.suits(self.n, c.offset, rows, batches).then_some(finish);
        }
        scratch::with(|common: &mut Common<T>| {
            let b: *const T = match (&self.p.b, self.read_b) {
                (Rhs::Packed(b), _) => b.data.as_ptr(),
                (Rhs::View(b), ReadB::Packed) => {
                    let batches = self.batches_b();
                    let buffer = common.b.get(self.cut.len() * batches);
                    let dims = || self.p.batch.iter().filter(|dim| dim.b != 0).map(|dim| (dim.size, dim.b));
                    let offset = |i: usize| offset_of(dims(), i);
                    pack_all(self.pool, self.isa, b, &self.cut, batches, &offset, buffer);
                    buffer.as_ptr()
                }
                _ => std::ptr::null(),
            };
            if self.chunks > 1 { self.run_split(b, &mut common.partial) } else { self.run_whole(b) }
        });
    }

    fn batches_b(&self) -> usize {
        self.p.batch.iter().filter(|dim| dim.b != 0).map(|dim| dim.size).product()
    }

    pub(super) fn each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if self.batches * self.m * self.n * self.k.max(1) < SERIAL {
            (0..tasks).for_each(task);
        } else {
            self.pool.run(tasks, task);
        }
    }

    /// Each task computes a block of C.
    fn run_whole(&self, b: *const T) {
        let b = Shared(b.cast_mut());
        self.each(self.tasks(), &|i| {
            let (batch, i) = (i / self.blocks.count(), i % self.blocks.count());
            let (rows, panels) = self.blocks.of(i);
            let c = &self.p.c;
            scratch::with(|s: &mut Scratch<T>| {
                let start = c.offset as isize + offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.c)), batch);
                row_offsets(&c.rows, rows.0, rows.1, &mut s.offsets);
                let cols = (panels.0 * self.cut.panel, (panels.1 * self.cut.panel).min(self.n));
                s.c.clear();
                let made = if c.is_kept() {
                    s.c.extend(s.offsets.iter().map(|offset| c.ptr.wrapping_offset(start + offset)));
                    None
                } else {
                    let pitch = row_copy(cols.1 - cols.0);
                    let rows = rows.1 - rows.0;
                    let made = s.made.get(rows * pitch).as_mut_ptr();
                    s.c.extend((0..rows).map(|row| made.wrapping_add(row * pitch).wrapping_sub(cols.0)));
                    Some((made, pitch))
                };
                // SAFETY: `gemm` checked the operands; blocks of C are disjoint.
                unsafe {
                    self.block(
                        s,
                        b.get(),
                        batch,
                        rows,
                        panels,
                        (0, self.cut.blocks()),
                        if made.is_some() { 1 } else { c.col_stride },
                        self.p.accumulate,
                    );
                }
                self.finish(batch, rows.0, cols, start, &s.offsets, made);
            });
        });
    }

    /// Calls the epilogue, if the micro-kernels have not done its work, for rows from `row0` at `offsets`, evenly spaced ones together; if C is not kept, the rows are at
    /// `made`, that many elements apart.
    pub(super) fn finish(
        &self,
        batch: usize,
        row0: usize,
        cols: (usize, usize),
        start: isize,
        offsets: &[isize],
        made: Option<(*mut T, usize)>,
    ) {
        let Some(epilogue) = self.p.epilogue.filter(|_| self.finish.is_none()) else { return };
        let mut i = 0;
        while i < offsets.len() {
            let stride = offsets.get(i + 1).map_or(0, |next| next - offsets[i]);
            let more = offsets[i..].windows(2).take_while(|pair| pair[1] - pair[0] == stride).count();
            let offset = start + offsets[i] + cols.0 as isize * self.p.c.col_stride;
            let (data, strides) = match made {
                None => (self.p.c.ptr.wrapping_offset(offset), (stride, self.p.c.col_stride)),
                Some((made, pitch)) => (made.wrapping_add(i * pitch), (pitch as isize, 1)),
            };
            (epilogue.tiles)(Tile {
                batch,
                row0: row0 + i,
                rows: more + 1,
                col0: cols.0,
                cols: cols.1 - cols.0,
                offset: offset as usize,
                row_stride: stride,
                col_stride: self.p.c.col_stride,
                data,
                strides,
                borrow: PhantomData,
            });
            i += more + 1;
        }
    }
}

/// How to read A if it is multiplied by `n` columns.
fn read_a<T>(a: &View<'_, T>, n: usize) -> ReadA {
    let native = matches!(a.data, Elements::Native(_));
    let coarse = a.coarse(&a.cols);
    if a.fine(&a.cols) == 0 && a.fine(&a.rows) == 1 {
        return ReadA::Columns;
    }
    // Rows a multiple of 4 KiB apart compete for the same few lines of the cache.
    let crowded = a.rows.dims().last().is_some_and(|dim| a.step(dim) % 1024 == 0);
    if native && !(crowded && n > 64) && (a.fine(&a.cols) == 1 || coarse.is_some() || a.cols.len() == 1) {
        return ReadA::InPlace(coarse);
    }
    ReadA::Rows
}

/// The offsets of rows `first..last` of C.
pub(super) fn row_offsets(axis: &Axis, first: usize, last: usize, out: &mut Vec<isize>) {
    out.clear();
    if let Some(stride) = axis.uniform_stride() {
        return out.extend((first..last).map(|row| row as isize * stride));
    }
    let dims = || axis.dims().iter().map(|dim| (dim.size, dim.stride));
    let inner = axis.dims()[axis.dims().len() - 1];
    let mut row = first;
    while row < last {
        let start = offset_of(dims(), row);
        let len = (inner.size - row % inner.size).min(last - row);
        out.extend((0..len).map(|i| start + i as isize * inner.stride));
        row += len;
    }
}
