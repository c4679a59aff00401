//! Factors of matrices: `cholesky`, `qr`, `svd`, `eigh`, `lu_factor`.

use rhyton_ir::op::{
    Cholesky as CholeskyPrimitive, Eigh as EighPrimitive, Lu, Qr as QrPrimitive, Svd, TriangularSolve,
};

use super::{MODULE, matrices, square_matrices, transposed};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{exactly, operations};
use crate::ops::{self, apply, apply_all};
use crate::tensor::Tensor;

operations! { MODULE;
    Cholesky { upper: bool } (x) compute_cholesky;
    CholeskyInverse { upper: bool } (x) compute_cholesky_inverse;
    Qr { mode: String } (x) compute_qr;
    SVD { full_matrices: bool, compute_uv: bool } (x) compute_svd;
    Eigh {} (x) compute_eigh;
    LuFactor {} (x) compute_lu_factor;
}

/// The lower triangular `L` with `x = L·Lᵀ`, or `Lᵀ` if `upper`; NaN where `x` is not positive definite.
#[track_caller]
pub fn cholesky(x: &Tensor, upper: bool) -> Tensor {
    apply(Cholesky { upper }, Args::new(x))
}

fn compute_cholesky(op: &Cholesky, x: Tensor) -> Result<Tensor> {
    let x = square_matrices("cholesky", &x)?;
    // Only the lower triangle counts, but its gradient goes to both by halves, as TensorFlow has it.
    let halves = (&x + transposed(&x)) * 0.5;
    let symmetric = &halves + ops::stop_gradient(&(&x - &halves));
    let factor = Tensor::apply(CholeskyPrimitive, &[&symmetric]);
    Ok(if op.upper { transposed(&factor) } else { factor })
}

/// The inverse of the matrix whose Cholesky factor is `x` (lower, or `upper`).
#[track_caller]
pub fn cholesky_inverse(x: &Tensor, upper: bool) -> Tensor {
    apply(CholeskyInverse { upper }, Args::new(x))
}

fn compute_cholesky_inverse(op: &CholeskyInverse, x: Tensor) -> Result<Tensor> {
    let x = square_matrices("cholesky_inverse", &x)?;
    let solve = TriangularSolve { left: true, lower: !op.upper, transpose: false, unit_diagonal: false };
    let inverse = Tensor::apply(solve, &[&x, &super::solving::identity_like(&x)]);
    let inverse = inverse.check()?;
    Ok(if op.upper { ops::matmul(inverse, transposed(inverse)) } else { ops::matmul(transposed(inverse), inverse) })
}

/// Orthogonal `q` and upper triangular `r` with `x = q·r`; square `q` for the mode `"complete"` instead of `"reduced"`
/// (Keras's default).
#[track_caller]
pub fn qr(x: &Tensor, mode: &str) -> (Tensor, Tensor) {
    let [q, r] = exactly(apply_all(Qr { mode: mode.to_owned() }, Args::new(x)));
    (q, r)
}

fn compute_qr(op: &Qr, x: Tensor) -> Result<Vec<Tensor>> {
    let full = match op.mode.as_str() {
        "reduced" => false,
        "complete" => true,
        mode => return Err(Error::argument("qr", format!("the mode {mode:?}"), "use reduced or complete")),
    };
    Ok(Tensor::apply_all(QrPrimitive { full }, &[&matrices("qr", &x)?]))
}

/// Orthogonal `u` and `vt` and descending singular values `s` with `x = u·diag(s)·vt`; square `u` and `vt` if
/// `full_matrices` (Keras's default). The signs of the vectors are not specified.
#[track_caller]
pub fn svd(x: &Tensor, full_matrices: bool) -> (Tensor, Tensor, Tensor) {
    let [u, s, vt] = exactly(apply_all(SVD { full_matrices, compute_uv: true }, Args::new(x)));
    (u, s, vt)
}

/// The singular values alone, descending: Keras's `svd(x, compute_uv=False)`.
#[track_caller]
pub fn singular_values(x: &Tensor) -> Tensor {
    apply(SVD { full_matrices: true, compute_uv: false }, Args::new(x))
}

fn compute_svd(op: &SVD, x: Tensor) -> Result<Vec<Tensor>> {
    let full = op.full_matrices && op.compute_uv;
    let parts = Tensor::apply_all(Svd { full }, &[&matrices("svd", &x)?]);
    Ok(if op.compute_uv { parts } else { parts.into_iter().skip(1).take(1).collect() })
}

/// The ascending eigenvalues and the eigenvectors, as columns, of symmetric matrices; only the lower triangle is read. The
/// signs of the vectors are not specified.
#[track_caller]
pub fn eigh(x: &Tensor) -> (Tensor, Tensor) {
    let [values, vectors] = exactly(apply_all(Eigh {}, Args::new(x)));
    (values, vectors)
}

fn compute_eigh(_: &Eigh, x: Tensor) -> Result<Vec<Tensor>> {
    Ok(Tensor::apply_all(EighPrimitive, &[&square_matrices("eigh", &x)?]))
}

/// The factors of `P·x = L·U` in one matrix (the ones on the diagonal of `L` are left out), and the permutation as Keras
/// gives it on TensorFlow: element `i` says which row of `P·x` row `i` of `x` becomes.
#[track_caller]
pub fn lu_factor(x: &Tensor) -> (Tensor, Tensor) {
    let [factors, permutation] = exactly(apply_all(LuFactor {}, Args::new(x)));
    (factors, permutation)
}

fn compute_lu_factor(_: &LuFactor, x: Tensor) -> Result<Vec<Tensor>> {
    let [factors, rows] = lu(&square_matrices("lu_factor", &x)?);
    // The inverse of a permutation sorts it.
    Ok(vec![factors, ops::argsort(&rows, Some(-1))])
}

/// The factors, and which row of `x` each row of `P·x` is.
pub(super) fn lu(x: &Tensor) -> [Tensor; 2] {
    exactly(Tensor::apply_all(Lu, &[x]))
}
