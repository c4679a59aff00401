//! What a task does: a block of C, over blocks of K and panels of B, by groups of rows that a micro-kernel takes.

use super::driver::{Plan, ReadA, ReadB};
use super::micro::{Finishing, MAX_ROWS, MAX_TILE, Micro, MicroFn, ahead};
use super::pack::along;
use super::packed::{offset_of, pack_panel};
use super::view::{Elements, Pos, Run, View};
use super::{BLOCK_K, Real, Rhs};
use crate::kernels::scratch::Aligned;

/// The buffers of a task.
pub(super) struct Scratch<T> {
    pub(super) a: Aligned<T>,
    pub(super) b: Aligned<T>,
    /// The block of C, if C is not kept.
    pub(super) made: Aligned<T>,
    pub(super) rows: Vec<Run>,
    pub(super) row_runs: Vec<Run>,
    pub(super) k: Vec<Run>,
    pub(super) k_fine: Vec<Run>,
    pub(super) k_coarse: Vec<Run>,
    pub(super) fine: Vec<usize>,
    pub(super) coarse: Vec<usize>,
    pub(super) pointers: Vec<*const T>,
    pub(super) groups: Vec<Group<T>>,
    pub(super) c: Vec<*mut T>,
    pub(super) offsets: Vec<isize>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch {
            a: Aligned::default(),
            b: Aligned::default(),
            made: Aligned::default(),
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
pub(super) struct Group<T> {
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

impl<T: Real> Plan<'_, '_, T> {
    /// Computes rows `m0..m1` of the panels `p0..p1`, over the blocks `k0..k1` of K, into the rows that `s.c` points at.
    ///
    /// # Safety
    /// `gemm` has checked the operands; `b` is B packed if it is read so; the rows of C are this task's.
    #[expect(clippy::too_many_arguments, reason = "ranges along M, N and K, and where to")]
    pub(super) unsafe fn block(
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
        let evenly = self.evenly();
        if evenly.is_none() {
            self.p.a.positions(&self.p.a.rows, m0, m1, &mut s.rows);
        }
        for block in k0..k1 {
            let k = self.cut.range(block);
            let a_step = self.prepare_a(s, origin, (m0, m1), k);
            let add = accumulate || block > k0;
            let complete = block + 1 == k1;
            let mut width = 0;
            for panel in p0..p1 {
                if width != self.cut.width(panel) {
                    width = self.cut.width(panel);
                    self.point(s, origin, (m0, m1), width, k);
                }
                let follows = if panel + 1 < p1 { (panel + 1, block) } else { (p0, block + 1) };
                // SAFETY: passed on; pointers and lengths are those that `point` collected for this block of K.
                unsafe {
                    let (b, b_step) = self.panel(s, b, batch, panel, block, k);
                    let next =
                        if follows.1 < k1 { self.kept_panel(b, (panel, block), follows) } else { std::ptr::null() };
                    self.column(s, (b, b_step, next), a_step, panel, width, col_stride, add, complete);
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

    /// Elements between rows of A, if it is read in place and all are as far from each other: their positions are then
    /// not collected.
    fn evenly(&self) -> Option<isize> {
        let in_place = matches!(self.read_a, ReadA::InPlace(_)) && !self.p.a.is_spatial();
        self.p.a.rows.uniform_stride().filter(|_| in_place)
    }

    /// Splits the rows of a block into groups for panels of `width` columns, and collects the pointers to A.
    fn point(&self, s: &mut Scratch<T>, origin: Pos, (m0, m1): (usize, usize), width: usize, k: (usize, usize)) {
        let kernels = T::kernels(self.isa).of_width(width);
        let tallest = kernels[kernels.len() - 1].0;
        let plain = !self.p.a.is_spatial();
        let (fine_box, coarse_box) = (Reach::of(&s.k_fine), Reach::of(&s.k_coarse));
        s.pointers.clear();
        s.groups.clear();
        let (mut first, all, evenly) = (0, m1 - m0, self.evenly());
        while first < all {
            let rows = tallest.min(all - first);
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
                    if plain || (first..first + rows).all(|i| near.keeps_inside(a, origin.plus(s.rows[i].pos).at)) {
                        for run in runs {
                            let start = data.wrapping_offset(origin.offset + run.pos.offset);
                            s.pointers.extend((0..height).map(|i| match evenly {
                                Some(stride) => start.wrapping_offset((m0 + row(i)) as isize * stride),
                                None => start.wrapping_offset(s.rows[row(i)].pos.offset),
                            }));
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
                    let data = s.a.view(all * ld).as_ptr();
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

    /// Where the panel and block of K `to` of a B lies that was packed as a whole, of which those of `from` lie at `b`; null if it
    /// was not.
    fn kept_panel(&self, b: *const T, from: (usize, usize), to: (usize, usize)) -> *const T {
        match self.read_b {
            ReadB::InPlace(_) | ReadB::Local => std::ptr::null(),
            ReadB::Packed => {
                let offset = |(panel, block): (usize, usize)| self.cut.offset(block, panel) as isize;
                b.wrapping_offset(offset(to) - offset(from))
            }
        }
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
    /// As [`Plan::block`]; `b` is the panel's part for the block of K that the pointers of `s` are for. `next` is what follows.
    #[expect(clippy::too_many_arguments, reason = "the operands of the micro-kernel")]
    unsafe fn column(
        &self,
        s: &Scratch<T>,
        (b, b_step, next): (*const T, usize, *const T),
        a_step: usize,
        panel: usize,
        width: usize,
        col_stride: isize,
        accumulate: bool,
        complete: bool,
    ) {
        let col = panel * self.cut.panel;
        let cols = width.min(self.n - col);
        let lanes = T::kernels(self.isa).lanes;
        let finish = self.finish.filter(|_| complete).map(|finish| {
            let c = self.p.c.ptr.cast_const();
            // SAFETY: rows of C lie in its buffer.
            let start = unsafe { s.c[0].cast_const().offset_from(c) } as usize;
            finish.at(c, start + col)
        });
        let onto = accumulate && self.cut.blocks() == 1 && self.finish.is_some_and(|finish| finish.onto);
        let finish = finish.map(|finish| if onto { Finishing { plus: finish.c, ..finish } } else { finish });
        let accumulate = accumulate && !onto;
        for (number, group) in s.groups.iter().enumerate() {
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
                height: group.rows,
                last: cols - (width - lanes),
                finish,
                ahead: ahead(b, next, width, number),
            };
            if col_stride == 1 {
                // SAFETY: the instruction set was checked; `point` made `height` pointers a run, each to `len` elements
                // of A or to zeros; B is padded to `width`; the rows and columns that there are are in this task's block.
                unsafe { (group.kernel)(&micro) };
                continue;
            }
            let mut tile = [T::ZERO; MAX_TILE];
            let mut rows = [std::ptr::null_mut(); MAX_ROWS];
            for (i, row) in rows[..group.height].iter_mut().enumerate() {
                *row = tile[i * width..(i + 1) * width].as_mut_ptr();
            }
            (micro.c, micro.c_offset, micro.accumulate, micro.last) = (rows.as_ptr(), 0, false, lanes);
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

/// Elements from one row of a block in memory of the task to the next: not a multiple of the cache's ways.
pub(super) fn row_copy(len: usize) -> usize {
    len.next_multiple_of(16) + 16
}

/// Zeros for rows outside the image: as long as any run.
fn zeros<T: Real>() -> *const T {
    const { assert!(BLOCK_K.is_multiple_of(8)) };
    // A block of K is at most this long; 0 is all zero bits in every `Real`.
    static ZEROS: [f64; BLOCK_K] = [0.0; BLOCK_K];
    ZEROS.as_ptr().cast()
}
