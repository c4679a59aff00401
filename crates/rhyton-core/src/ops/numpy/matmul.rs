//! `matmul`: products of matrices, batched.

use rhyton_ir::op::DotGeneral;
use rhyton_ir::{Dim, Shape};
use serde::{Deserialize, Serialize};

use super::MODULE;
use super::arithmetic::{broadcast, broadcast_shapes, pair, two};
use crate::error::{Error, Result};
use crate::keras_object;
use crate::nest::{Args, Nest};
use crate::ops::{Operand, Operation, apply};
use crate::promotion::result_type;
use crate::tensor::Tensor;

/// The product over the last axis of `x` and the last but one of `y` (its only one, if a vector); other axes are batches
/// that broadcast.
///
/// # Shapes
/// `(…, m, k) · (…, k, n)` gives `(…, m, n)`; a vector on the left loses `m`, one on the right loses `n`.
#[track_caller]
pub fn matmul(x: impl Into<Operand>, y: impl Into<Operand>) -> Tensor {
    apply(Matmul {}, pair(x, y))
}

/// The class of [`matmul`] in configurations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matmul {}
keras_object!(Matmul);

impl Operation for Matmul {
    fn module(&self) -> &'static str {
        MODULE
    }

    fn compute(&self, args: &Args) -> Result<Nest> {
        let (x, y) = two(args)?;
        let dtype = result_type(&[&x, &y]);
        let (x, y) = (x.to_tensor(dtype), y.to_tensor(dtype));
        Ok(product(x.check()?, y.check()?)?.into())
    }
}

fn product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let inner = |t: &Tensor, axis: isize| t.dim(axis);
    let contracted = if y.rank() == 1 { inner(y, 0) } else { inner(y, -2) };
    if x.rank() == 0 || y.rank() == 0 || !x.dim(-1).compatible(&contracted) {
        return Err(Error::shape(
            "matmul",
            format!("the shapes {} and {} do not multiply", x.shape(), y.shape()),
            "make the last axis of the first as long as the last but one of the second",
        ));
    }
    if y.rank() <= 2 {
        // One product over all rows of x.
        let dims = DotGeneral {
            lhs_batch: vec![],
            rhs_batch: vec![],
            lhs_contract: vec![x.rank() - 1],
            rhs_contract: vec![y.rank().saturating_sub(2)],
        };
        return Tensor::apply(dims, &[x, y]).check().cloned();
    }
    if x.rank() == 1 {
        // (k) · (…, k, n): contract, leaving (…, n).
        let dims = DotGeneral {
            lhs_batch: vec![],
            rhs_batch: vec![],
            lhs_contract: vec![0],
            rhs_contract: vec![y.rank() - 2],
        };
        return Tensor::apply(dims, &[x, y]).check().cloned();
    }
    let split = |t: &Tensor| -> (Shape, Vec<Dim>) {
        let at = t.rank() - 2;
        (t.shape()[..at].iter().cloned().collect(), t.shape()[at..].to_vec())
    };
    let ((xb, xm), (yb, ym)) = (split(x), split(y));
    let batch = broadcast_shapes(&[&xb, &yb])?;
    let full = |m: Vec<Dim>| -> Shape { batch.iter().cloned().chain(m).collect() };
    let (x, y) = (broadcast(x, &full(xm)), broadcast(y, &full(ym)));
    let n = batch.rank();
    let dims = DotGeneral {
        lhs_batch: (0..n).collect(),
        rhs_batch: (0..n).collect(),
        lhs_contract: vec![n + 1],
        rhs_contract: vec![n],
    };
    Tensor::apply(dims, &[&x, &y]).check().cloned()
}
