//! Cholesky's factor, block column by block column.

use super::{Machine, dot, view};
use crate::kernels::math::per_isa;
use crate::kernels::scratch;

/// Columns of a block.
const BLOCK: usize = 64;

/// A block of columns below the diagonal, and its negative.
#[derive(Default)]
struct Below {
    columns: Vec<f64>,
    negative: Vec<f64>,
}

/// Replaces the lower triangle of `x (n, n)` by its factor, or by NaN if it is not positive definite, and the upper by 0.
///
/// # Panics
/// If `x` has not `n²` elements.
pub fn cholesky(machine: Machine<'_>, x: &mut [f64], n: usize) {
    assert_eq!(x.len(), n * n, "the matrix");
    let definite = scratch::with(|below: &mut Below| {
        for first in (0..n).step_by(BLOCK) {
            let last = n.min(first + BLOCK);
            let mut definite = true;
            factor_columns(machine.isa, x, n, (first, last), &mut definite);
            if !definite {
                return false;
            }
            subtract_square(machine, x, n, (first, last), below);
        }
        true
    });
    for i in 0..n {
        x[i * n + i + 1..(i + 1) * n].fill(0.0);
        if !definite {
            x[i * n..=i * n + i].fill(f64::NAN);
        }
    }
}

per_isa! {
    fn factor_columns(x: &mut [f64], n: usize, columns: (usize, usize), definite: &mut bool) = factor_loops
}

/// The algorithm of Cholesky and Banachiewicz in some columns of which those before have been subtracted.
#[inline(always)]
fn factor_loops<const FMA: bool>(x: &mut [f64], n: usize, (first, last): (usize, usize), definite: &mut bool) {
    for i in first..n {
        let (above, row) = x.split_at_mut(i * n);
        for j in first..last.min(i + 1) {
            let known = if j < i { &above[j * n + first..j * n + j] } else { &row[first..j] };
            let rest = row[j] - dot::<FMA>(known, &row[first..j]);
            if j < i {
                row[j] = rest / above[j * n + j];
            } else if rest > 0.0 {
                row[j] = rest.sqrt();
            } else {
                *definite = false;
                return;
            }
        }
    }
}

/// Subtracts the product of finished columns and their transpose from the lower triangle of what is left, and what a
/// block on the diagonal has above it.
fn subtract_square(machine: Machine<'_>, x: &mut [f64], n: usize, (first, last): (usize, usize), below: &mut Below) {
    let (width, height) = (last - first, n - last);
    below.columns.clear();
    (last..n).for_each(|i| below.columns.extend_from_slice(&x[i * n + first..i * n + last]));
    below.negative.clear();
    below.negative.extend(below.columns.iter().map(|x| -x));
    for top in (0..height).step_by(BLOCK) {
        let left = view(&below.negative[top * width..], (height - top, width), width);
        let right = view(&below.columns[top * width..], (BLOCK.min(height - top), width), width);
        machine.product(left, right.transposed(), &mut x[(last + top) * (n + 1)..], n, true);
    }
}
