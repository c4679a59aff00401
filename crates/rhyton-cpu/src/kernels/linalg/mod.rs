//! Factors of matrices and solutions of triangular systems, in `f64`, one matrix a call.
//!
//! Matrices are row-major and dense. What is cubic and can be is a matrix product (`gemm`, which uses the pool); the rest
//! are loops along rows, compiled once an instruction set (without closures, which might not be). Every function does what
//! the primitive of its name in [`rhyton_ir::op`] says, signs included; there are the shapes and the meaning.
//!
//! Results do not depend on the number of threads.

mod cholesky;
mod eigh;
mod lu;
mod qr;
mod solve;
mod svd;
#[cfg(test)]
mod tests;

pub use cholesky::cholesky;
pub use eigh::eigh;
pub use lu::lu;
pub use qr::qr;
pub use solve::{Triangle, solve_vectors};
pub use svd::svd;

use super::gemm::{Gemm, Out, Rhs, View, gemm};
use crate::isa::Isa;
use crate::pool::Pool;

/// What kernels run with.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The threads of matrix products.
    pub pool: &'a Pool,
    /// The instruction set.
    pub isa: Isa,
}

impl Machine<'_> {
    /// `c += a · b`, or `c = a · b` unless `accumulate`; `c` starts with the product's first element and has rows `stride`
    /// apart.
    fn product(self, a: View<'_, f64>, b: View<'_, f64>, c: &mut [f64], stride: usize, accumulate: bool) {
        let (m, n) = (a.shape().0, b.shape().1);
        if m * n == 0 {
            return;
        }
        let c = Out::matrix(c, (m, n), stride);
        gemm(self.pool, self.isa, &Gemm { a, b: Rhs::View(b), c, batch: &[], accumulate, epilogue: None });
    }
}

/// The `rows` by `columns` elements of `data` from its start, rows `stride` apart.
fn view(data: &[f64], (rows, columns): (usize, usize), stride: usize) -> View<'_, f64> {
    View::strided(data, (rows, columns), (stride as isize, 1))
}

/// `a·b + c`.
#[inline(always)]
fn fma<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `Σ x·y` over the length of `x`.
#[inline(always)]
fn dot<const FMA: bool>(x: &[f64], y: &[f64]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y[..x.len() * LANES + x_rest.len()].as_chunks::<LANES>();
    for (x, y) in x.iter().zip(y) {
        for l in 0..LANES {
            sums[l] = fma::<FMA>(x[l], y[l], sums[l]);
        }
    }
    for (l, (x, y)) in x_rest.iter().zip(y_rest).enumerate() {
        sums[l] = fma::<FMA>(*x, *y, sums[l]);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            sums[l] += sums[l + half];
        }
        half /= 2;
    }
    sums[0]
}

/// `y += a·x`.
#[inline(always)]
fn axpy<const FMA: bool>(a: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = fma::<FMA>(a, *x, *y);
    }
}

/// Replaces `x` and `y` by `c·x + s·y` and `c·y − s·x`.
#[inline(always)]
fn rotate<const FMA: bool>(x: &mut [f64], y: &mut [f64], (c, s): (f64, f64)) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (fma::<FMA>(c, *x, s * *y), fma::<FMA>(c, *y, -(s * *x)));
    }
}

/// Rows `i` and `j > i` of a matrix of rows of `n`.
#[inline(always)]
fn two_rows(x: &mut [f64], n: usize, (i, j): (usize, usize)) -> (&mut [f64], &mut [f64]) {
    let (before, after) = x.split_at_mut(j * n);
    (&mut before[i * n..][..n], &mut after[..n])
}

/// The reflection `1 − τ·v·vᵀ` that takes `x` to `β` times the unit vector of its element `pivot`; leaves `v` in `x`, with 1
/// at the pivot, and gives `(β, τ)`. Where all else is 0 already, τ is 0 and `x` is left alone but for that 1
/// (LAPACK's `dlarfg`; the caller scales, so squares neither overflow nor vanish).
#[inline(always)]
fn reflector<const FMA: bool>(x: &mut [f64], pivot: usize) -> (f64, f64) {
    let alpha = std::mem::replace(&mut x[pivot], 0.0);
    let rest = dot::<FMA>(x, x);
    let (beta, tau) = if rest == 0.0 {
        (alpha, 0.0)
    } else {
        let norm = fma::<FMA>(alpha, alpha, rest).sqrt();
        let beta = if alpha > 0.0 { -norm } else { norm };
        let scale = 1.0 / (alpha - beta);
        x.iter_mut().for_each(|x| *x *= scale);
        (beta, (beta - alpha) / beta)
    };
    x[pivot] = 1.0;
    (beta, tau)
}

/// Writes the transpose of `x (m, n)` to `out`.
///
/// # Panics
/// If one of them is shorter.
pub fn transpose(x: &[f64], (m, n): (usize, usize), out: &mut [f64]) {
    const TILE: usize = 16;
    for i0 in (0..m).step_by(TILE) {
        for j0 in (0..n).step_by(TILE) {
            for i in i0..m.min(i0 + TILE) {
                for j in j0..n.min(j0 + TILE) {
                    out[j * m + i] = x[i * n + j];
                }
            }
        }
    }
}

/// The power of two by which `x` is divided so that squares of its elements neither overflow nor all vanish; 1 for zeros.
fn scale_of(x: &[f64]) -> f64 {
    let largest = x.iter().fold(0f64, |m, x| m.max(x.abs()));
    let usual = (1e-100..1e100).contains(&largest) || largest == 0.0;
    if usual { 1.0 } else { 2f64.powi(libm::ilogb(largest).clamp(-1000, 1000)) }
}

/// The sign of a vector: that of the first of its elements whose magnitude is at least 0.9 of the largest's.
fn sign(x: &[f64]) -> f64 {
    let largest = x.iter().fold(0f64, |m, x| m.max(x.abs()));
    let leading = x.iter().find(|x| x.abs() >= 0.9 * largest);
    if leading.is_some_and(|&x| x < 0.0) { -1.0 } else { 1.0 }
}
