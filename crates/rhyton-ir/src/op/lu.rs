//! `lu`: factors of square matrices with partial pivoting.

use serde::{Deserialize, Serialize};

use super::matrix::{self, Matrix};
use super::{Applied, Combine, Direction, Op, Primitive, Sample, Scatter, TriangularSolve, checked, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Value;
use crate::shape::{Bindings, TensorType};

/// Outputs: `lu (…, n, n)` (unit lower and upper factors in one), `permutation int32 (…, n)`: row `i` of `P·x` is row
/// `permutation[i]` of `x`, with `P·x = L·U`.
///
/// The pivot is the first of the largest elements in magnitude. A column of zeros is passed over, as in LAPACK.
///
/// # References
/// Gradient: from `L⁻¹·P·dx·U⁻¹ = L⁻¹·dL + dU·U⁻¹`, whose terms are strictly lower and upper triangular; as in
/// de Hoog, Anderssen and Lukas, *Differentiation of matrix functionals using triangular factorization*, 2011,
/// <https://doi.org/10.1090/S0025-5718-2011-02451-8>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lu;

impl Lu {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = vec![0.5f64, 2.0, -1.0, 3.0, 0.25, 1.5, -1.25, 0.75, 2.5];
        let y = vec![2.0f64, 1.0, 0.5, 0.4, -1.0, 3.0, 1.0, 2.0, 0.3];
        vec![
            Sample::new(Lu, [Array::new([3, 3], x.clone())]),
            Sample::new(Lu, [Array::new([2, 3, 3], [x, y].concat())]),
            Sample::new(Lu, [Array::new([2, 2], vec![0.0f32, 1.0, 0.0, 2.0])]),
        ]
    }
}

/// Gaussian elimination.
fn factor(mut x: Matrix) -> (Matrix, Vec<usize>) {
    let n = x.rows;
    let mut permutation: Vec<usize> = (0..n).collect();
    for k in 0..n {
        let pivot = (k..n).fold(k, |best, i| if x[(i, k)].abs() > x[(best, k)].abs() { i } else { best });
        if pivot != k {
            permutation.swap(k, pivot);
            for j in 0..n {
                (x[(k, j)], x[(pivot, j)]) = (x[(pivot, j)], x[(k, j)]);
            }
        }
        if x[(k, k)] == 0.0 {
            continue;
        }
        for i in k + 1..n {
            x[(i, k)] /= x[(k, k)];
            for j in k + 1..n {
                x[(i, j)] -= x[(i, k)] * x[(k, j)];
            }
        }
    }
    (x, permutation)
}

impl Primitive for Lu {
    fn name(&self) -> &'static str {
        "lu"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x] = operands(self, inputs)?;
        let (batch, n) = matrix::order(self, x)?;
        let permutation = TensorType::new(DType::I32, matrix::shape(&batch, &[&n]));
        Ok(vec![x.with_shape(matrix::shape(&batch, &[&n, &n])), permutation])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shapes = checked::shapes(self, inputs)?;
        let (factors, permutations): (Vec<Matrix>, Vec<Vec<usize>>) =
            matrix::matrices(inputs[0]).into_iter().map(factor).unzip();
        let rows: Vec<i32> = permutations.into_iter().flatten().map(|row| row as i32).collect();
        let factors = factors.into_iter().map(Matrix::into_values);
        Ok(vec![matrix::batch(inputs[0].dtype(), &shapes[0], factors), Array::new(shapes[1].clone(), rows)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(d) = cotangents[0] else { return Ok(vec![None]) };
        let (x, lu, permutation) = (node.inputs[0], node.outputs[0], node.outputs[1]);
        let (shape, rank) = (b.shape(x), b.shape(x).rank());
        // P·x̄ = L⁻ᵀ · (tril₋₁(Lᵀ·L̄) + triu(Ū·Uᵀ)) · U⁻ᵀ
        let strict = matrix::part(b, lu, Direction::Gt);
        let ones = b.full_like(lu, 1.0);
        let identity = matrix::part(b, ones, Direction::Eq);
        let lower = b.add(strict, identity);
        let upper = matrix::part(b, lu, Direction::Le);
        let (lt, ut) = (matrix::transposed(b, lower), matrix::transposed(b, upper));
        let (dl, du) = (matrix::part(b, d, Direction::Gt), matrix::part(b, d, Direction::Le));
        let of_lower = matrix::matmul(b, lt, dl);
        let of_lower = matrix::part(b, of_lower, Direction::Gt);
        let of_upper = matrix::matmul(b, du, ut);
        let of_upper = matrix::part(b, of_upper, Direction::Le);
        let inner = b.add(of_lower, of_upper);
        let by_lower = TriangularSolve { left: true, lower: true, transpose: true, unit_diagonal: true };
        let by_upper = TriangularSolve { left: false, lower: false, transpose: true, unit_diagonal: false };
        let permuted = matrix::solve(b, by_lower, lu, inner);
        let permuted = matrix::solve(b, by_upper, lu, permuted);
        let rows = b.restore(permutation, &shape, &[rank - 1]);
        let zero = b.zeros_like(x);
        Ok(vec![Some(b.push(Scatter::along_axis(rank, rank - 2, Combine::Add), &[zero, rows, permuted]))])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(Lu.into())
    }
}
