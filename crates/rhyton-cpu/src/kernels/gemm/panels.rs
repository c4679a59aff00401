//! Rows by a panel of a packed matrix, for the algorithms that multiply what they have transformed: Winograd's and Strassen's.

use super::Real;
use super::micro::{MAX_ROWS, Micro, ahead};
use crate::isa::Isa;

/// A block of K of a panel of a packed matrix.
pub(crate) struct Panel<T> {
    /// Its first row.
    pub(crate) b: *const T,
    /// Columns, in whole vectors.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) len: usize,
    /// What is multiplied next, which is fetched meanwhile; null if nothing is.
    pub(crate) next: *const T,
}

/// `C = A · B` for `rows` rows of A and the columns of a panel, or `C += A · B`. `a` and `c` tell where rows start; the elements
/// of C go `column` elements behind that.
///
/// # Safety
/// The processor has the instruction set. Rows of A can be read for `len` elements, the panel for `len` rows of `width`, and
/// `rows + MAX_ROWS` rows of C can be read and written for the columns in whole vectors, by nobody else meanwhile.
pub(crate) unsafe fn multiply_panel<T: Real>(
    isa: Isa,
    panel: &Panel<T>,
    rows: usize,
    a: impl Fn(usize) -> *const T,
    (c, column): (impl Fn(usize) -> *mut T, usize),
    accumulate: bool,
) {
    let all = T::kernels(isa);
    let kernels = all.of_width(panel.width);
    let tallest = kernels[kernels.len() - 1].0;
    for (group, row) in (0..rows).step_by(tallest).enumerate() {
        let there = tallest.min(rows - row);
        let &(height, micro) =
            kernels.iter().find(|(height, _)| *height >= there).expect("`there` is at most the tallest");
        debug_assert!(height <= MAX_ROWS);
        // Rows that the kernel computes but that do not exist are the last one again.
        let a_rows: [*const T; MAX_ROWS] = std::array::from_fn(|i| a(row + i.min(there - 1)));
        let c_rows: [*mut T; MAX_ROWS] = std::array::from_fn(|i| c(row + i));
        // SAFETY: the caller's promise.
        unsafe {
            micro(&Micro {
                rows: a_rows.as_ptr(),
                lens: &raw const panel.len,
                runs: 1,
                a_step: 1,
                b: panel.b,
                b_step: panel.width,
                c: c_rows.as_ptr(),
                c_offset: column,
                accumulate,
                height,
                last: all.lanes,
                finish: None,
                ahead: ahead(panel.b, panel.next, panel.width, group),
            });
        }
    }
}
