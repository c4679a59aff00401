//! Solutions of triangular systems by substitution, several right-hand sides at a time.

use super::{axpy, dot};
use crate::isa::Isa;
use crate::kernels::math::per_isa;

/// Which part of a matrix is read, and how.
#[derive(Clone, Copy, Debug)]
pub struct Triangle {
    /// The lower one; else the upper.
    pub lower: bool,
    /// Transposed.
    pub transpose: bool,
    /// With ones on the diagonal, which is not read.
    pub unit_diagonal: bool,
}

/// Solves `op(a)·x = y` for each row `y` of `rows`, in place.
///
/// # Panics
/// If `a` has not `n²` elements, or `rows` not a multiple of `n`.
pub fn solve_vectors(isa: Isa, triangle: Triangle, a: &[f64], n: usize, rows: &mut [f64]) {
    assert!(a.len() == n * n && rows.len().is_multiple_of(n.max(1)), "the operands");
    solve(isa, triangle, a, n, rows);
}

per_isa! {
    fn solve(triangle: Triangle, a: &[f64], n: usize, rows: &mut [f64]) = solve_loops
}

#[inline(always)]
fn solve_loops<const FMA: bool>(triangle: Triangle, a: &[f64], n: usize, rows: &mut [f64]) {
    /// Right-hand sides that share a row of `a` while it is in the first-level cache.
    const TOGETHER: usize = 8;
    let forward = triangle.lower != triangle.transpose;
    for rows in rows.chunks_mut(TOGETHER * n.max(1)) {
        for step in 0..n {
            let i = if forward { step } else { n - 1 - step };
            let row = &a[i * n..][..n];
            // The part of the row that is read, beside the diagonal: what is known times it, or what follows from it.
            let (start, end) = if triangle.lower { (0, i) } else { (i + 1, n) };
            for y in rows.chunks_exact_mut(n) {
                let rest = if triangle.transpose { y[i] } else { y[i] - dot::<FMA>(&row[start..end], &y[start..end]) };
                y[i] = if triangle.unit_diagonal { rest } else { rest / row[i] };
                if triangle.transpose {
                    let solved = y[i];
                    axpy::<FMA>(-solved, &row[start..end], &mut y[start..end]);
                }
            }
        }
    }
}
