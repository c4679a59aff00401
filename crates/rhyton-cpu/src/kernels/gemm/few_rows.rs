//! Products of a handful of rows by a matrix that is contiguous along K: every element is a dot product.

use super::block::Scratch;
use super::dots::{COLS, Dots, ROWS};
use super::driver::{Plan, row_offsets};
use super::packed::{Shared, offset_of};
use super::view::{Axis, Elements, Space, View};
use super::{Real, Rhs};
use crate::kernels::scratch;

/// Rows of A up to which elements are dot products, if both operands are contiguous along K.
const DOT_ROWS: usize = 8;

/// Rows that are contiguous along K: where the first starts, and elements from one to the next.
type Stretches<T> = (*const T, isize);

impl<T: Real> Plan<'_, '_, T> {
    /// The kernel and the operands as rows that are contiguous along K, if there are few rows of A.
    pub(super) fn dot_operands(&self) -> Option<(Dots<T>, [Stretches<T>; 2])> {
        let Rhs::View(b) = &self.p.b else { return None };
        if self.m > DOT_ROWS || self.k < 16 || !self.p.c.is_kept() {
            return None;
        }
        let operand = |view: &View<'_, T>, rows: &Axis, k: &Axis| match view.data {
            Elements::Native(data) if view.space == Space::NONE && matches!(k.dims(), [dim] if dim.stride == 1) => {
                Some((data.as_ptr().wrapping_offset(view.offset), rows.uniform_stride()?))
            }
            _ => None,
        };
        Some((T::dots(self.isa)?, [operand(&self.p.a, &self.p.a.rows, &self.p.a.cols)?, operand(b, &b.cols, &b.rows)?]))
    }

    pub(super) fn run_dots(&self, kernel: Dots<T>, [(a, a_stride), (b, b_stride)]: [Stretches<T>; 2]) {
        /// Columns of a task.
        const TASK: usize = 8 * COLS;
        let (a, b) = (Shared(a.cast_mut()), Shared(b.cast_mut()));
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
                self.finish(batch, 0, (first, last), start, &s.offsets, None);
            });
        });
    }
}
