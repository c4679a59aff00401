//! Gaussian elimination with partial pivoting, block column by block column.

use super::{Machine, axpy, two_rows, view};
use crate::kernels::math::per_isa;
use crate::kernels::scratch;

/// Columns of a block.
const BLOCK: usize = 32;

/// Replaces `x (n, n)` by its factors; `permutation` tells which row of `x` each row of them is made of.
///
/// # Panics
/// If `x` has not `n²` elements or `permutation` not `n`.
pub fn lu(machine: Machine<'_>, x: &mut [f64], n: usize, permutation: &mut [i32]) {
    assert_eq!((x.len(), permutation.len()), (n * n, n), "the operands");
    permutation.iter_mut().enumerate().for_each(|(i, row)| *row = i as i32);
    scratch::with(|negative: &mut Vec<f64>| {
        for first in (0..n).step_by(BLOCK) {
            let last = n.min(first + BLOCK);
            factor_columns(machine.isa, x, n, (first, last), permutation);
            // What is left, below and to the right, loses the product of these columns and rows.
            negative.clear();
            (last..n).for_each(|i| negative.extend(x[i * n + first..i * n + last].iter().map(|x| -x)));
            let (above, below) = x.split_at_mut(last * n);
            if let Some(rest) = below.get_mut(last..) {
                let columns = view(negative, (n - last, last - first), last - first);
                let rows = view(&above[first * n + last..], (last - first, n - last), n);
                machine.product(columns, rows, rest, n, true);
            }
        }
    });
}

per_isa! {
    fn factor_columns(x: &mut [f64], n: usize, columns: (usize, usize), permutation: &mut [i32]) = factor_loops
}

/// Elimination in some columns; the rows beside the finished triangle are finished too.
#[inline(always)]
fn factor_loops<const FMA: bool>(x: &mut [f64], n: usize, (first, last): (usize, usize), permutation: &mut [i32]) {
    for k in first..last {
        let larger = |best: usize, i: usize| if x[i * n + k].abs() > x[best * n + k].abs() { i } else { best };
        let pivot = (k..n).fold(k, larger);
        if pivot != k {
            permutation.swap(k, pivot);
            let (upper, lower) = two_rows(x, n, (k, pivot));
            upper.swap_with_slice(lower);
        }
        if x[k * n + k] == 0.0 {
            continue;
        }
        let (above, below) = x[k * n..].split_at_mut(n);
        for row in below.chunks_exact_mut(n) {
            row[k] /= above[k];
            let factor = row[k];
            axpy::<FMA>(-factor, &above[k + 1..last], &mut row[k + 1..last]);
        }
    }
    for k in first..last {
        let (above, below) = x[k * n..].split_at_mut(n);
        for row in below.chunks_exact_mut(n).take(last - k - 1) {
            let factor = row[k];
            axpy::<FMA>(-factor, &above[last..], &mut row[last..]);
        }
    }
}
