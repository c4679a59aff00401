//! Products that contract axes: `matmul`, `dot`, `tensordot`, `outer`, …

use rhyton_ir::op::DotGeneral;
use rhyton_ir::{DType, Dim, Shape};
use serde::{Deserialize, Serialize};

use super::MODULE;
use super::arithmetic::{broadcast, broadcast_shapes};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{binary_operations, operations, strong};
use crate::ops::primitives::{reshaped, sliced};
use crate::ops::{Axes, Operand, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

/// Both as tensors of the dtype to which they promote.
fn together(x: &Operand, y: &Operand) -> Result<(Tensor, Tensor)> {
    let (x, y) = (strong(x), strong(y));
    let dtype = match promote(x.check()?.dtype(), y.check()?.dtype()) {
        DType::Bool => DType::I32,
        other => other,
    };
    Ok((x.cast(dtype), y.cast(dtype)))
}

binary_operations! { MODULE;
    /// The product over the last axis of `x1` and the last but one of `x2` (its only one, if a vector); other axes are
    /// batches that broadcast. Of two `int8` matrices it is `int32`.
    ///
    /// # Shapes
    /// `(…, m, k) · (…, k, n)` gives `(…, m, n)`; a vector on the left loses `m`, one on the right loses `n`.
    matmul Matmul |x, y| {
        let (x, y) = together(x, y)?;
        let widened = x.dtype() == DType::I8 && x.rank() != 1 && y.rank() != 1;
        let wide = |t: Tensor| if widened { t.cast(DType::I32) } else { t };
        product(&wide(x), &wide(y))
    };
    /// The product over the last axis of `x1` and the last but one of `x2` (its only one, if a vector), of all others with
    /// all others; of a scalar the elementwise product.
    dot Dot |x, y| {
        let (x, y) = together(x, y)?;
        if x.rank() == 0 || y.rank() == 0 {
            return Ok(super::multiply(&x, &y));
        }
        contract(&x, &y, vec![x.rank() - 1], vec![y.rank().saturating_sub(2)])
    };
    /// The product over the last axes of both, of all others with all others; of a scalar the elementwise product.
    inner Inner |x, y| {
        let (x, y) = together(x, y)?;
        if x.rank() == 0 || y.rank() == 0 {
            return Ok(super::multiply(&x, &y));
        }
        contract(&x, &y, vec![x.rank() - 1], vec![y.rank() - 1])
    };
    /// The sum of the products of all elements of one with those of the other, in order.
    vdot Vdot |x, y| {
        let (x, y) = together(x, y)?;
        contract(&super::ravel(&x), &super::ravel(&y), vec![0], vec![0])
    };
    /// Every element of `x1` with every element of `x2`, both flattened: `(m, n)`.
    outer Outer |x, y| {
        let (x, y) = together(x, y)?;
        let (m, n) = (x.shape().elements(), y.shape().elements());
        Ok(super::multiply(reshaped(&x, vec![m, Dim::Known(1)]), reshaped(&y, [n])))
    };
    /// The Kronecker product: `x2` times each element of `x1` in its place.
    kron Kron |x, y| {
        let (x, y) = together(x, y)?;
        let rank = x.rank().max(y.rank());
        let padded = |t: &Tensor| -> Vec<Dim> {
            vec![Dim::Known(1); rank - t.rank()].into_iter().chain(t.shape().iter().cloned()).collect()
        };
        let (xs, ys) = (padded(&x), padded(&y));
        let spread = |sizes: &[Dim], before: bool| -> Shape {
            let pair = |d: &Dim| if before { [d.clone(), Dim::Known(1)] } else { [Dim::Known(1), d.clone()] };
            sizes.iter().flat_map(pair).collect()
        };
        let products = super::multiply(reshaped(&x, spread(&xs, true)), reshaped(&y, spread(&ys, false)));
        let shape: Shape = xs.into_iter().zip(ys).map(|(a, b)| a * b).collect();
        Ok(reshaped(&products, shape))
    };
}

fn wrong(op: &str, x: &Tensor, y: &Tensor) -> Error {
    Error::shape(
        op,
        format!("the shapes {} and {} do not multiply", x.shape(), y.shape()),
        "make the contracted sizes equal (the last axis of the first, the last but one of the second)",
    )
}

/// The sum over pairs of axes, of all others with all others.
fn contract(x: &Tensor, y: &Tensor, lhs_contract: Vec<usize>, rhs_contract: Vec<usize>) -> Result<Tensor> {
    if !lhs_contract.iter().zip(&rhs_contract).all(|(&a, &b)| x.shape()[a].compatible(&y.shape()[b])) {
        return Err(wrong("product", x, y));
    }
    let dims = DotGeneral { lhs_batch: vec![], rhs_batch: vec![], lhs_contract, rhs_contract };
    Tensor::apply(dims, &[x, y]).check().cloned()
}

fn product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let contracted = if y.rank() == 1 { y.dim(0) } else { y.dim(-2) };
    if x.rank() == 0 || y.rank() == 0 || !x.dim(-1).compatible(&contracted) {
        return Err(wrong("matmul", x, y));
    }
    if y.rank() <= 2 || x.rank() == 1 {
        // One product over all rows of x, or a vector with every matrix of y.
        return contract(x, y, vec![x.rank() - 1], vec![y.rank().saturating_sub(2)]);
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

/// Which axes [`tensordot`] contracts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Contraction {
    /// So many: the last of the first operand with the first of the second.
    Count(usize),
    /// These of the first operand with those of the second.
    Pairs(Axes, Axes),
}

impl From<usize> for Contraction {
    fn from(count: usize) -> Contraction {
        Contraction::Count(count)
    }
}

impl<A: Into<Axes>, B: Into<Axes>> From<(A, B)> for Contraction {
    fn from((x, y): (A, B)) -> Contraction {
        Contraction::Pairs(x.into(), y.into())
    }
}

operations! { MODULE;
    Tensordot { axes: Contraction } (x1, x2) compute_tensordot;
    Cross { axisa: i64, axisb: i64, axisc: i64, axis: Option<i64> } (x1, x2) compute_cross;
}

/// The product over `axes` (Keras's default is 2): so many of the last of `x1` with the first of `x2`, or pairs of axes.
#[track_caller]
pub fn tensordot(x1: &Tensor, x2: &Tensor, axes: impl Into<Contraction>) -> Tensor {
    apply(Tensordot { axes: axes.into() }, Args::new(x1).and(x2))
}

fn compute_tensordot(op: &Tensordot, x: Operand, y: Operand) -> Result<Tensor> {
    let (x, y) = together(&x, &y)?;
    let named = |axes: &Axes, t: &Tensor| -> Result<Vec<usize>> {
        axes.resolve(t.rank())?;
        match axes {
            Axes::All => Ok((0..t.rank()).collect()),
            Axes::One(a) => Ok(vec![axis_of(*a, t.rank())?]),
            Axes::Many(axes) => axes.iter().map(|&a| axis_of(a, t.rank())).collect(),
        }
    };
    let (lhs, rhs) = match &op.axes {
        Contraction::Count(n) if *n <= x.rank() && *n <= y.rank() => {
            ((x.rank() - n..x.rank()).collect(), (0..*n).collect())
        }
        Contraction::Count(n) => {
            return Err(Error::argument(
                "tensordot",
                format!("{n} axes of {} and {}", x.ty(), y.ty()),
                "give as many as both have",
            ));
        }
        Contraction::Pairs(a, b) => (named(a, &x)?, named(b, &y)?),
    };
    if lhs.len() != rhs.len() {
        return Err(Error::argument(
            "tensordot",
            format!("{} axes of one and {} of the other", lhs.len(), rhs.len()),
            "pair them",
        ));
    }
    contract(&x, &y, lhs, rhs)
}

/// The cross product of vectors of 3 (or 2, whose third component is 0) along `axisa` of `x1` and `axisb` of `x2`, as
/// `axisc` of the result (Keras's defaults are −1); `axis` stands for all three. Of two vectors of 2 only the third
/// component, without the axis.
#[track_caller]
pub fn cross(x1: &Tensor, x2: &Tensor, axisa: i64, axisb: i64, axisc: i64, axis: Option<i64>) -> Tensor {
    apply(Cross { axisa, axisb, axisc, axis }, Args::new(x1).and(x2))
}

fn compute_cross(op: &Cross, x: Operand, y: Operand) -> Result<Tensor> {
    let (x, y) = together(&x, &y)?;
    let (a, b, c) = op.axis.map_or((op.axisa, op.axisb, op.axisc), |axis| (axis, axis, axis));
    let (x, y) = (super::moveaxis(&x, a, -1), super::moveaxis(&y, b, -1));
    let (x, y) = (x.check()?, y.check()?);
    let size = |t: &Tensor| t.dim(-1).known().filter(|n| (2..=3).contains(n));
    let (Some(nx), Some(ny)) = (size(x), size(y)) else {
        return Err(Error::shape("cross", format!("vectors along {} and {}", x.ty(), y.ty()), "make them of 2 or 3"));
    };
    let part = |t: &Tensor, i: usize| sliced(t, t.rank() - 1, i, i + 1);
    let third = |(i, j): (usize, usize)| part(x, i) * part(y, j) - part(x, j) * part(y, i);
    let z = third((0, 1));
    if nx == 2 && ny == 2 {
        return Ok(super::squeeze(&z, -1));
    }
    let (px, py) = match (nx, ny) {
        (3, 3) => (third((1, 2)), third((2, 0))),
        // With a third component of 0.
        (3, _) => (super::negative(&(part(x, 2) * part(y, 1))), part(x, 2) * part(y, 0)),
        _ => (part(x, 1) * part(y, 2), super::negative(&(part(x, 0) * part(y, 2)))),
    };
    Ok(super::moveaxis(&super::concatenate(&[px, py, z], -1), -1, c))
}
