//! How a product is cut into tasks, and what a task does.

use super::dots::{COLS, ROWS};
use super::micro::{MAX_ROWS, MAX_TILE, Micro, MicroFn};
use super::pack::{along, prefetch, prefetch_write};
use super::packed::{Cut, Shared, offset_of, pack_all, pack_panel};
use super::view::{Axis, Elements, Pos, Run, Space, View};
use super::{BLOCK_K, BatchDim, Epilogue, Gemm, Out, Real, Rhs, Tile};
use crate::isa::Isa;
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;
use std::marker::PhantomData;

/// Below this many multiplications a product is not worth a second thread.
const SERIAL: usize = 1 << 16;
/// Rows of A up to which B is read where it lies.
pub(crate) const FEW_ROWS: usize = 12;
/// Rows of A up to which elements are dot products, if both operands are contiguous along K.
const DOT_ROWS: usize = 8;
/// Rows of A up to which each panel of B is packed by the one task that uses it.
const LOCAL_ROWS: usize = 192;
/// Rows of a block of C.
const BLOCK_M: usize = 96;
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
        epilogue(Tile {
            row0: tile.col0,
            rows: tile.cols,
            row_stride: tile.col_stride,
            col0: tile.row0,
            cols: tile.rows,
            col_stride: 1,
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
            epilogue: p.epilogue.is_some().then_some(&epilogue as Epilogue<'_, T>),
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
enum ReadA {
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
enum ReadB {
    /// Where it lies: elements between rows.
    InPlace(isize),
    /// Packed before the blocks of C are computed, or before the call.
    Packed,
    /// Packed by each task.
    Local,
}

struct Plan<'p, 'a, T: Real> {
    pool: &'p Pool,
    isa: Isa,
    p: &'p Gemm<'a, T>,
    m: usize,
    n: usize,
    k: usize,
    batches: usize,
    cut: Cut,
    read_a: ReadA,
    read_b: ReadB,
    block_m: usize,
    /// Panels of a block of C.
    block_n: usize,
    /// Chunks of K.
    chunks: usize,
}

/// The buffers of a task.
struct Scratch<T> {
    a: Aligned<T>,
    b: Aligned<T>,
    rows: Vec<Run>,
    row_runs: Vec<Run>,
    k: Vec<Run>,
    k_fine: Vec<Run>,
    k_coarse: Vec<Run>,
    fine: Vec<usize>,
    coarse: Vec<usize>,
    pointers: Vec<*const T>,
    groups: Vec<Group<T>>,
    c: Vec<*mut T>,
    offsets: Vec<isize>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch {
            a: Aligned::default(),
            b: Aligned::default(),
            rows: Vec::new(),
            row_runs: Vec::new(),
            k: Vec::new(),
            k_fine: Vec::new(),
            k_coarse: Vec::new(),
            fine: Vec::new(),
            coarse: Vec::new(),
            pointers: Vec::new(),
            groups: Vec::new(),
            c: Vec::new(),
            offsets: Vec::new(),
        }
    }
}

/// Rows that a micro-kernel computes together.
struct Group<T> {
    kernel: MicroFn<T>,
    /// Rows of the kernel.
    height: usize,
    /// The first row, within the block.
    first: usize,
    /// Rows that there are.
    rows: usize,
    /// Where its pointers start.
    pointers: usize,
    coarse: bool,
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
        let cut = Cut::new(kernels, k, n);
        let read_a = read_a(&p.a, n);
        let mut plan = Plan {
            pool,
            isa,
            p,
            m,
            n,
            k,
            batches,
            cut,
            read_a,
            read_b: ReadB::Packed,
            block_m: m.div_ceil(m.div_ceil(BLOCK_M)).next_multiple_of(2),
            block_n: 4.min(cut.panels()),
            chunks: 1,
        };
        if let Rhs::View(b) = &p.b {
            let in_place = matches!(b.data, Elements::Native(_)) && !b.is_spatial();
            if m <= FEW_ROWS
                && in_place
                && matches!(b.cols.dims(), [dim] if dim.stride == 1)
                && let Some(stride) = b.rows.uniform_stride()
            {
                plan.read_b = ReadB::InPlace(stride);
            } else if batches * m * n <= SPLIT_C && k >= SPLIT_K {
                plan.read_b = ReadB::Local;
                plan.chunks = (k / 1024).min(CHUNKS);
                plan.block_m = BLOCK_M_SPLIT.min(m);
                plan.block_n = cut.panels();
                return plan;
            } else if m <= LOCAL_ROWS && cut.panels() >= pool.threads() {
                // A single block of rows: each panel is packed by its only user, who finds it in cache.
                plan.read_b = ReadB::Local;
                plan.block_m = m;
                plan.block_n = 1;
                return plan;
            }
        }
        if m >= 8 * BLOCK_M {
            plan.block_m = 2 * BLOCK_M;
        }
        // Enough tasks that the last ones do not leave threads idle for long. Copies of A are made once a block of
        // columns, so where they are needed the rows are cut first.
        let copies = !matches!(read_a, ReadA::InPlace(_));
        while plan.tasks() < 4 * pool.threads() {
            if plan.block_n > 1 && (!copies || plan.block_m <= 24) {
                plan.block_n = plan.block_n.div_ceil(2);
            } else if plan.block_m > 24 {
                plan.block_m = (plan.block_m / 2).next_multiple_of(12);
            } else {
                break;
            }
        }
        plan
    }

    fn tasks(&self) -> usize {
        self.batches * self.chunks * self.m.div_ceil(self.block_m) * self.cut.panels().div_ceil(self.block_n)
    }

    fn run(&self) {
        if let Some(rows) = self.dot_operands() {
            return self.run_dots(rows);
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

    fn each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if self.batches * self.m * self.n * self.k.max(1) < SERIAL {
            (0..tasks).for_each(task);
        } else {
            self.pool.run(tasks, task);
        }
    }

    /// Each task computes a block of C.
    fn run_whole(&self, b: *const T) {
        let b = Shared(b.cast_mut());
        let blocks_m = self.m.div_ceil(self.block_m);
        let blocks_n = self.cut.panels().div_ceil(self.block_n);
        self.each(self.tasks(), &|i| {
            // Neighbouring tasks share their panels of B.
            let (batch, i) = (i / (blocks_m * blocks_n), i % (blocks_m * blocks_n));
            let (block_n, block_m) = (i / blocks_m, i % blocks_m);
            let rows = (block_m * self.block_m, ((block_m + 1) * self.block_m).min(self.m));
            let panels = (block_n * self.block_n, ((block_n + 1) * self.block_n).min(self.cut.panels()));
            let c = &self.p.c;
            scratch::with(|s: &mut Scratch<T>| {
                let start = c.offset as isize + offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.c)), batch);
                row_offsets(&c.rows, rows.0, rows.1, &mut s.offsets);
                s.c.clear();
                s.c.extend(s.offsets.iter().map(|offset| c.ptr.wrapping_offset(start + offset)));
                // SAFETY: `gemm` checked the operands; blocks of C are disjoint.
                unsafe {
                    self.block(
                        s,
                        b.get(),
                        batch,
                        rows,
                        panels,
                        (0, self.cut.blocks()),
                        c.col_stride,
                        self.p.accumulate,
                    );
                }
                let cols = (panels.0 * self.cut.panel, (panels.1 * self.cut.panel).min(self.n));
                self.finish(batch, rows.0, cols, start, &s.offsets);
            });
        });
    }

    /// Calls the epilogue for rows from `row0` at `offsets`, evenly spaced ones together.
    fn finish(&self, batch: usize, row0: usize, cols: (usize, usize), start: isize, offsets: &[isize]) {
        let Some(epilogue) = self.p.epilogue else { return };
        let mut i = 0;
        while i < offsets.len() {
            let stride = offsets.get(i + 1).map_or(0, |next| next - offsets[i]);
            let more = offsets[i..].windows(2).take_while(|pair| pair[1] - pair[0] == stride).count();
            let offset = start + offsets[i] + cols.0 as isize * self.p.c.col_stride;
            epilogue(Tile {
                batch,
                row0: row0 + i,
                rows: more + 1,
                col0: cols.0,
                cols: cols.1 - cols.0,
                offset: offset as usize,
                row_stride: stride,
                col_stride: self.p.c.col_stride,
                data: self.p.c.ptr.wrapping_offset(offset),
                borrow: PhantomData,
            });
            i += more + 1;
        }
    }

    /// Each task computes the part of a block of C that a chunk of K contributes; then those are added in order.
    fn run_split(&self, b: *const T, partial: &mut Aligned<T>) {
        let b = Shared(b.cast_mut());
        let (m, n) = (self.m, self.n);
        let partial = Shared(partial.get(self.batches * self.chunks * m * n).as_mut_ptr());
        let blocks_m = m.div_ceil(self.block_m);
        let chunk = self.cut.blocks().div_ceil(self.chunks);
        self.each(self.tasks(), &|i| {
            let (batch, i) = (i / (self.chunks * blocks_m), i % (self.chunks * blocks_m));
            let (part, block_m) = (i / blocks_m, i % blocks_m);
            let rows = (block_m * self.block_m, ((block_m + 1) * self.block_m).min(m));
            let last = self.cut.blocks();
            let k = ((part * chunk).min(last), ((part + 1) * chunk).min(last));
            let c = partial.get().wrapping_add((batch * self.chunks + part) * m * n);
            scratch::with(|s: &mut Scratch<T>| {
                s.c.clear();
                s.c.extend((rows.0..rows.1).map(|row| c.wrapping_add(row * n)));
                // SAFETY: `gemm` checked the operands; each task has its own part of `partial`.
                unsafe { self.block(s, b.get(), batch, rows, (0, self.cut.panels()), k, 1, false) }
            });
        });
        let rows_a_task = (4096 / n).max(1);
        let tasks_m = m.div_ceil(rows_a_task);
        self.each(self.batches * tasks_m, &|i| {
            let (batch, first) = (i / tasks_m, i % tasks_m * rows_a_task);
            let last = (first + rows_a_task).min(m);
            let c = &self.p.c;
            let start = c.offset as isize + offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.c)), batch);
            scratch::with(|s: &mut Scratch<T>| {
                row_offsets(&c.rows, first, last, &mut s.offsets);
                let sums = s.a.get(n);
                for (i, offset) in s.offsets.iter().enumerate() {
                    // SAFETY: the parts were written above and nobody writes them now; the elements of C are those of
                    // this task alone, and `check_out` found them in the buffer.
                    unsafe {
                        let row = |part: usize| {
                            let at = ((batch * self.chunks + part) * m + first + i) * n;
                            std::slice::from_raw_parts(partial.get().wrapping_add(at), n)
                        };
                        sums.copy_from_slice(row(0));
                        for part in 1..self.chunks {
                            sums.iter_mut().zip(row(part)).for_each(|(sum, &x)| *sum = *sum + x);
                        }
                        for (j, &sum) in sums.iter().enumerate() {
                            let at = c.ptr.offset(start + offset + j as isize * c.col_stride);
                            *at = if self.p.accumulate { *at + sum } else { sum };
                        }
                    }
                }
                self.finish(batch, first, (0, n), start, &s.offsets);
            });
        });
    }

    /// Computes rows `m0..m1` of the panels `p0..p1`, over the blocks `k0..k1` of K, into the rows that `s.c` points at.
    ///
    /// # Safety
    /// `gemm` has checked the operands; `b` is B packed if it is read so; the rows of C are this task's.
    #[expect(clippy::too_many_arguments, reason = "ranges along M, N and K, and where to")]
    unsafe fn block(
        &self,
        s: &mut Scratch<T>,
        b: *const T,
        batch: usize,
        (m0, m1): (usize, usize),
        (p0, p1): (usize, usize),
        (k0, k1): (usize, usize),
        col_stride: isize,
        accumulate: bool,
    ) {
        let mut origin = self.p.a.origin();
        origin.offset += offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.a)), batch);
        if k0 == k1 && !accumulate {
            // The sum of nothing.
            let (first, last) = (p0 * self.cut.panel, (p1 * self.cut.panel).min(self.n));
            for &row in &s.c {
                // SAFETY: elements of this task's block; 0 is all zero bits in every `Real`.
                unsafe {
                    if col_stride == 1 {
                        std::ptr::write_bytes(row.add(first), 0, last - first);
                    } else {
                        (first..last).for_each(|j| *row.offset(j as isize * col_stride) = T::ZERO);
                    }
                }
            }
        }
        self.p.a.positions(&self.p.a.rows, m0, m1, &mut s.rows);
        for block in k0..k1 {
            let k = self.cut.range(block);
            let a_step = self.prepare_a(s, origin, (m0, m1), k);
            let add = accumulate || block > k0;
            let mut width = 0;
            for panel in p0..p1 {
                if width != self.cut.width(panel) {
                    width = self.cut.width(panel);
                    self.point(s, origin, width, k);
                }
                // SAFETY: passed on; pointers and lengths are those that `point` collected for this block of K.
                unsafe {
                    let (b, b_step) = self.panel(s, b, batch, panel, block, k);
                    self.column(s, (b, b_step), a_step, panel, width, col_stride, add, panel == p0);
                }
            }
        }
    }

    /// Makes A ready for a block: copies it if it must be, else finds its runs. Returns the step along K.
    fn prepare_a(&self, s: &mut Scratch<T>, origin: Pos, (m0, m1): (usize, usize), k: (usize, usize)) -> usize {
        let a = &self.p.a;
        let (m, len) = (m1 - m0, k.1 - k.0);
        match self.read_a {
            ReadA::InPlace(coarse) => {
                let fine = a.fine(&a.cols);
                a.runs(&a.cols, fine, k.0, k.1, &mut s.k_fine);
                s.fine.clear();
                s.fine.extend(s.k_fine.iter().map(|run| run.len));
                if coarse.is_some() {
                    a.runs(&a.cols, fine + 1, k.0, k.1, &mut s.k_coarse);
                    s.coarse.clear();
                    s.coarse.extend(s.k_coarse.iter().map(|run| run.len));
                }
                1
            }
            ReadA::Rows => {
                a.runs(&a.cols, a.fine(&a.cols), k.0, k.1, &mut s.k_fine);
                let ld = row_copy(len);
                // SAFETY: `gemm` checked the bounds of `a`; the buffer has `ld` ≥ `len` elements a row.
                unsafe { along(self.isa, a, origin, &s.rows, &s.k_fine, s.a.get(m * ld).as_mut_ptr(), ld) };
                s.fine.clear();
                s.fine.push(len);
                1
            }
            ReadA::Columns => {
                a.positions(&a.cols, k.0, k.1, &mut s.k);
                a.runs(&a.rows, a.fine(&a.rows), m0, m1, &mut s.row_runs);
                let joined = a.coarse(&a.rows);
                if joined.is_some() {
                    a.runs(&a.rows, a.fine(&a.rows) + 1, m0, m1, &mut s.k_coarse);
                }
                // Where all taps along a coordinate are inside the image, they are one run.
                let joins = |run: &Run| {
                    joined.is_some_and(|(d, reach)| {
                        let at = origin.at[d] + run.pos.at[d];
                        at >= 0 && at + reach < a.space.extent[d]
                    })
                };
                let ld = m.next_multiple_of(16);
                let mut to = s.a.get(len * ld).as_mut_ptr();
                for part in s.k.chunk_by(|x, y| joins(x) == joins(y)) {
                    let runs = if joins(&part[0]) { &s.k_coarse } else { &s.row_runs };
                    // SAFETY: as above, with `ld` ≥ `m`; the parts are `len` rows of the copy together.
                    unsafe { along(self.isa, a, origin, part, runs, to, ld) };
                    to = to.wrapping_add(part.len() * ld);
                }
                s.fine.clear();
                s.fine.push(len);
                ld
            }
        }
    }

    /// Splits the rows of a block into groups for panels of `width` columns, and collects the pointers to A.
    fn point(&self, s: &mut Scratch<T>, origin: Pos, width: usize, k: (usize, usize)) {
        let kernels = T::kernels(self.isa).of_width(width);
        let tallest = kernels[kernels.len() - 1].0;
        let (fine_box, coarse_box) = (Reach::of(&s.k_fine), Reach::of(&s.k_coarse));
        s.pointers.clear();
        s.groups.clear();
        let mut first = 0;
        while first < s.rows.len() {
            let rows = tallest.min(s.rows.len() - first);
            let &(height, kernel) =
                kernels.iter().find(|(height, _)| *height >= rows).expect("`rows` is at most the tallest");
            let pointers = s.pointers.len();
            let mut coarse = false;
            // Rows that the kernel computes but that do not exist are the last one again.
            let row = |i: usize| first + i.min(rows - 1);
            match self.read_a {
                ReadA::InPlace(joined) => {
                    let a = &self.p.a;
                    let data = match a.data {
                        Elements::Native(data) => data.as_ptr(),
                        _ => unreachable!("16-bit floats are copied"),
                    };
                    let inside = |(d, reach): (usize, i32)| {
                        s.rows[first..first + rows].iter().all(|run| {
                            let at = origin.at[d] + run.pos.at[d];
                            at >= 0 && at + reach < a.space.extent[d]
                        })
                    };
                    coarse = joined.is_some_and(inside);
                    let runs = if coarse { &s.k_coarse } else { &s.k_fine };
                    let near = if coarse { &coarse_box } else { &fine_box };
                    if (first..first + rows).all(|i| near.keeps_inside(a, origin.plus(s.rows[i].pos).at)) {
                        let offsets: [isize; MAX_ROWS] = std::array::from_fn(|i| s.rows[row(i)].pos.offset);
                        for run in runs {
                            let start = data.wrapping_offset(origin.offset + run.pos.offset);
                            s.pointers.extend(offsets[..height].iter().map(|&offset| start.wrapping_offset(offset)));
                        }
                    } else {
                        for run in runs {
                            let start = origin.plus(run.pos);
                            for i in 0..height {
                                let pos = start.plus(s.rows[row(i)].pos);
                                let inside = a.holds(pos.at);
                                s.pointers.push(if inside { data.wrapping_offset(pos.offset) } else { zeros::<T>() });
                            }
                        }
                    }
                }
                ReadA::Rows => {
                    let ld = row_copy(k.1 - k.0);
                    let data = s.a.view(s.rows.len() * ld).as_ptr();
                    s.pointers.extend((0..height).map(|i| data.wrapping_add(row(i) * ld)));
                }
                ReadA::Columns => {
                    let data = s.a.view(1).as_ptr();
                    s.pointers.extend((0..height).map(|i| data.wrapping_add(row(i))));
                }
            }
            s.groups.push(Group { kernel, height, first, rows, pointers, coarse });
            first += rows;
        }
    }

    /// The part of a panel of B that a block of K needs, and the elements between its rows.
    ///
    /// # Safety
    /// As [`Plan::block`].
    unsafe fn panel(
        &self,
        s: &mut Scratch<T>,
        b: *const T,
        batch: usize,
        panel: usize,
        block: usize,
        k: (usize, usize),
    ) -> (*const T, usize) {
        let width = self.cut.width(panel);
        let col = panel * self.cut.panel;
        let view = match (&self.p.b, self.read_b) {
            (Rhs::View(view), ReadB::InPlace(_) | ReadB::Local) => view,
            _ => {
                let own = self.p.batch.iter().filter(|dim| dim.b != 0).map(|dim| dim.size).product::<usize>();
                let index = if own == 1 { 0 } else { self.index_b(batch) };
                return (b.wrapping_add(index * self.cut.len() + self.cut.offset(block, panel)), width);
            }
        };
        let offset = offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.b)), batch);
        if let (ReadB::InPlace(stride), Elements::Native(data)) = (self.read_b, view.data)
            && col + width <= self.n
        {
            let start = view.offset + offset + k.0 as isize * stride + col as isize;
            return (data.as_ptr().wrapping_offset(start), stride as usize);
        }
        let buffer = s.b.get((k.1 - k.0) * width).as_mut_ptr();
        // SAFETY: `gemm` checked the bounds of B; the buffer was made for the panel.
        unsafe { pack_panel(self.isa, view, offset, k, col, &self.cut, buffer) };
        (buffer, width)
    }

    /// Which of B's packed batches a batch uses.
    fn index_b(&self, mut batch: usize) -> usize {
        let (mut index, mut scale) = (0, 1);
        for dim in self.p.batch.iter().rev() {
            if dim.b != 0 {
                index += batch % dim.size * scale;
                scale *= dim.size;
            }
            batch /= dim.size;
        }
        index
    }

    /// Runs the micro-kernels of all groups of rows on one panel.
    ///
    /// # Safety
    /// As [`Plan::block`]; `b` is the panel's part for the block of K that the pointers of `s` are for.
    #[expect(clippy::too_many_arguments, reason = "the operands of the micro-kernel")]
    unsafe fn column(
        &self,
        s: &Scratch<T>,
        (b, b_step): (*const T, usize),
        a_step: usize,
        panel: usize,
        width: usize,
        col_stride: isize,
        accumulate: bool,
        first: bool,
    ) {
        let col = panel * self.cut.panel;
        let cols = width.min(self.n - col);
        // While one group of rows is computed, the next ones of A (if they have not been read yet) and a part of the
        // next panel of B come from the outer caches, which are too far away to wait for.
        let len: usize = s.fine.iter().sum();
        let in_place = matches!(self.read_a, ReadA::InPlace(_)) && first;
        let packed = matches!(self.read_b, ReadB::Packed);
        let line = 64 / size_of::<T>();
        let share = (len * width).div_ceil(s.groups.len()).next_multiple_of(16);
        for (i, group) in s.groups.iter().enumerate() {
            if let Some(next) = s.groups.get(i + 1) {
                if in_place {
                    // Of several runs the last has what is new: the earlier ones are lines of the image that the rows
                    // before have read.
                    let lens = if next.coarse { &s.coarse } else { &s.fine };
                    let last = next.pointers + (lens.len() - 1) * next.height;
                    for &row in &s.pointers[last..last + next.rows] {
                        (0..lens[lens.len() - 1]).step_by(line).for_each(|k| prefetch(row.wrapping_add(k)));
                    }
                }
                for &row in &s.c[next.first..next.first + next.rows] {
                    (0..cols).step_by(line).for_each(|j| prefetch_write(row.wrapping_add(col + j)));
                }
            }
            if packed {
                let next = b.wrapping_add(len * width + i * share);
                (0..share).step_by(64 / size_of::<T>()).for_each(|j| prefetch(next.wrapping_add(j)));
            }
            let lens = if group.coarse { &s.coarse } else { &s.fine };
            let mut micro = Micro {
                rows: s.pointers[group.pointers..].as_ptr(),
                lens: lens.as_ptr(),
                runs: lens.len(),
                a_step,
                b,
                b_step,
                c: s.c[group.first..].as_ptr(),
                c_offset: col,
                accumulate,
            };
            if group.rows == group.height && cols == width && col_stride == 1 {
                // SAFETY: the instruction set was checked; `point` made `height` pointers a run, each to `len` elements
                // of A or to zeros; B is padded to `width`; the whole tile is in this task's block.
                unsafe { (group.kernel)(&micro) };
                continue;
            }
            let mut tile = [T::ZERO; MAX_TILE];
            let mut rows = [std::ptr::null_mut(); MAX_ROWS];
            for (i, row) in rows[..group.height].iter_mut().enumerate() {
                *row = tile[i * width..(i + 1) * width].as_mut_ptr();
            }
            (micro.c, micro.c_offset, micro.accumulate) = (rows.as_ptr(), 0, false);
            // SAFETY: as above, into the tile on the stack, of which only what exists of C is then copied.
            unsafe {
                (group.kernel)(&micro);
                for i in 0..group.rows {
                    let to = s.c[group.first + i].wrapping_offset(col as isize * col_stride);
                    for j in 0..cols {
                        let at = to.wrapping_offset(j as isize * col_stride);
                        let value = *rows[i].add(j);
                        *at = if accumulate { *at + value } else { value };
                    }
                }
            }
        }
    }

    /// The operands as rows that are contiguous along K, if there are few rows of A: data, start and row stride of
    /// each.
    fn dot_operands(&self) -> Option<[(*const T, isize); 2]> {
        let Rhs::View(b) = &self.p.b else { return None };
        if self.m > DOT_ROWS || self.k < 16 {
            return None;
        }
        let operand = |view: &View<'_, T>, rows: &Axis, k: &Axis| match view.data {
            Elements::Native(data) if view.space == Space::NONE && matches!(k.dims(), [dim] if dim.stride == 1) => {
                Some((data.as_ptr().wrapping_offset(view.offset), rows.uniform_stride()?))
            }
            _ => None,
        };
        Some([operand(&self.p.a, &self.p.a.rows, &self.p.a.cols)?, operand(b, &b.cols, &b.rows)?])
    }

    fn run_dots(&self, [(a, a_stride), (b, b_stride)]: [(*const T, isize); 2]) {
        /// Columns of a task.
        const TASK: usize = 8 * COLS;
        let (a, b) = (Shared(a.cast_mut()), Shared(b.cast_mut()));
        let kernel = T::dots(self.isa);
        let tasks = self.n.div_ceil(TASK);
        let c = &self.p.c;
        self.each(self.batches * tasks, &|i| {
            let (batch, first) = (i / tasks, i % tasks * TASK);
            let last = (first + TASK).min(self.n);
            let a = a.get().wrapping_offset(offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.a)), batch));
            let b = b.get().wrapping_offset(offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.b)), batch));
            let start = c.offset as isize + offset_of(self.p.batch.iter().map(|dim| (dim.size, dim.c)), batch);
            scratch::with(|s: &mut Scratch<T>| {
                row_offsets(&c.rows, 0, self.m, &mut s.offsets);
                for col in (first..last).step_by(COLS) {
                    let cols = COLS.min(last - col);
                    let b_rows: [*const T; COLS] = std::array::from_fn(|j| {
                        b.wrapping_offset((col + j.min(cols - 1)) as isize * b_stride).cast_const()
                    });
                    for row in (0..self.m).step_by(ROWS) {
                        let rows = ROWS.min(self.m - row);
                        let a_rows: [*const T; ROWS] = std::array::from_fn(|i| {
                            a.wrapping_offset((row + i.min(rows - 1)) as isize * a_stride).cast_const()
                        });
                        let mut out = [T::ZERO; ROWS * COLS];
                        // SAFETY: the instruction set and the bounds of A, B and C were checked by `gemm`; columns of
                        // C are divided among the tasks.
                        unsafe {
                            kernel(self.k, rows, &a_rows, &b_rows, &mut out);
                            for i in 0..rows {
                                for j in 0..cols {
                                    let at = start + s.offsets[row + i] + (col + j) as isize * c.col_stride;
                                    let at = c.ptr.offset(at);
                                    let value = out[i * COLS + j];
                                    *at = if self.p.accumulate { *at + value } else { value };
                                }
                            }
                        }
                    }
                }
                self.finish(batch, 0, (first, last), start, &s.offsets);
            });
        });
    }
}

/// How far runs reach from a row's position, in each coordinate.
struct Reach {
    least: [i32; 3],
    most: [i32; 3],
}

impl Reach {
    fn of(runs: &[Run]) -> Reach {
        let (mut least, mut most) = ([0; 3], [0; 3]);
        for run in runs {
            for d in 0..3 {
                least[d] = least[d].min(run.pos.at[d]);
                most[d] = most[d].max(run.pos.at[d]);
            }
        }
        Reach { least, most }
    }

    /// Whether all runs of a row at `at` start inside the image.
    fn keeps_inside<T>(&self, view: &View<'_, T>, at: [i32; 3]) -> bool {
        (0..3).all(|d| at[d] + self.least[d] >= 0 && at[d] + self.most[d] < view.space.extent[d])
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

/// Elements from one row of a copied block to the next: not a multiple of the cache's ways.
fn row_copy(len: usize) -> usize {
    len.next_multiple_of(16) + 16
}

/// Zeros for rows outside the image: as long as any run.
fn zeros<T: Real>() -> *const T {
    const { assert!(BLOCK_K.is_multiple_of(8)) };
    // A block of K is at most this long; 0 is all zero bits in every `Real`.
    static ZEROS: [f64; BLOCK_K] = [0.0; BLOCK_K];
    ZEROS.as_ptr().cast()
}

/// The offsets of rows `first..last` of C.
fn row_offsets(axis: &Axis, first: usize, last: usize, out: &mut Vec<isize>) {
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
