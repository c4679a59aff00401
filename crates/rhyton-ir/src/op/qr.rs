//! `qr`: orthogonal and upper triangular factors.

use serde::{Deserialize, Serialize};

use super::matrix::{self, Matrix};
use super::{Applied, Direction, Op, Primitive, Sample, TriangularSolve, checked, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Outputs `q`, `r` of `x (…, m, n)`: `(…, m, k)`, `(…, k, n)` with `k = min(m, n)`, or `m` if `full`. Householder's sign
/// convention (LAPACK's): the diagonal of `r` is not made positive.
///
/// The gradient of complete bases that are wider than `x` is not defined.
///
/// # References
/// Gradient: Walter and Lehmann, *Algorithmic differentiation of linear algebra functions with application in optimum
/// experimental design*, 2010, <https://arxiv.org/abs/1001.1654>; for `m < n`, Roberts and Roberts, *QR and LQ
/// decomposition matrix backpropagation algorithms for square, wide, and deep matrices*, 2020,
/// <https://arxiv.org/abs/2009.10071>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Qr {
    /// Complete bases.
    pub full: bool,
}

impl Qr {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let tall = Array::new([3, 2], vec![1.0f64, 2.0, -0.5, 1.5, 3.0, -1.0]);
        let wide = Array::new([2, 2, 3], vec![1.0f64, 0.2, -0.5, 2.0, 3.0, -1.0, 0.4, -1.2, 2.5, 1.1, 0.9, -0.3]);
        let square = Array::new([2, 2], vec![1.5f64, -0.5, 2.0, 1.0]);
        vec![
            Sample::new(Qr { full: false }, [tall]),
            Sample::new(Qr { full: false }, [wide.clone()]),
            Sample::new(Qr { full: true }, [wide]),
            Sample::new(Qr { full: true }, [square]),
            Sample::new(Qr { full: true }, [Array::new([3, 1], vec![1.0f32, 2.0, 2.0])]),
        ]
    }

    /// For `m ≥ n = k`: `x̄ = (Q̄ + Q·M)·R⁻ᵀ`, `M` the symmetric matrix with the lower triangle of `R·R̄ᵀ − Q̄ᵀ·Q`.
    fn tall_gradient(b: &mut Builder, [q, r]: [Value; 2], [dq, dr]: [Value; 2]) -> Value {
        let dr = matrix::part(b, dr, Direction::Le);
        let (drt, dqt) = (matrix::transposed(b, dr), matrix::transposed(b, dq));
        let of_r = matrix::matmul(b, r, drt);
        let of_q = matrix::matmul(b, dqt, q);
        let m = b.sub(of_r, of_q);
        let lower = matrix::part(b, m, Direction::Ge);
        let strict = matrix::part(b, m, Direction::Gt);
        let mirrored = matrix::transposed(b, strict);
        let symmetric = b.add(lower, mirrored);
        let inner = matrix::matmul(b, q, symmetric);
        let inner = b.add(dq, inner);
        let by_r = TriangularSolve { left: false, lower: false, transpose: true, unit_diagonal: false };
        matrix::solve(b, by_r, r, inner)
    }
}

/// Householder's reflections, with LAPACK's choice of signs: a column that is zero below the diagonal is left alone.
fn factor(x: &Matrix) -> (Matrix, Matrix) {
    let (m, n) = (x.rows, x.columns);
    let (mut q, mut r) = (Matrix::identity(m), x.clone());
    for k in 0..m.min(n) {
        let below = (k + 1..m).map(|i| r[(i, k)] * r[(i, k)]).sum::<f64>();
        if below == 0.0 {
            continue;
        }
        let norm = (r[(k, k)] * r[(k, k)] + below).sqrt();
        let beta = if r[(k, k)] > 0.0 { -norm } else { norm };
        let v: Vec<f64> = (k..m).map(|i| r[(i, k)] - if i == k { beta } else { 0.0 }).collect();
        let scale = 2.0 / v.iter().map(|v| v * v).sum::<f64>();
        for j in k..n {
            let projection = scale * (k..m).map(|i| v[i - k] * r[(i, j)]).sum::<f64>();
            (k..m).for_each(|i| r[(i, j)] -= projection * v[i - k]);
        }
        for i in 0..m {
            let projection = scale * (k..m).map(|j| q[(i, j)] * v[j - k]).sum::<f64>();
            (k..m).for_each(|j| q[(i, j)] -= projection * v[j - k]);
        }
    }
    (q, r)
}

impl Primitive for Qr {
    fn name(&self) -> &'static str {
        "qr"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let (batch, m, n) = matrix::sizes(self, x)?;
        let k = if self.full { m.clone() } else { matrix::smaller(self, &m, &n)? };
        Ok(vec![x.with_shape(matrix::shape(&batch, &[&m, &k])), x.with_shape(matrix::shape(&batch, &[&k, &n]))])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shapes = checked::shapes(self, inputs)?;
        let k = shapes[0][shapes[0].len() - 1];
        let (mut qs, mut rs) = (Vec::new(), Vec::new());
        for x in matrix::matrices(inputs[0]) {
            let (q, r) = factor(&x);
            qs.push(Matrix::from_fn(x.rows, k, |i, j| q[(i, j)]).into_values());
            rs.push(Matrix::from_fn(k, x.columns, |i, j| if i <= j { r[(i, j)] } else { 0.0 }).into_values());
        }
        let dtype = inputs[0].dtype();
        Ok(vec![matrix::batch(dtype, &shapes[0], qs), matrix::batch(dtype, &shapes[1], rs)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        if cotangents.iter().all(Option::is_none) {
            return Ok(vec![None]);
        }
        let (q, r) = (node.outputs[0], node.outputs[1]);
        let ty = b.ty(node.inputs[0]);
        let (_, m, n) = matrix::sizes(self, &ty)?;
        let k = matrix::smaller(self, &m, &n)?;
        if self.full && k != m {
            return Err(Error::unsupported(
                self.name(),
                format!("the gradient of the complete bases of {ty}"),
                "use the reduced factors, which have one",
            ));
        }
        let dq = cotangents[0].unwrap_or_else(|| b.zeros_like(q));
        let dr = cotangents[1].unwrap_or_else(|| b.zeros_like(r));
        if k == n {
            return Ok(vec![Some(Qr::tall_gradient(b, [q, r], [dq, dr]))]);
        }
        // x = [X Y] with square X = Q·U, and Y = Q·V: R = [U V].
        let last = ty.rank() - 1;
        let m = m.known().expect("k differs from n only as numbers");
        let y = b.slice_axis(node.inputs[0], last, m, n.clone());
        let [u, du] = [r, dr].map(|v| b.slice_axis(v, last, 0, m));
        let dv = b.slice_axis(dr, last, m, n);
        let dvt = matrix::transposed(b, dv);
        let through_v = matrix::matmul(b, y, dvt);
        let dq = b.add(dq, through_v);
        let dx = Qr::tall_gradient(b, [q, u], [dq, du]);
        let dy = matrix::matmul(b, q, dv);
        Ok(vec![Some(b.concatenate(&[dx, dy], last))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_those_of_lapack() {
        let (q, r) = factor(&Matrix::from_fn(2, 2, |i, j| [[3.0, 1.0], [4.0, 2.0]][i][j]));
        let close = |a: f64, b: f64| (a - b).abs() < 1e-15;
        // numpy.linalg.qr([[3., 1.], [4., 2.]])
        assert!(close(q[(0, 0)], -0.6) && close(q[(1, 0)], -0.8) && close(r[(0, 0)], -5.0));
        assert!(close(q[(0, 1)], -0.8) && close(q[(1, 1)], 0.6) && close(r[(1, 1)], 0.4));
    }
}
