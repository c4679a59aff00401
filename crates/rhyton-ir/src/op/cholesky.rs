//! `cholesky`: the lower factor of positive definite matrices.

use serde::{Deserialize, Serialize};

use super::matrix::{self, Matrix};
use super::{Applied, Direction, Op, Primitive, Sample, TriangularSolve, checked, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::Result;
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// `L` with `x = L·Lᵀ` for `x (…, n, n)`; reads the lower triangle; NaN where `x` is not positive definite.
///
/// The lower triangle of such a factor is NaN, the upper one 0. The gradient is that of the elements that are read:
/// 0 above the diagonal.
///
/// # References
/// Gradient: Murray, *Differentiation of the Cholesky decomposition*, 2016, <https://arxiv.org/abs/1602.07527>, eq. 10.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cholesky;

impl Cholesky {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = vec![4.0f64, 9.0, 9.0, 1.5, 5.0, 9.0, -0.5, 0.75, 3.0];
        let y = vec![2.0f64, 0.3, -0.4, 0.3, 1.5, 0.2, -0.4, 0.2, 1.0];
        vec![
            Sample::new(Cholesky, [Array::new([3, 3], x.clone())]),
            Sample::new(Cholesky, [Array::new([2, 3, 3], [x, y].concat())]),
            Sample::new(Cholesky, [Array::new([2, 2], vec![4.0f32, 0.0, 2.0, 2.0])]),
        ]
    }
}

/// The algorithm of Cholesky and Banachiewicz: row by row.
fn factor(x: &Matrix) -> Matrix {
    let n = x.rows;
    let mut l = Matrix::from_fn(n, n, |_, _| 0.0);
    for i in 0..n {
        for j in 0..=i {
            let rest = x[(i, j)] - (0..j).map(|k| l[(i, k)] * l[(j, k)]).sum::<f64>();
            if i > j {
                l[(i, j)] = rest / l[(j, j)];
            } else if rest > 0.0 {
                l[(i, i)] = rest.sqrt();
            } else {
                return Matrix::from_fn(n, n, |i, j| if i >= j { f64::NAN } else { 0.0 });
            }
        }
    }
    l
}

impl Primitive for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let (batch, n) = matrix::order(self, x)?;
        Ok(vec![x.with_shape(matrix::shape(&batch, &[&n, &n]))])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shape = checked::shapes(self, inputs)?.remove(0);
        let factors = matrix::matrices(inputs[0]).into_iter().map(|x| factor(&x).into_values());
        Ok(vec![matrix::batch(inputs[0].dtype(), &shape, factors)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dl) = cotangents[0] else { return Ok(vec![None]) };
        let l = node.outputs[0];
        // S = L⁻ᵀ · Φ(Lᵀ·L̄) · L⁻¹, where Φ takes the lower triangle with half of the diagonal.
        let dl = matrix::part(b, dl, Direction::Ge);
        let lt = matrix::transposed(b, l);
        let product = matrix::matmul(b, lt, dl);
        let phi = matrix::lower_half(b, product);
        let from_left = TriangularSolve { left: true, lower: true, transpose: true, unit_diagonal: false };
        let from_right = TriangularSolve { left: false, transpose: false, ..from_left.clone() };
        let s = matrix::solve(b, from_left, l, phi);
        let s = matrix::solve(b, from_right, l, s);
        Ok(vec![Some(matrix::folded(b, s))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(Cholesky.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_positive_definite_is_nan() {
        let x = Array::new([2, 2, 2], vec![1.0f64, 0.0, 2.0, 1.0, 4.0, 0.0, 2.0, 2.0]);
        let l = Cholesky.eval(&[&x]).unwrap().remove(0).to_f64_vec();
        assert!(l[0].is_nan() && l[1] == 0.0 && l[3].is_nan());
        assert_eq!(l[4..], [2.0, 0.0, 1.0, 1.0]);
    }
}
