//! Products with few elements and a long K: each task computes what a chunk of K contributes.

use super::Real;
use super::block::Scratch;
use super::driver::{Plan, row_offsets};
use super::packed::{Shared, offset_of};
use crate::kernels::scratch::{self, Aligned};

impl<T: Real> Plan<'_, '_, T> {
    /// Each task computes the part of a block of C that a chunk of K contributes; then those are added in order.
    pub(super) fn run_split(&self, b: *const T, partial: &mut Aligned<T>) {
        let b = Shared(b.cast_mut());
        let (m, n) = (self.m, self.n);
        let partial = Shared(partial.get(self.batches * self.chunks * m * n).as_mut_ptr());
        let blocks = self.blocks.count();
        let chunk = self.cut.blocks().div_ceil(self.chunks);
        self.each(self.tasks(), &|i| {
            let (batch, i) = (i / (self.chunks * blocks), i % (self.chunks * blocks));
            let (part, (rows, panels)) = (i / blocks, self.blocks.of(i % blocks));
            let last = self.cut.blocks();
            let k = ((part * chunk).min(last), ((part + 1) * chunk).min(last));
            let c = partial.get().wrapping_add((batch * self.chunks + part) * m * n);
            scratch::with(|s: &mut Scratch<T>| {
                s.c.clear();
                s.c.extend((rows.0..rows.1).map(|row| c.wrapping_add(row * n)));
                // SAFETY: `gemm` checked the operands; each task has its own part of `partial`.
                unsafe { self.block(s, b.get(), batch, rows, panels, k, 1, false) }
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
                let sums = s.a.get((last - first) * n);
                for ((i, offset), sums) in s.offsets.iter().enumerate().zip(sums.chunks_mut(n)) {
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
                        for (j, &sum) in sums.iter().enumerate().filter(|_| c.is_kept()) {
                            let at = c.ptr.offset(start + offset + j as isize * c.col_stride);
                            *at = if self.p.accumulate { *at + sum } else { sum };
                        }
                    }
                }
                let made = (!c.is_kept()).then(|| (s.a.get((last - first) * n).as_mut_ptr(), n));
                self.finish(batch, first, (0, n), start, &s.offsets, made);
            });
        });
    }
}
