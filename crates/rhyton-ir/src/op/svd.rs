//! `svd`: singular value decomposition.

use serde::{Deserialize, Serialize};

use super::matrix::{self, Matrix};
use super::{Applied, Op, Primitive, Sample, checked, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Outputs `u (…, m, k)`, `s (…, k)` descending, `vt (…, k, n)` with `k = min(m, n)`; square `u` and `vt` if `full`.
///
/// The first of the elements of a column of `u` (of the reduced one) whose magnitude is at least 0.9 of the largest's is
/// positive. The gradient of complete bases that are larger than the reduced ones is
/// not defined, that of the singular values always is; between equal singular values no gradient flows through the
/// vectors, which are not unique then.
///
/// # References
/// Gradient: Townsend, *Differentiating the singular value decomposition*, 2016,
/// <https://j-towns.github.io/papers/svd-derivative.pdf>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Svd {
    /// Complete bases.
    pub full: bool,
}

impl Svd {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let tall = Array::new([3, 2], vec![1.0f64, 2.0, -0.5, 1.5, 3.0, -1.0]);
        let wide = Array::new([2, 2, 3], vec![1.0f64, 0.2, -0.5, 2.0, 3.0, -1.0, 0.4, -1.2, 2.5, 1.1, 0.9, -0.3]);
        let square = Array::new([2, 2], vec![1.5f64, -0.5, 2.0, 1.0]);
        vec![
            Sample::new(Svd { full: false }, [tall]),
            Sample::new(Svd { full: false }, [wide]),
            Sample::new(Svd { full: true }, [square]),
            Sample::new(Svd { full: true }, [Array::new([3, 1], vec![1.0f32, 2.0, 2.0])]),
        ]
    }

    /// `(u, s, vt)` with complete bases. NaN if an element is not finite.
    fn decompose(x: &Matrix) -> (Matrix, Vec<f64>, Matrix) {
        let (mut u, s, mut vt) = Svd::with_any_signs(x);
        for j in 0..s.len() {
            let sign = matrix::sign(&u.column(j));
            (0..u.rows).for_each(|i| u[(i, j)] *= sign);
            (0..vt.columns).for_each(|i| vt[(j, i)] *= sign);
        }
        (u, s, vt)
    }

    fn with_any_signs(x: &Matrix) -> (Matrix, Vec<f64>, Matrix) {
        let (m, n) = (x.rows, x.columns);
        if !x.is_finite() {
            let nan = |n| Matrix::from_fn(n, n, |_, _| f64::NAN);
            return (nan(m), vec![f64::NAN; m.min(n)], nan(n));
        }
        if m < n {
            let (u, s, vt) = Svd::with_any_signs(&x.transposed());
            return (vt.transposed(), s, u.transposed());
        }
        let (a, v) = orthogonal_columns(x.clone());
        let norms: Vec<f64> = (0..n).map(|j| dot(&a.column(j), &a.column(j)).sqrt()).collect();
        let mut descending: Vec<usize> = (0..n).collect();
        descending.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
        let s: Vec<f64> = descending.iter().map(|&j| norms[j]).collect();
        // Columns that are nothing but rounding have no direction of their own; the completion gives them one.
        let negligible = s.first().map_or(0.0, |largest| largest * f64::EPSILON * m as f64);
        let columns = descending.iter().filter(|&&j| norms[j] > negligible);
        let u = completed(columns.map(|&j| a.column(j).iter().map(|v| v / norms[j]).collect()).collect(), m);
        (Matrix::from_fn(m, m, |i, j| u[j][i]), s, Matrix::from_fn(n, n, |i, j| v[(j, descending[i])]))
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// One-sided Jacobi: `x·v` with orthogonal columns, and the orthogonal `v`
/// (Demmel, *Applied numerical linear algebra*, 1997, algorithm 5.13).
fn orthogonal_columns(mut a: Matrix) -> (Matrix, Matrix) {
    const SWEEPS: usize = 64; // converges quadratically, in fewer than ten
    let mut v = Matrix::identity(a.columns);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..a.columns {
            for q in p + 1..a.columns {
                let (x, y) = (a.column(p), a.column(q));
                let (xx, xy, yy) = (dot(&x, &x), dot(&x, &y), dot(&y, &y));
                if xy.abs() <= f64::EPSILON * 0.5 * (xx * yy).sqrt() {
                    continue;
                }
                rotated = true;
                let rotation = matrix::jacobi_rotation(xx, xy, yy);
                a.rotate_columns(p, q, rotation);
                v.rotate_columns(p, q, rotation);
            }
        }
        if !rotated {
            break;
        }
    }
    (a, v)
}

/// Completes orthonormal vectors to a basis of `m` dimensions: unit vectors, made orthogonal to those there are.
fn completed(mut basis: Vec<Vec<f64>>, m: usize) -> Vec<Vec<f64>> {
    for axis in (0..m).cycle() {
        if basis.len() == m {
            break;
        }
        let mut unit: Vec<f64> = (0..m).map(|i| if i == axis { 1.0 } else { 0.0 }).collect();
        // Twice is enough to be orthogonal to rounding (Kahan and Parlett).
        for _ in 0..2 {
            for known in &basis {
                let projection = dot(&unit, known);
                unit.iter_mut().zip(known).for_each(|(u, k)| *u -= projection * k);
            }
        }
        // While directions are missing, some unit vector has at least 1/m of its squared length in them.
        let norm = dot(&unit, &unit).sqrt();
        if norm * norm * m as f64 > 0.5 {
            basis.push(unit.iter().map(|u| u / norm).collect());
        }
    }
    basis
}

impl Primitive for Svd {
    fn name(&self) -> &'static str {
        "svd"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let (batch, m, n) = matrix::sizes(self, x)?;
        let k = matrix::smaller(self, &m, &n)?;
        let (columns, rows) = if self.full { (&m, &n) } else { (&k, &k) };
        Ok([&[&m, columns][..], &[&k], &[rows, &n]].map(|axes| x.with_shape(matrix::shape(&batch, axes))).to_vec())
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shapes = checked::shapes(self, inputs)?;
        let columns = shapes[0][shapes[0].len() - 1];
        let rows = shapes[2][shapes[2].len() - 2];
        let [mut us, mut ss, mut vts] = [Vec::new(), Vec::new(), Vec::new()];
        for x in matrix::matrices(inputs[0]) {
            let (u, s, vt) = Svd::decompose(&x);
            us.push(Matrix::from_fn(x.rows, columns, |i, j| u[(i, j)]).into_values());
            ss.push(s);
            vts.push(Matrix::from_fn(rows, x.columns, |i, j| vt[(i, j)]).into_values());
        }
        let all = shapes.iter().zip([us, ss, vts]);
        Ok(all.map(|(shape, values)| matrix::batch(inputs[0].dtype(), shape, values)).collect())
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let ty = b.ty(node.inputs[0]);
        let (batch, m, n) = matrix::sizes(self, &ty)?;
        let k = matrix::smaller(self, &m, &n)?;
        let vectors = cotangents[0].is_some() || cotangents[2].is_some();
        if self.full && m != n && vectors {
            return Err(Error::unsupported(
                self.name(),
                format!("the gradient of the complete bases of {ty}"),
                "use the reduced factors, which have one",
            ));
        }
        let [mut u, s, mut vt] = [node.outputs[0], node.outputs[1], node.outputs[2]];
        if self.full && m != n {
            u = b.slice_axis(u, ty.rank() - 1, 0, k.clone());
            vt = b.slice_axis(vt, ty.rank() - 2, 0, k.clone());
        }
        let square = b.full(&ty.with_shape(matrix::shape(&batch, &[&k, &k])), 0.0);
        // x̄ = U·(A·S + S·B + diag(s̄))·Vᵀ + (I − U·Uᵀ)·Ū·S⁻¹·Vᵀ + U·S⁻¹·V̄ᵀ·(I − V·Vᵀ), with
        // A = F∘(Uᵀ·Ū − Ūᵀ·U), B = F∘(Vᵀ·V̄ − V̄ᵀ·V) and F[i,j] = 1/(s[j]² − s[i]²); rows scale on the left of
        // a product, columns on the right.
        let squares = b.mul(s, s);
        let gaps = matrix::reciprocal_gaps(b, squares, square);
        let (as_columns, as_rows) = (matrix::repeated(b, s, square, 0), matrix::repeated(b, s, square, 1));
        let inverse = matrix::reciprocal_or_zero(b, s);
        let mut inner = square;
        if let Some(ds) = cotangents[1] {
            let diagonal = matrix::diagonal(b, ds, square);
            inner = b.add(inner, diagonal);
        }
        let mut outside = Vec::new();
        if let Some(du) = cotangents[0] {
            let ut = matrix::transposed(b, u);
            let projected = matrix::matmul(b, ut, du);
            let antisymmetric = antisymmetric(b, projected);
            let term = b.mul(gaps, antisymmetric);
            let term = b.mul(term, as_columns);
            inner = b.add(inner, term);
            if m != k {
                let within = matrix::matmul(b, u, projected);
                let rest = b.sub(du, within);
                let inverse = matrix::repeated(b, inverse, rest, 0);
                let rest = b.mul(rest, inverse);
                outside.push(matrix::matmul(b, rest, vt));
            }
        }
        if let Some(dvt) = cotangents[2] {
            let (v, dv) = (matrix::transposed(b, vt), matrix::transposed(b, dvt));
            let projected = matrix::matmul(b, vt, dv);
            let antisymmetric = antisymmetric(b, projected);
            let term = b.mul(gaps, antisymmetric);
            let term = b.mul(term, as_rows);
            inner = b.add(inner, term);
            if n != k {
                let projected = matrix::matmul(b, dvt, v);
                let within = matrix::matmul(b, projected, vt);
                let rest = b.sub(dvt, within);
                let inverse = matrix::repeated(b, inverse, rest, 1);
                let rest = b.mul(rest, inverse);
                outside.push(matrix::matmul(b, u, rest));
            }
        }
        let dx = matrix::matmul(b, u, inner);
        let dx = matrix::matmul(b, dx, vt);
        Ok(vec![Some(outside.into_iter().fold(dx, |sum, term| b.add(sum, term)))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

/// `x − xᵀ`.
fn antisymmetric(b: &mut Builder, x: Value) -> Value {
    let mirrored = matrix::transposed(b, x);
    b.sub(x, mirrored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_without_full_rank_have_orthonormal_bases() {
        let x = Matrix::from_fn(4, 3, |i, j| ((i + 1) * (j + 1)) as f64);
        let (u, s, vt) = Svd::decompose(&x);
        assert!(s[0] > 20.0 && s[1] < 1e-13 && s[2] < 1e-13);
        for i in 0..4 {
            for j in 0..4 {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(&u.column(i), &u.column(j)) - expected).abs() < 1e-14);
                let product: f64 = (0..3).map(|k| if j < 3 { u[(i, k)] * s[k] * vt[(k, j)] } else { 0.0 }).sum();
                assert!(j == 3 || (product - x[(i, j)]).abs() < 1e-13);
            }
        }
    }
}
