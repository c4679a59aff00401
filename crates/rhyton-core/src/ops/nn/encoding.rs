//! Classes as vectors: `one_hot` and `multi_hot`.

use rhyton_ir::DType;
use rhyton_ir::op::{Direction, ReduceKind};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::apply;
use crate::ops::axis as axis_of;
use crate::ops::class::operations;
use crate::ops::primitives::{compare, iota, reduced, restored};
use crate::tensor::Tensor;

operations! { MODULE;
    OneHot { num_classes: usize, axis: i64, dtype: Option<DType>, sparse: bool } (x) compute_one_hot;
    MultiHot { num_classes: usize, axis: i64, dtype: Option<DType>, sparse: bool } (inputs) compute_multi_hot;
}

/// 1 at the index that each element is, along a new `axis` (Keras's default is −1) of `num_classes`, else 0; zeros alone
/// for elements outside. `float32` unless `dtype` is given.
#[track_caller]
pub fn one_hot(x: &Tensor, num_classes: usize, axis: i64, dtype: Option<DType>) -> Tensor {
    let dtype = Some(dtype.unwrap_or_else(crate::config::floatx));
    apply(OneHot { num_classes, axis, dtype, sparse: false }, Args::new(x))
}

fn hot(x: &Tensor, num_classes: usize, axis: i64) -> Result<Tensor> {
    let x = x.cast(if x.dtype() == DType::I64 { DType::I64 } else { DType::I32 });
    let axis = axis_of(axis, x.rank() + 1)?;
    let mut shape = x.shape().clone().into_vec();
    shape.insert(axis, num_classes.into());
    let shape = shape.into();
    Ok(compare(Direction::Eq, &restored(&x, &shape, &[axis]), &iota(x.dtype(), shape, axis)))
}

fn dense(sparse: bool) -> Result<()> {
    if !sparse {
        return Ok(());
    }
    Err(Error::unsupported("one_hot", "sparse tensors", "leave sparse false"))
}

fn compute_one_hot(op: &OneHot, x: Tensor) -> Result<Tensor> {
    dense(op.sparse)?;
    Ok(hot(&x, op.num_classes, op.axis)?.cast(op.dtype.unwrap_or_else(crate::config::floatx)))
}

/// 1 at every index that is among the elements of a row, else 0: [`one_hot`], and then the largest over the elements
/// (the second axis, or the only one of a vector).
#[track_caller]
pub fn multi_hot(inputs: &Tensor, num_classes: usize, axis: i64, dtype: Option<DType>) -> Tensor {
    let dtype = Some(dtype.unwrap_or_else(crate::config::floatx));
    apply(MultiHot { num_classes, axis, dtype, sparse: false }, Args::new(inputs))
}

fn compute_multi_hot(op: &MultiHot, x: Tensor) -> Result<Tensor> {
    dense(op.sparse)?;
    let over = usize::from(x.rank() > 1);
    let found = reduced(ReduceKind::Or, &hot(&x, op.num_classes, op.axis)?, &[over]);
    Ok(found.cast(op.dtype.unwrap_or_else(crate::config::floatx)))
}
