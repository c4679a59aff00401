//! `dot_general`: products of matrices with any batch and contracted axes.

use serde::{Deserialize, Serialize};

use super::{Applied, Op, Primitive, Sample, checked, operands, places};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// `out[batch, lhs free, rhs free] = Σ lhs · rhs` over the contracted axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DotGeneral {
    /// Batch axes of the left operand.
    pub lhs_batch: Vec<usize>,
    /// Batch axes of the right operand, paired with those.
    pub rhs_batch: Vec<usize>,
    /// Contracted axes of the left operand.
    pub lhs_contract: Vec<usize>,
    /// Contracted axes of the right operand, paired with those.
    pub rhs_contract: Vec<usize>,
}

impl DotGeneral {
    /// The product of matrices in the last two axes, `(…, m, k)` by `(…, k, n)`, for operands of `rank`.
    pub fn matmul(rank: usize) -> DotGeneral {
        let batch: Vec<usize> = (0..rank.saturating_sub(2)).collect();
        DotGeneral {
            lhs_batch: batch.clone(),
            rhs_batch: batch,
            lhs_contract: vec![rank.saturating_sub(1)],
            rhs_contract: vec![rank.saturating_sub(2)],
        }
    }

    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let floats = |shape: &[usize], seed: usize| {
            let n = shape.iter().product::<usize>();
            Array::new(shape, (0..n).map(|i| ((i * 7 + seed) % 13) as f64 * 0.25 - 1.4).collect::<Vec<f64>>())
        };
        let dims =
            |lhs_batch: &[usize], rhs_batch: &[usize], lhs_contract: &[usize], rhs_contract: &[usize]| DotGeneral {
                lhs_batch: lhs_batch.to_vec(),
                rhs_batch: rhs_batch.to_vec(),
                lhs_contract: lhs_contract.to_vec(),
                rhs_contract: rhs_contract.to_vec(),
            };
        let integers = Array::new([2, 2], vec![100i8, 2, -3, 4]);
        vec![
            Sample::new(DotGeneral::matmul(2), [floats(&[2, 3], 1), floats(&[3, 4], 5)]),
            Sample::new(dims(&[1, 2], &[0, 3], &[3, 0], &[2, 1]), [floats(&[3, 2, 2, 4], 2), floats(&[2, 3, 4, 2], 3)]),
            Sample::new(dims(&[0], &[2], &[], &[]), [floats(&[2, 3], 4), floats(&[2, 1, 2], 6)]),
            Sample::new(dims(&[], &[], &[0, 1], &[1, 0]), [floats(&[2, 3], 0), floats(&[3, 2], 8)]),
            Sample::new(dims(&[], &[], &[1], &[0]), [floats(&[2, 0], 0), floats(&[0, 3], 0)]),
            Sample::new(DotGeneral::matmul(2), [integers.clone(), integers]),
        ]
    }

    fn free(&self, lhs_rank: usize, rhs_rank: usize) -> (Vec<usize>, Vec<usize>) {
        let lhs = places::other_axes(lhs_rank, &[&self.lhs_batch, &self.lhs_contract]);
        (lhs, places::other_axes(rhs_rank, &[&self.rhs_batch, &self.rhs_contract]))
    }
}

/// `Σ x · y`, rounded once.
pub(super) fn sum_of_products<T: Element>(pairs: impl Iterator<Item = (T, T)>) -> T {
    if T::DTYPE.is_float() {
        T::from_f64(pairs.fold(0.0, |sum, (x, y)| sum + x.to_f64() * y.to_f64()))
    } else {
        let wrapping = |sum: i128, (x, y): (T, T)| sum.wrapping_add(x.to_i128().wrapping_mul(y.to_i128()));
        T::from_i128(pairs.fold(0, wrapping))
    }
}

impl Primitive for DotGeneral {
    fn name(&self) -> &'static str {
        "dot_general"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [lhs, rhs] = operands(self, inputs)?;
        checked::same_dtype(self, lhs, rhs)?;
        checked::number(self, lhs)?;
        if self.lhs_batch.len() != self.rhs_batch.len() || self.lhs_contract.len() != self.rhs_contract.len() {
            return Err(Error::argument(self.name(), format!("{self:?}"), "pair every batch and contracted axis"));
        }
        checked::axes(self, "left axes", &[&self.lhs_batch[..], &self.lhs_contract].concat(), lhs.rank())?;
        checked::axes(self, "right axes", &[&self.rhs_batch[..], &self.rhs_contract].concat(), rhs.rank())?;
        let paired = self.lhs_contract.iter().zip(&self.rhs_contract);
        for (&l, &r) in self.lhs_batch.iter().zip(&self.rhs_batch).chain(paired) {
            if !lhs.shape[l].compatible(&rhs.shape[r]) {
                return Err(Error::shape(
                    self.name(),
                    format!("axis {l} of {lhs} and axis {r} of {rhs} are paired but differ in size"),
                    "make them equal or pair other axes",
                ));
            }
        }
        let batch =
            self.lhs_batch.iter().zip(&self.rhs_batch).map(|(&l, &r)| {
                if lhs.shape[l].known().is_some() { lhs.shape[l].clone() } else { rhs.shape[r].clone() }
            });
        let (lhs_free, rhs_free) = self.free(lhs.rank(), rhs.rank());
        let free = lhs_free.iter().map(|&a| lhs.shape[a].clone()).chain(rhs_free.iter().map(|&a| rhs.shape[a].clone()));
        Ok(vec![lhs.with_shape(batch.chain(free).collect::<Shape>())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        fn dot<T: Element>(op: &DotGeneral, lhs: &Array, rhs: &Array, to: &[usize]) -> Array {
            let (x, y) = (checked::values::<T>(lhs), checked::values::<T>(rhs));
            let (lhs_free, rhs_free) = op.free(lhs.rank(), rhs.rank());
            let contracted: Vec<usize> = op.lhs_contract.iter().map(|&a| lhs.shape()[a]).collect();
            let inner: Vec<Vec<usize>> = super::indices(&contracted).collect();
            let out = super::indices(to).map(|index| {
                let (mut l, mut r) = (vec![0; lhs.rank()], vec![0; rhs.rank()]);
                let (batch, free) = index.split_at(op.lhs_batch.len());
                batch.iter().enumerate().for_each(|(k, &i)| (l[op.lhs_batch[k]], r[op.rhs_batch[k]]) = (i, i));
                let (of_lhs, of_rhs) = free.split_at(lhs_free.len());
                lhs_free.iter().zip(of_lhs).for_each(|(&a, &i)| l[a] = i);
                rhs_free.iter().zip(of_rhs).for_each(|(&a, &i)| r[a] = i);
                sum_of_products(inner.iter().map(|inner| {
                    inner
                        .iter()
                        .enumerate()
                        .for_each(|(k, &i)| (l[op.lhs_contract[k]], r[op.rhs_contract[k]]) = (i, i));
                    (x[places::offset(lhs.shape(), &l)], y[places::offset(rhs.shape(), &r)])
                }))
            });
            Array::new(to, out.collect::<Vec<T>>())
        }
        let to = checked::shapes(self, inputs)?.remove(0);
        let (lhs, rhs) = (inputs[0], inputs[1]);
        Ok(vec![crate::with_element!(lhs.dtype(), T => dot::<T>(self, lhs, rhs, &to))])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let [lhs, rhs] = *operands(self, &node.inputs)?;
        let Some(dy) = cotangents[0].filter(|_| b.dtype(lhs).is_float()) else { return Ok(vec![None, None]) };
        let batch = self.lhs_batch.len();
        let (lhs_free, rhs_free) = self.free(b.shape(lhs).rank(), b.shape(rhs).rank());
        let dy_batch: Vec<usize> = (0..batch).collect();
        let dy_lhs: Vec<usize> = (batch..batch + lhs_free.len()).collect();
        let dy_rhs: Vec<usize> = (batch + lhs_free.len()..batch + lhs_free.len() + rhs_free.len()).collect();
        // Contracting the other side's free axes leaves batch, own free axes and the other's contracted axes, these in
        // the other's order; then everything goes where it came from.
        let mut side =
            |own: [&[usize]; 3], other: Value, other_axes: [&[usize]; 3], dy_own: usize, dy_other: &[usize]| {
                let [own_batch, own_free, own_contract] = own;
                let [other_batch, other_free, other_contract] = other_axes;
                let dims = DotGeneral {
                    lhs_batch: dy_batch.clone(),
                    rhs_batch: other_batch.to_vec(),
                    lhs_contract: dy_other.to_vec(),
                    rhs_contract: other_free.to_vec(),
                };
                let product = b.dot_general(dims, dy, other);
                let mut permutation = vec![0; own_batch.len() + own_free.len() + own_contract.len()];
                own_batch.iter().enumerate().for_each(|(k, &a)| permutation[a] = k);
                own_free.iter().enumerate().for_each(|(k, &a)| permutation[a] = batch + k);
                for (k, &a) in own_contract.iter().enumerate() {
                    permutation[a] = batch + dy_own + other_contract.iter().filter(|&&c| c < other_contract[k]).count();
                }
                b.transpose(product, &permutation)
            };
        let lhs_axes = [&self.lhs_batch[..], &lhs_free, &self.lhs_contract];
        let rhs_axes = [&self.rhs_batch[..], &rhs_free, &self.rhs_contract];
        let dl = node.wanted[0].then(|| side(lhs_axes, rhs, rhs_axes, lhs_free.len(), &dy_rhs));
        let dr = node.wanted[1].then(|| side(rhs_axes, lhs, lhs_axes, rhs_free.len(), &dy_lhs));
        Ok(vec![dl, dr])
    }

    fn bind(&self, _: &Bindings) -> Result<Op> {
        Ok(self.clone().into())
    }
}
