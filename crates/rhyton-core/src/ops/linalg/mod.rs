//! Linear algebra: `keras.src.ops.linalg`.

mod decomposition;
mod norm;
mod solving;

use super::record::OperationClass;

pub use decomposition::*;
pub use norm::*;
pub use solving::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.linalg";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[decomposition::CLASSES, norm::CLASSES, solving::CLASSES];

use crate::error::{Error, Result};
use crate::ops::class::float_of;
use crate::tensor::Tensor;

/// Matrices in a floating-point dtype that the decompositions take: half precision goes through `float32`.
pub(super) fn matrices(op: &str, x: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 {
        return Err(Error::shape(op, format!("{} is no matrix", x.ty()), "give at least two axes"));
    }
    let dtype = float_of(x.dtype());
    Ok(x.cast(if dtype.size() == 2 { rhyton_ir::DType::F32 } else { dtype }))
}

/// Square [`matrices`].
pub(super) fn square_matrices(op: &str, x: &Tensor) -> Result<Tensor> {
    let x = matrices(op, x)?;
    if x.dim(-1).compatible(&x.dim(-2)) {
        return Ok(x);
    }
    Err(Error::shape(op, format!("{} is not square", x.ty()), "make the last two axes equal"))
}

/// The last two axes exchanged.
pub(super) fn transposed(x: &Tensor) -> Tensor {
    crate::ops::swapaxes(x, -1, -2)
}
