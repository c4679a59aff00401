//! Determinants and systems of equations: `det`, `inv`, `solve`, `lstsq`, `pinv`, …

use rhyton_ir::op::{Gather, TriangularSolve};
use rhyton_ir::{DType, Shape};

use super::decomposition::lu;
use super::{MODULE, matrices, square_matrices, transposed};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{exactly, float_of, operations};
use crate::ops::numpy::broadcast;
use crate::ops::primitives::iota;
use crate::ops::{self, apply, apply_all};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    Det {} (x) compute_det;
    Inv {} (x) compute_inv;
    Solve {} (a, b) compute_solve;
    SolveTriangular { lower: bool } (a, b) compute_solve_triangular;
    Lstsq { rcond: Option<f64> } (a, b) compute_lstsq;
    MatrixRank { tol: Option<f64> } (x) compute_matrix_rank;
    Pinv { rcond: Option<f64> } (x) compute_pinv;
}

/// The unit matrices of the type of square matrices `x`.
pub(super) fn identity_like(x: &Tensor) -> Tensor {
    let shape = x.shape().clone();
    let rank = shape.rank();
    ops::equal(iota(DType::I32, shape.clone(), rank - 2), iota(DType::I32, shape, rank - 1)).cast(x.dtype())
}

/// The sign of the determinant and the diagonal of its factors.
fn signed_diagonal(x: &Tensor) -> (Tensor, Tensor) {
    let [factors, rows] = lu(x);
    let diagonal = ops::diagonal(&factors, 0, -2, -1);
    // A permutation is odd if it has an odd number of inversions.
    let (earlier, later) = (ops::expand_dims(&rows, -1), ops::expand_dims(&rows, -2));
    let inverted = ops::triu(&ops::greater(&earlier, &later).cast(DType::I32), 1);
    let inversions = ops::sum(&inverted, [-2, -1], false);
    let sign = 1 - ops::r#mod(&inversions, 2) * 2;
    (sign.cast(x.dtype()), diagonal)
}

/// The determinant of square matrices.
#[track_caller]
pub fn det(x: &Tensor) -> Tensor {
    apply(Det {}, Args::new(x))
}

fn compute_det(_: &Det, x: Tensor) -> Result<Tensor> {
    let (sign, diagonal) = signed_diagonal(&square_matrices("det", &x)?);
    Ok(sign * ops::prod(&diagonal, -1, false, None))
}

/// The sign and the logarithm of the magnitude of the determinant.
pub(crate) fn sign_and_log_det(x: &Tensor) -> Result<[Tensor; 2]> {
    let (sign, diagonal) = signed_diagonal(&square_matrices("slogdet", x)?);
    let sign = sign * ops::prod(&ops::sign(&diagonal), -1, false, None);
    Ok([sign, ops::sum(&ops::log(&ops::absolute(&diagonal)), -1, false)])
}

/// The inverse of square matrices.
#[track_caller]
pub fn inv(x: &Tensor) -> Tensor {
    apply(Inv {}, Args::new(x))
}

fn compute_inv(_: &Inv, x: Tensor) -> Result<Tensor> {
    let x = square_matrices("inv", &x)?;
    solved(&x, &identity_like(&x))
}

fn triangular(a: &Tensor, b: &Tensor, lower: bool, unit_diagonal: bool) -> Tensor {
    Tensor::apply(TriangularSolve { left: true, lower, transpose: false, unit_diagonal }, &[a, b])
}

/// `x` with `a·x = b`, for matrices `b`.
fn solved(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let [factors, rows] = lu(a);
    let rank = b.rank();
    // The rows of b in the order of the pivots.
    let places = broadcast(&ops::expand_dims(&rows, -1), b.shape());
    let permuted = Tensor::apply(Gather::along_axis(rank, rank - 2), &[b, &places]);
    Ok(triangular(&factors, &triangular(&factors, &permuted, true, true), false, false))
}

/// Both in one dtype with the same batch axes; whether `b` was a vector.
fn system(op: &str, a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor, bool)> {
    let a = square_matrices(op, a)?;
    let vector = b.rank() + 1 == a.rank();
    let b = if vector { ops::expand_dims(b, -1) } else { b.clone() };
    if b.check()?.rank() < 2 || !b.dim(-2).compatible(&a.dim(-1)) {
        let what = format!("the system {} with the right side {}", a.shape(), b.shape());
        return Err(Error::shape(op, what, "give b as many rows as a has"));
    }
    let dtype = promote(a.dtype(), float_of(b.dtype()));
    let batch = |t: &Tensor| -> Shape { t.shape()[..t.rank() - 2].iter().cloned().collect() };
    let common = ops::broadcast_shapes(&[&batch(&a), &batch(&b)])?;
    let full = |t: &Tensor| -> Shape { common.iter().chain(&t.shape()[t.rank() - 2..]).cloned().collect() };
    Ok((broadcast(&a.cast(dtype), &full(&a)), broadcast(&b.cast(dtype), &full(&b)), vector))
}

/// `x` with `a·x = b`, for matrices or vectors `b`.
#[track_caller]
pub fn solve(a: &Tensor, b: &Tensor) -> Tensor {
    apply(Solve {}, Args::new(a).and(b))
}

fn compute_solve(_: &Solve, a: Tensor, b: Tensor) -> Result<Tensor> {
    let (a, b, vector) = system("solve", &a, &b)?;
    let x = solved(&a, &b)?;
    Ok(if vector { ops::squeeze(&x, -1) } else { x })
}

/// `x` with `a·x = b` for upper triangular `a`, or `lower`; the other triangle is not read.
#[track_caller]
pub fn solve_triangular(a: &Tensor, b: &Tensor, lower: bool) -> Tensor {
    apply(SolveTriangular { lower }, Args::new(a).and(b))
}

fn compute_solve_triangular(op: &SolveTriangular, a: Tensor, b: Tensor) -> Result<Tensor> {
    let (a, b, vector) = system("solve_triangular", &a, &b)?;
    let x = triangular(&a, &b, op.lower, false);
    Ok(if vector { ops::squeeze(&x, -1) } else { x })
}

fn epsilon(dtype: DType) -> f64 {
    if dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) }
}

fn reduced_svd(x: &Tensor) -> [Tensor; 3] {
    exactly(Tensor::apply_all(rhyton_ir::op::Svd { full: false }, &[x]))
}

/// The larger of the sizes of the matrices.
fn larger_size(op: &str, x: &Tensor) -> Result<f64> {
    match (x.dim(-1).known(), x.dim(-2).known()) {
        (Some(m), Some(n)) => Ok(m.max(n) as f64),
        _ => Err(Error::shape(op, format!("{} has unknown sizes", x.ty()), "give known ones")),
    }
}

/// The `x` of least norm that makes `|a·x − b|` smallest. Singular values below `rcond` times the largest count as 0; unless
/// given, that is the precision of the dtype times the larger size.
#[track_caller]
pub fn lstsq(a: &Tensor, b: &Tensor, rcond: Option<f64>) -> Tensor {
    apply(Lstsq { rcond }, Args::new(a).and(b))
}

fn compute_lstsq(op: &Lstsq, a: Tensor, b: Tensor) -> Result<Tensor> {
    let a = matrices("lstsq", &a)?;
    let vector = b.rank() == 1;
    let b = if vector { ops::expand_dims(&b, 1) } else { b };
    if a.rank() != 2 || b.check()?.rank() != 2 || !a.dim(0).compatible(&b.dim(0)) {
        let what = format!("the system {} with the right side {}", a.ty(), b.ty());
        return Err(Error::shape("lstsq", what, "give a matrix, and a matrix or vector with as many rows"));
    }
    let rcond = match op.rcond {
        None => epsilon(a.dtype()) * larger_size("lstsq", &a)?,
        Some(negative) if negative < 0.0 => epsilon(a.dtype()),
        Some(rcond) => rcond,
    };
    let [u, s, vt] = reduced_svd(&a);
    let counts = ops::greater_equal(&s, ops::max(&s, -1, true) * rcond);
    let inverse = ops::divide_no_nan(counts.cast(a.dtype()), &s);
    let coordinates = ops::matmul(transposed(&u), b.cast(a.dtype()));
    let x = ops::matmul(transposed(&vt), ops::expand_dims(&inverse, -1) * coordinates);
    Ok(if vector { ops::squeeze(&x, -1) } else { x })
}

/// How many singular values are above `tol`; unless given, that is the precision of the dtype times the larger size times
/// the largest singular value. `int32`.
#[track_caller]
pub fn matrix_rank(x: &Tensor, tol: Option<f64>) -> Tensor {
    apply(MatrixRank { tol }, Args::new(x))
}

fn compute_matrix_rank(op: &MatrixRank, x: Tensor) -> Result<Tensor> {
    let x = matrices("matrix_rank", &x)?;
    let [_, s, _] = reduced_svd(&x);
    let tol = match op.tol {
        Some(tol) => ops::Operand::Float(tol),
        None => (ops::max(&s, -1, true) * (epsilon(x.dtype()) * larger_size("matrix_rank", &x)?)).into(),
    };
    Ok(ops::sum(&ops::greater(&s, tol).cast(DType::I32), -1, false))
}

/// The Moore–Penrose inverse. Singular values up to `rcond` times the largest count as 0; unless given, that is 10 times the
/// precision of the dtype times the larger size.
#[track_caller]
pub fn pinv(x: &Tensor, rcond: Option<f64>) -> Tensor {
    apply(Pinv { rcond }, Args::new(x))
}

fn compute_pinv(op: &Pinv, x: Tensor) -> Result<Tensor> {
    let x = matrices("pinv", &x)?;
    let rcond = match op.rcond {
        Some(rcond) => rcond,
        None => 10.0 * larger_size("pinv", &x)? * epsilon(x.dtype()),
    };
    let [u, s, vt] = reduced_svd(&x);
    let counts = ops::greater(&s, ops::max(&s, -1, true) * rcond);
    let inverse = ops::divide_no_nan(counts.cast(x.dtype()), &s);
    Ok(ops::matmul(transposed(&vt), ops::expand_dims(&inverse, -1) * transposed(&u)))
}

mod in_numpy {
    use super::*;
    operations! { "keras.src.ops.numpy"; Slogdet {} (x) compute_slogdet; }
}
pub(crate) use in_numpy::CLASSES as SLOGDET;

/// The sign of the determinant, and the logarithm of its magnitude.
#[track_caller]
pub fn slogdet(x: &Tensor) -> (Tensor, Tensor) {
    let [sign, log] = exactly(apply_all(in_numpy::Slogdet {}, Args::new(x)));
    (sign, log)
}

fn compute_slogdet(_: &in_numpy::Slogdet, x: Tensor) -> Result<[Tensor; 2]> {
    sign_and_log_det(&x)
}
