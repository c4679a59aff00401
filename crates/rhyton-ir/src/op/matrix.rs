//! Batches of matrices in the last two axes of an operand: their checks, their evaluation one matrix at a time, and
//! the steps of linear algebra that gradient rules share.

use std::ops::{Index, IndexMut};

use super::{Direction, DotGeneral, Iota, Primitive, TriangularSolve, checked};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Dim, Shape, TensorType};

/// The batch sizes, rows and columns of an operand that must hold floating-point matrices.
pub(super) fn sizes(op: &dyn Primitive, x: &TensorType) -> Result<(Vec<Dim>, Dim, Dim)> {
    checked::float(op, x)?;
    match &x.shape[..] {
        [batch @ .., rows, columns] => Ok((batch.to_vec(), rows.clone(), columns.clone())),
        _ => Err(Error::shape(op.name(), format!("the operand {x} is no matrix"), "give at least two axes")),
    }
}

/// The batch sizes and the order of an operand that must hold square floating-point matrices.
pub(super) fn order(op: &dyn Primitive, x: &TensorType) -> Result<(Vec<Dim>, Dim)> {
    let (batch, rows, columns) = sizes(op, x)?;
    if !rows.compatible(&columns) {
        return Err(Error::shape(op.name(), format!("the matrices of {x} are not square"), "give square matrices"));
    }
    Ok((batch, if rows.known().is_some() { rows } else { columns }))
}

/// The smaller of two sizes, if that can be told.
pub(super) fn smaller(op: &dyn Primitive, rows: &Dim, columns: &Dim) -> Result<Dim> {
    match (rows.known(), columns.known()) {
        (Some(m), Some(n)) => Ok(Dim::Known(m.min(n))),
        _ if rows == columns => Ok(rows.clone()),
        _ => Err(Error::unsupported(
            op.name(),
            format!("the smaller of the symbolic sizes {rows} and {columns}"),
            "bind the sizes of the matrices to numbers",
        )),
    }
}

/// The shape of a batch with further axes.
pub(super) fn shape(batch: &[Dim], axes: &[&Dim]) -> Shape {
    batch.iter().chain(axes.iter().copied()).cloned().collect()
}

/// One matrix, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub rows: usize,
    pub columns: usize,
    values: Vec<f64>,
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;
    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.values[i * self.columns + j]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.values[i * self.columns + j]
    }
}

impl Matrix {
    /// The matrix of `f(i, j)`.
    pub fn from_fn(rows: usize, columns: usize, mut f: impl FnMut(usize, usize) -> f64) -> Matrix {
        let values = (0..rows * columns).map(|at| f(at / columns, at % columns)).collect();
        Matrix { rows, columns, values }
    }

    /// The identity.
    pub fn identity(n: usize) -> Matrix {
        Matrix::from_fn(n, n, |i, j| if i == j { 1.0 } else { 0.0 })
    }

    /// The transpose.
    pub fn transposed(&self) -> Matrix {
        Matrix::from_fn(self.columns, self.rows, |i, j| self[(j, i)])
    }

    /// Column `j`.
    pub fn column(&self, j: usize) -> Vec<f64> {
        (0..self.rows).map(|i| self[(i, j)]).collect()
    }

    /// Replaces columns `p` and `q` by `c·p − s·q` and `s·p + c·q`.
    pub fn rotate_columns(&mut self, p: usize, q: usize, (c, s): (f64, f64)) {
        for i in 0..self.rows {
            let (x, y) = (self[(i, p)], self[(i, q)]);
            self[(i, p)] = c * x - s * y;
            self[(i, q)] = s * x + c * y;
        }
    }

    /// Replaces rows `p` and `q` likewise.
    pub fn rotate_rows(&mut self, p: usize, q: usize, (c, s): (f64, f64)) {
        for j in 0..self.columns {
            let (x, y) = (self[(p, j)], self[(q, j)]);
            self[(p, j)] = c * x - s * y;
            self[(q, j)] = s * x + c * y;
        }
    }

    /// Whether no value is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|v| v.is_finite())
    }

    /// The root of the sum of squares.
    pub fn norm(&self) -> f64 {
        self.values.iter().map(|v| v * v).sum::<f64>().sqrt()
    }

    /// The values, row-major.
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }
}

/// The sign that is given to vectors which are unique but for it: that of the first element whose magnitude is at least
/// 0.9 of the largest's, so that rounding does not choose among equal ones.
pub(super) fn sign(vector: &[f64]) -> f64 {
    let largest = vector.iter().fold(0f64, |m, x| m.max(x.abs()));
    let leading = vector.iter().find(|x| x.abs() >= 0.9 * largest);
    if leading.is_some_and(|&x| x < 0.0) { -1.0 } else { 1.0 }
}

/// The cosine and sine of the rotation that makes the symmetric matrix `[[app, apq], [apq, aqq]]` diagonal
/// (Golub and Van Loan, *Matrix Computations*, algorithm 8.4.1).
pub(super) fn jacobi_rotation(app: f64, apq: f64, aqq: f64) -> (f64, f64) {
    let tau = (aqq - app) / (2.0 * apq);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    (c, t * c)
}

/// The matrices of an operand that the shape rule has accepted.
pub(super) fn matrices(x: &Array) -> Vec<Matrix> {
    let (batch, sizes) = x.shape().split_at(x.rank() - 2);
    let (values, size) = (x.to_f64_vec(), sizes[0] * sizes[1]);
    let matrix =
        |k: usize| Matrix { rows: sizes[0], columns: sizes[1], values: values[k * size..(k + 1) * size].to_vec() };
    (0..batch.iter().product()).map(matrix).collect()
}

/// One array of the results of a batch, rounded to `dtype`.
pub(super) fn batch(dtype: DType, shape: &[usize], results: impl IntoIterator<Item = Vec<f64>>) -> Array {
    Array::new(shape, results.into_iter().flatten().collect::<Vec<f64>>()).cast(dtype)
}

/// `x · y`, matrix by matrix.
pub(super) fn matmul(b: &mut Builder, x: Value, y: Value) -> Value {
    let rank = b.shape(x).rank();
    b.dot_general(DotGeneral::matmul(rank), x, y)
}

/// `xᵀ`, matrix by matrix.
pub(super) fn transposed(b: &mut Builder, x: Value) -> Value {
    let mut axes: Vec<usize> = (0..b.shape(x).rank()).collect();
    let n = axes.len();
    if n >= 2 {
        axes.swap(n - 2, n - 1);
    }
    b.transpose(x, &axes)
}

/// `x` where the row number stands in `relation` to the column number, 0 elsewhere: `Ge` keeps the lower triangle with
/// the diagonal, `Gt` without.
pub(super) fn part(b: &mut Builder, x: Value, relation: Direction) -> Value {
    let ty = b.ty(x);
    let (places, rank) = (ty.with_dtype(DType::I32), ty.rank().max(2));
    let row = b.push(Iota { ty: places.clone(), axis: rank - 2 }, &[]);
    let column = b.push(Iota { ty: places, axis: rank - 1 }, &[]);
    let kept = b.compare(relation, row, column);
    let zero = b.zeros_like(x);
    b.select(kept, x, zero)
}

/// The lower triangle with half of the diagonal.
pub(super) fn lower_half(b: &mut Builder, x: Value) -> Value {
    let strict = part(b, x, Direction::Gt);
    let diagonal = part(b, x, Direction::Eq);
    let half = b.scale(diagonal, 0.5);
    b.add(strict, half)
}

/// The gradient of a function that reads the lower triangle only, given its gradient as one of symmetric matrices:
/// what belongs to the upper triangle counts for the lower one.
pub(super) fn folded(b: &mut Builder, x: Value) -> Value {
    let mirrored = transposed(b, x);
    let sum = b.add(x, mirrored);
    lower_half(b, sum)
}

/// The solution of `op(a)·x = y`, or `x·op(a) = y`.
pub(super) fn solve(b: &mut Builder, how: TriangularSolve, a: Value, y: Value) -> Value {
    b.push(how, &[a, y])
}

/// Vectors `(…, n)` as rows (`axis` 0) or columns (1) that repeat in `(…, m, n)` or `(…, n, m)`, the type of `like`.
pub(super) fn repeated(b: &mut Builder, vectors: Value, like: Value, axis: usize) -> Value {
    let shape = b.shape(like);
    let skipped = shape.rank().saturating_sub(2) + axis;
    b.restore(vectors, &shape, &[skipped])
}

/// `1/x`, and 0 for 0.
pub(super) fn reciprocal_or_zero(b: &mut Builder, x: Value) -> Value {
    let zero = b.zeros_like(x);
    let one = b.full_like(x, 1.0);
    let is_zero = b.compare(Direction::Eq, x, zero);
    let safe = b.select(is_zero, one, x);
    let reciprocal = b.div(one, safe);
    b.select(is_zero, zero, reciprocal)
}

/// `1/(w[j] − w[i])` in row `i` and column `j`, of the type of `like`; 0 on the diagonal and for equal values, between
/// which a well-defined function does not distinguish.
pub(super) fn reciprocal_gaps(b: &mut Builder, w: Value, like: Value) -> Value {
    let columns = repeated(b, w, like, 0);
    let rows = repeated(b, w, like, 1);
    let gaps = b.sub(columns, rows);
    reciprocal_or_zero(b, gaps)
}

/// Vectors `(…, n)` as the diagonals of `(…, n, n)`, the type of `like`.
pub(super) fn diagonal(b: &mut Builder, vectors: Value, like: Value) -> Value {
    let rows = repeated(b, vectors, like, 0);
    part(b, rows, Direction::Eq)
}
