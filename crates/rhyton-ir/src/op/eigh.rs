//! `eigh`: eigenvalues and eigenvectors of symmetric matrices.

use serde::{Deserialize, Serialize};

use super::matrix::{self, Matrix};
use super::{Applied, Op, Primitive, Sample, checked, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::Result;
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Outputs `w (…, n)` ascending and `v (…, n, n)` with the vectors as columns; reads the lower triangle.
///
/// The first element of a vector whose magnitude is at least 0.9 of the largest's is positive. The gradient is that of the
/// elements that are read: 0 above the diagonal; between equal eigenvalues no gradient flows through the vectors, which
/// are not unique then.
///
/// # References
/// Gradient: Giles, *An extended collection of matrix derivative results for forward and reverse mode automatic
/// differentiation*, 2008, section 3.1, <https://people.maths.ox.ac.uk/gilesm/files/NA-08-01.pdf>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eigh;

impl Eigh {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = vec![2.0f64, 9.0, 9.0, 0.5, -1.0, 9.0, -0.3, 0.8, 0.6];
        let y = vec![1.0f64, 0.2, 0.1, 0.2, 3.0, -0.4, 0.1, -0.4, -2.0];
        vec![
            Sample::new(Eigh, [Array::new([3, 3], x.clone())]),
            Sample::new(Eigh, [Array::new([2, 3, 3], [x, y].concat())]),
        ]
    }
}

/// Jacobi's method: rotations that each make one element off the diagonal 0, until all are negligible. NaN if an element
/// is not finite.
fn decompose(x: &Matrix) -> (Vec<f64>, Matrix) {
    const SWEEPS: usize = 64; // converges quadratically, in fewer than ten
    let n = x.rows;
    let mut a = Matrix::from_fn(n, n, |i, j| x[(i.max(j), i.min(j))]);
    let mut v = Matrix::identity(n);
    if !a.is_finite() {
        return (vec![f64::NAN; n], Matrix::from_fn(n, n, |_, _| f64::NAN));
    }
    let negligible = f64::EPSILON * 1e-3 * a.norm();
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                if a[(p, q)].abs() <= negligible {
                    continue;
                }
                rotated = true;
                let rotation = matrix::jacobi_rotation(a[(p, p)], a[(p, q)], a[(q, q)]);
                a.rotate_columns(p, q, rotation);
                a.rotate_rows(p, q, rotation);
                (a[(p, q)], a[(q, p)]) = (0.0, 0.0);
                v.rotate_columns(p, q, rotation);
            }
        }
        if !rotated {
            break;
        }
    }
    let mut ascending: Vec<usize> = (0..n).collect();
    ascending.sort_by(|&i, &j| a[(i, i)].total_cmp(&a[(j, j)]));
    let values = ascending.iter().map(|&i| a[(i, i)]).collect();
    let signs: Vec<f64> = (0..n).map(|j| matrix::sign(&v.column(j))).collect();
    (values, Matrix::from_fn(n, n, |i, j| v[(i, ascending[j])] * signs[ascending[j]]))
}

impl Primitive for Eigh {
    fn name(&self) -> &'static str {
        "eigh"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let (batch, n) = matrix::order(self, x)?;
        Ok(vec![x.with_shape(matrix::shape(&batch, &[&n])), x.with_shape(matrix::shape(&batch, &[&n, &n]))])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shapes = checked::shapes(self, inputs)?;
        let (values, vectors): (Vec<Vec<f64>>, Vec<Matrix>) = matrix::matrices(inputs[0]).iter().map(decompose).unzip();
        let dtype = inputs[0].dtype();
        let vectors = vectors.into_iter().map(Matrix::into_values);
        Ok(vec![matrix::batch(dtype, &shapes[0], values), matrix::batch(dtype, &shapes[1], vectors)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        if cotangents.iter().all(Option::is_none) {
            return Ok(vec![None]);
        }
        // x̄ = V·(diag(w̄) + F∘(Vᵀ·V̄))·Vᵀ with F[i,j] = 1/(w[j] − w[i])
        let (w, v) = (node.outputs[0], node.outputs[1]);
        let vt = matrix::transposed(b, v);
        let of_values = cotangents[0].map(|dw| matrix::diagonal(b, dw, v));
        let of_vectors = cotangents[1].map(|dv| {
            let projected = matrix::matmul(b, vt, dv);
            let gaps = matrix::reciprocal_gaps(b, w, v);
            b.mul(gaps, projected)
        });
        let inner = match (of_values, of_vectors) {
            (Some(values), Some(vectors)) => b.add(values, vectors),
            (Some(inner), None) | (None, Some(inner)) => inner,
            (None, None) => return Ok(vec![None]),
        };
        let dx = matrix::matmul(b, v, inner);
        let dx = matrix::matmul(b, dx, vt);
        Ok(vec![Some(matrix::folded(b, dx))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(Eigh.into())
    }
}
