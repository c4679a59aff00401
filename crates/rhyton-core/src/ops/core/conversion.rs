//! Dtypes, shapes and gradients: `cast`, `convert_to_tensor`, `shape`, `stop_gradient`, …

use rhyton_ir::{DType, Shape};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{operations, strong};
use crate::ops::primitives::{reshaped, sliced, without_axes};
use crate::ops::{Operand, apply, apply_all};
use crate::tensor::Tensor;

operations! { MODULE;
    Cast { dtype: DType } (x) compute_cast;
    SaturateCast { dtype: DType } (x) compute_saturate_cast;
    ConvertToTensor { dtype: Option<DType>, sparse: Option<bool>, ragged: Option<bool> } (x) compute_convert;
    StopGradient {} (variable) compute_stop_gradient;
    Unstack { num: Option<usize>, axis: i64 } (x) compute_unstack;
}

/// `x` as `dtype`: floats are truncated towards 0 for integers, anything but 0 is true.
#[track_caller]
pub fn cast(x: &Tensor, dtype: DType) -> Tensor {
    apply(Cast { dtype }, Args::new(x))
}

fn compute_cast(op: &Cast, x: Tensor) -> Tensor {
    x.cast(op.dtype)
}

/// The value: Keras's NumPy array.
///
/// # Errors
/// As [`Tensor::eval`].
pub fn convert_to_numpy(x: &Tensor) -> Result<rhyton_ir::Array> {
    x.eval()
}

/// Whether the operand is a tensor, not a plain number.
pub fn is_tensor(x: &Operand) -> bool {
    matches!(x, Operand::Tensor(_))
}

/// The largest finite number of a dtype (1 of `bool`).
pub(crate) fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::Bool => 1.0,
        DType::U8 => f64::from(u8::MAX),
        DType::U16 => f64::from(u16::MAX),
        DType::U32 => f64::from(u32::MAX),
        DType::U64 => u64::MAX as f64,
        DType::I8 => f64::from(i8::MAX),
        DType::I16 => f64::from(i16::MAX),
        DType::I32 => f64::from(i32::MAX),
        DType::I64 => i64::MAX as f64,
        DType::F16 => rhyton_ir::f16::MAX.to_f64(),
        DType::BF16 => rhyton_ir::bf16::MAX.to_f64(),
        DType::F32 => f64::from(f32::MAX),
        DType::F64 => f64::MAX,
    }
}

/// The smallest finite number of a dtype.
pub(crate) fn smallest(dtype: DType) -> f64 {
    match dtype {
        DType::Bool => 0.0,
        dtype if dtype.is_unsigned_int() => 0.0,
        dtype if dtype.is_signed_int() => -largest(dtype) - 1.0,
        dtype => -largest(dtype),
    }
}

/// `x` as `dtype`, values outside its range as the nearest one inside instead of wrapped.
#[track_caller]
pub fn saturate_cast(x: &Tensor, dtype: DType) -> Tensor {
    apply(SaturateCast { dtype }, Args::new(x))
}

fn compute_saturate_cast(op: &SaturateCast, x: Tensor) -> Tensor {
    let from = x.dtype();
    if from == DType::Bool || from == op.dtype {
        return x.cast(op.dtype);
    }
    if from.is_float() && !op.dtype.is_float() {
        // Conversions from floats saturate by themselves.
        return x.cast(op.dtype);
    }
    let low = smallest(from).max(smallest(op.dtype));
    let high = largest(from).min(largest(op.dtype));
    let bound = |v: f64| crate::ops::primitives::filled(from, x.shape(), v);
    crate::ops::minimum(crate::ops::maximum(&x, bound(low)), bound(high)).cast(op.dtype)
}

/// A tensor of what may be a number: `int32` or `float32` unless `dtype` is given.
#[track_caller]
pub fn convert_to_tensor(x: impl Into<Operand>, dtype: Option<DType>) -> Tensor {
    match x.into() {
        Operand::Tensor(t) if t.is_symbol() => {
            apply(ConvertToTensor { dtype, sparse: None, ragged: None }, Args::new(t))
        }
        x => dtype.map_or_else(|| strong(&x), |dtype| x.to_tensor(dtype)),
    }
}

fn compute_convert(op: &ConvertToTensor, x: Tensor) -> Result<Tensor> {
    if op.sparse == Some(true) || op.ragged == Some(true) {
        return Err(Error::unsupported("convert_to_tensor", "sparse and ragged tensors", "use dense ones"));
    }
    Ok(op.dtype.map_or_else(|| x.without_mask(), |dtype| x.cast(dtype)))
}

/// The shape of `x`; unknown sizes are symbols.
pub fn shape(x: &Tensor) -> Shape {
    x.shape().clone()
}

/// The number of axes of `x`.
pub fn ndim(x: &Tensor) -> usize {
    x.rank()
}

/// The dtype of `x`.
pub fn dtype(x: &Tensor) -> DType {
    x.dtype()
}

/// The number of elements of `x`, as an `int32` scalar.
#[track_caller]
pub fn size(x: &Tensor) -> Tensor {
    match x.error() {
        Some(_) => x.clone(),
        None => crate::ops::primitives::size(&x.shape().elements(), DType::I32),
    }
}

/// `x`, through which no gradient flows.
#[track_caller]
pub fn stop_gradient(variable: &Tensor) -> Tensor {
    apply(StopGradient {}, Args::new(variable))
}

fn compute_stop_gradient(_: &StopGradient, x: Tensor) -> Tensor {
    Tensor::apply(rhyton_ir::op::StopGradient, &[&x])
}

/// The slices of `x` along `axis` (Keras's default is 0), which they lack; there are `num`, or as many as the size.
#[track_caller]
pub fn unstack(x: &Tensor, num: Option<usize>, axis: i64) -> Vec<Tensor> {
    apply_all(Unstack { num, axis }, Args::new(x))
}

fn compute_unstack(op: &Unstack, x: Tensor) -> Result<Vec<Tensor>> {
    let axis = axis_of(op.axis, x.rank())?;
    let size = x.shape()[axis].known();
    let Some(count) = op.num.or(size).filter(|n| size.is_none_or(|size| size == *n)) else {
        return Err(Error::shape(
            "unstack",
            format!("num {:?} along axis {axis} of {}", op.num, x.ty()),
            "give the size of the axis if it is unknown, else nothing",
        ));
    };
    let shape = without_axes(x.shape(), &[axis]);
    Ok((0..count).map(|i| reshaped(&sliced(&x, axis, i, i + 1), shape.clone())).collect())
}
