//! `triangular_solve`: solutions of triangular systems.

use serde::{Deserialize, Serialize};

use super::matrix::{self, Matrix};
use super::{Applied, Direction, Op, Primitive, Sample, checked, operands};
use crate::array::Array;
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// Solves `op(a)·x = b` (or `x·op(a) = b` unless `left`), `op` the transpose if `transpose`; batch axes are equal.
///
/// Operands: `a (…, n, n)` and `b (…, n, k)`, or `b (…, k, n)` unless `left`. A zero on the diagonal gives infinities
/// or NaN. The gradient of the triangle that is not read is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriangularSolve {
    /// `a` stands left of `x`.
    pub left: bool,
    /// `a` is lower triangular; the other triangle is not read.
    pub lower: bool,
    /// `a` is transposed.
    pub transpose: bool,
    /// The diagonal of `a` is taken as ones.
    pub unit_diagonal: bool,
}

impl TriangularSolve {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let a = Array::new([3, 3], vec![2.0f64, 0.5, -0.7, 0.3, -1.5, 0.9, 1.1, -0.4, 1.25]);
        let tall = Array::new([3, 2], vec![1.0f64, -2.0, 0.5, 3.0, -1.5, 0.75]);
        let wide = Array::new([2, 3], vec![1.0f64, -2.0, 0.5, 3.0, -1.5, 0.75]);
        let mut samples = Vec::new();
        for bits in 0..16 {
            let [left, lower, transpose, unit_diagonal] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let op = TriangularSolve { left, lower, transpose, unit_diagonal };
            samples.push(Sample::new(op, [a.clone(), if left { tall.clone() } else { wide.clone() }]));
        }
        let op = TriangularSolve { left: true, lower: true, transpose: false, unit_diagonal: false };
        let batch = Array::new([2, 2, 2], vec![2.0f64, 0.0, 1.0, -1.0, 0.5, 0.0, 3.0, 4.0]);
        samples.push(Sample::new(op, [batch, Array::new([2, 2, 1], vec![1.0f64, 2.0, 3.0, 4.0])]));
        samples
    }

    /// Substitution. A system with `a` on the right is the transposed one.
    fn substitute(&self, a: &Matrix, b: &Matrix) -> Matrix {
        if !self.left {
            let mirrored = TriangularSolve { left: true, transpose: !self.transpose, ..self.clone() };
            return mirrored.substitute(a, &b.transposed()).transposed();
        }
        let n = a.rows;
        let a = |i: usize, j: usize| if self.transpose { a[(j, i)] } else { a[(i, j)] };
        let forward = self.lower != self.transpose;
        let mut x = b.clone();
        for step in 0..n {
            let i = if forward { step } else { n - 1 - step };
            let solved = if forward { 0..i } else { i + 1..n };
            for c in 0..x.columns {
                let rest = x[(i, c)] - solved.clone().map(|j| a(i, j) * x[(j, c)]).sum::<f64>();
                x[(i, c)] = if self.unit_diagonal { rest } else { rest / a(i, i) };
            }
        }
        x
    }
}

impl Primitive for TriangularSolve {
    fn name(&self) -> &'static str {
        "triangular_solve"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [a, y] = operands(self, inputs)?;
        checked::same_dtype(self, a, y)?;
        let (batch, n) = matrix::order(self, a)?;
        let (of_y, rows, columns) = matrix::sizes(self, y)?;
        let side = if self.left { &rows } else { &columns };
        let (batch, of_y) = (Shape::from(batch), Shape::from(of_y));
        if !batch.compatible(&of_y) || !side.compatible(&n) {
            return Err(Error::shape(
                self.name(),
                format!(
                    "the right-hand sides {y} for the systems {a} with the matrix on the {}",
                    if self.left { "left" } else { "right" }
                ),
                format!("give equal batch axes and {n} {}", if self.left { "rows" } else { "columns" }),
            ));
        }
        let batch = batch.merge(&of_y);
        Ok(vec![y.with_shape(if self.left {
            matrix::shape(&batch, &[&n, &columns])
        } else {
            matrix::shape(&batch, &[&rows, &n])
        })])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let shape = checked::shapes(self, inputs)?.remove(0);
        let pairs = matrix::matrices(inputs[0]).into_iter().zip(matrix::matrices(inputs[1]));
        let solutions = pairs.map(|(a, b)| self.substitute(&a, &b).into_values());
        Ok(vec![matrix::batch(inputs[0].dtype(), &shape, solutions)])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let Some(dx) = cotangents[0] else { return Ok(vec![None, None]) };
        let (a, x) = (node.inputs[0], node.outputs[0]);
        // The cotangent of b solves the transposed system; that of op(a) is −b̄·xᵀ, or −xᵀ·b̄ from the right.
        let db = matrix::solve(b, TriangularSolve { transpose: !self.transpose, ..self.clone() }, a, dx);
        let da = node.wanted[0].then(|| {
            let (dbt, xt) = (matrix::transposed(b, db), matrix::transposed(b, x));
            let product = match (self.left, self.transpose) {
                (true, false) => matrix::matmul(b, db, xt),
                (true, true) => matrix::matmul(b, x, dbt),
                (false, false) => matrix::matmul(b, xt, db),
                (false, true) => matrix::matmul(b, dbt, x),
            };
            let read = match (self.lower, self.unit_diagonal) {
                (true, false) => Direction::Ge,
                (true, true) => Direction::Gt,
                (false, false) => Direction::Le,
                (false, true) => Direction::Lt,
            };
            let da = matrix::part(b, product, read);
            b.neg(da)
        });
        Ok(vec![da, Some(db)])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
