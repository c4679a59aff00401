//! Reductions over axes: `sum`, `mean`, `max`, `var`, `argmax`, …

use rhyton_ir::op::{ArgReduce, BinaryKind, ReduceKind};
use rhyton_ir::{DType, Dim, Shape};

use super::MODULE;
use super::arithmetic::{broadcast, broadcast_shapes};
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{float_of, operations};
use crate::ops::primitives::{binary, filled, reduced, reshaped, size, with_size};
use crate::ops::{Axes, Number, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

/// `shape` with size 1 for `axes`.
pub(crate) fn kept(shape: &Shape, axes: &[usize]) -> Shape {
    shape.iter().enumerate().map(|(i, d)| if axes.contains(&i) { Dim::Known(1) } else { d.clone() }).collect()
}

/// Reduces `x` over `axes`; with `keepdims` they stay with size 1.
pub(crate) fn reduce(kind: ReduceKind, x: &Tensor, axes: &Axes, keepdims: bool) -> Result<Tensor> {
    let axes = axes.resolve(x.rank())?;
    let out = reduced(kind, x, &axes);
    if keepdims { Ok(reshaped(out.check()?, kept(x.shape(), &axes))) } else { out.check().cloned() }
}

/// The number of elements that a reduction over `axes` takes together, as a scalar of `dtype`.
pub(crate) fn count(x: &Tensor, axes: &Axes, dtype: DType) -> Result<Tensor> {
    let taken: Dim = axes.resolve(x.rank())?.into_iter().fold(Dim::Known(1), |n, a| n * x.shape()[a].clone());
    Ok(size(&taken, dtype))
}

/// The dtype in which integers are summed and multiplied.
pub(crate) fn accumulator(dtype: DType) -> DType {
    match dtype {
        DType::Bool | DType::I8 | DType::I16 => DType::I32,
        DType::U8 | DType::U16 => DType::U32,
        other => other,
    }
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $function:ident $class:ident;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $function(x: &Tensor, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
            apply($class { axis: axis.into(), keepdims }, Args::new(x))
        }
    )*};
}

operations! { MODULE;
    Sum { axis: Axes, keepdims: bool } (x) compute_sum;
    Mean { axis: Axes, keepdims: bool } (x) compute_mean;
    Var { axis: Axes, keepdims: bool } (x) compute_var;
    Std { axis: Axes, keepdims: bool } (x) compute_std;
    All { axis: Axes, keepdims: bool } (x) compute_all;
    Any { axis: Axes, keepdims: bool } (x) compute_any;
    Amax { axis: Axes, keepdims: bool } (x) compute_amax;
    Amin { axis: Axes, keepdims: bool } (x) compute_amin;
    Ptp { axis: Axes, keepdims: bool } (x) compute_ptp;
    Prod { axis: Axes, keepdims: bool, dtype: Option<DType> } (x) compute_prod;
    Max { axis: Axes, keepdims: bool, initial: Option<Number> } (x) compute_max;
    Min { axis: Axes, keepdims: bool, initial: Option<Number> } (x) compute_min;
    Argmax { axis: Option<i64>, keepdims: bool } (x) compute_argmax;
    Argmin { axis: Option<i64>, keepdims: bool } (x) compute_argmin;
    CountNonzero { axis: Axes } (x) compute_count_nonzero;
    Average { axis: Axes } (x, weights) compute_average;
}

reductions! {
    /// The sum over `axis`; `bool` and small integers are summed as `int32` or `uint32`.
    sum Sum;
    /// The mean over `axis`; of integers as `float32`.
    mean Mean;
    /// The variance over `axis`, `Σ(x − mean)²/n`; of integers as `float32`.
    var Var;
    /// The standard deviation over `axis`: the square root of [`var`].
    std Std;
    /// Whether all elements over `axis` are true (not 0).
    all All;
    /// Whether some element over `axis` is true (not 0).
    any Any;
    /// The largest element over `axis`; the same as [`max`].
    amax Amax;
    /// The smallest element over `axis`; the same as [`min`].
    amin Amin;
    /// The largest minus the smallest element over `axis`.
    ptp Ptp;
}

/// The largest element over `axis`; NaN if there is one; of `bool`, whether one is true. Ties share the gradient equally.
#[track_caller]
pub fn max(x: &Tensor, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
    apply(Max { axis: axis.into(), keepdims, initial: None }, Args::new(x))
}

/// The smallest element over `axis`; NaN if there is one; of `bool`, whether all are true. Ties share the gradient equally.
#[track_caller]
pub fn min(x: &Tensor, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
    apply(Min { axis: axis.into(), keepdims, initial: None }, Args::new(x))
}

/// [`max`] of the elements and `initial`: Keras's `max(x, initial=…)`.
#[track_caller]
pub fn max_with_initial(x: &Tensor, axis: impl Into<Axes>, keepdims: bool, initial: impl Into<Number>) -> Tensor {
    apply(Max { axis: axis.into(), keepdims, initial: Some(initial.into()) }, Args::new(x))
}

/// [`min`] of the elements and `initial`: Keras's `min(x, initial=…)`.
#[track_caller]
pub fn min_with_initial(x: &Tensor, axis: impl Into<Axes>, keepdims: bool, initial: impl Into<Number>) -> Tensor {
    apply(Min { axis: axis.into(), keepdims, initial: Some(initial.into()) }, Args::new(x))
}

/// The product over `axis`, computed in `dtype`; unless it is given, `bool` and small integers are multiplied as `int32`
/// or `uint32`.
#[track_caller]
pub fn prod(x: &Tensor, axis: impl Into<Axes>, keepdims: bool, dtype: Option<DType>) -> Tensor {
    apply(Prod { axis: axis.into(), keepdims, dtype }, Args::new(x))
}

/// Where the largest element along `axis` is, the first of equals; of the flattened tensor if `axis` is `None`. `int32`.
#[track_caller]
pub fn argmax(x: &Tensor, axis: Option<i64>, keepdims: bool) -> Tensor {
    apply(Argmax { axis, keepdims }, Args::new(x))
}

/// Where the smallest element along `axis` is, the first of equals; of the flattened tensor if `axis` is `None`. `int32`.
#[track_caller]
pub fn argmin(x: &Tensor, axis: Option<i64>, keepdims: bool) -> Tensor {
    apply(Argmin { axis, keepdims }, Args::new(x))
}

/// How many elements over `axis` are not 0, as `int32`.
#[track_caller]
pub fn count_nonzero(x: &Tensor, axis: impl Into<Axes>) -> Tensor {
    apply(CountNonzero { axis: axis.into() }, Args::new(x))
}

/// The mean over `axis` weighted by `weights`, of the shape of `x` or one for each element of the axis.
#[track_caller]
pub fn average(x: &Tensor, axis: impl Into<Axes>, weights: Option<&Tensor>) -> Tensor {
    let mut args = Args::new(x);
    args.named.insert("weights".to_owned(), weights.into());
    apply(Average { axis: axis.into() }, args)
}

fn compute_sum(op: &Sum, x: Tensor) -> Result<Tensor> {
    reduce(ReduceKind::Sum, &x.cast(accumulator(x.dtype())), &op.axis, op.keepdims)
}

fn compute_mean(op: &Mean, x: Tensor) -> Result<Tensor> {
    let result = float_of(x.dtype());
    // Half-precision sums lose digits, as TensorFlow knows, too: it accumulates them in float32.
    let compute = promote(result, DType::F32);
    let x = x.cast(compute);
    let sum = reduce(ReduceKind::Sum, &x, &op.axis, op.keepdims)?;
    Ok((sum / count(&x, &op.axis, compute)?).cast(result))
}

fn variance(x: &Tensor, axis: &Axes, keepdims: bool) -> Result<Tensor> {
    let mean = reduce(ReduceKind::Sum, x, axis, true)? / count(x, axis, x.dtype())?;
    let squares = super::square(&(x - mean));
    Ok(reduce(ReduceKind::Sum, &squares, axis, keepdims)? / count(x, axis, x.dtype())?)
}

fn compute_var(op: &Var, x: Tensor) -> Result<Tensor> {
    let result = float_of(x.dtype());
    Ok(variance(&x.cast(promote(result, DType::F32)), &op.axis, op.keepdims)?.cast(result))
}

fn compute_std(op: &Std, x: Tensor) -> Result<Tensor> {
    Ok(super::sqrt(&variance(&x.cast(float_of(x.dtype())), &op.axis, op.keepdims)?))
}

fn compute_all(op: &All, x: Tensor) -> Result<Tensor> {
    reduce(ReduceKind::And, &x.cast(DType::Bool), &op.axis, op.keepdims)
}

fn compute_any(op: &Any, x: Tensor) -> Result<Tensor> {
    reduce(ReduceKind::Or, &x.cast(DType::Bool), &op.axis, op.keepdims)
}

fn extreme(largest: bool, x: &Tensor, axis: &Axes, keepdims: bool) -> Result<Tensor> {
    let kind = match (x.dtype(), largest) {
        (DType::Bool, true) => ReduceKind::Or,
        (DType::Bool, false) => ReduceKind::And,
        (_, true) => ReduceKind::Max,
        (_, false) => ReduceKind::Min,
    };
    reduce(kind, x, axis, keepdims)
}

fn with_initial(largest: bool, found: Tensor, initial: Option<Number>) -> Tensor {
    let Some(initial) = initial else { return found };
    let initial = filled(found.dtype(), found.shape(), initial.value());
    let kind = match (found.dtype(), largest) {
        (DType::Bool, true) => BinaryKind::Or,
        (DType::Bool, false) => BinaryKind::And,
        (_, true) => BinaryKind::Maximum,
        (_, false) => BinaryKind::Minimum,
    };
    binary(kind, &found, &initial)
}

fn compute_max(op: &Max, x: Tensor) -> Result<Tensor> {
    Ok(with_initial(true, extreme(true, &x, &op.axis, op.keepdims)?, op.initial))
}

fn compute_min(op: &Min, x: Tensor) -> Result<Tensor> {
    Ok(with_initial(false, extreme(false, &x, &op.axis, op.keepdims)?, op.initial))
}

fn compute_amax(op: &Amax, x: Tensor) -> Result<Tensor> {
    extreme(true, &x, &op.axis, op.keepdims)
}

fn compute_amin(op: &Amin, x: Tensor) -> Result<Tensor> {
    extreme(false, &x, &op.axis, op.keepdims)
}

fn compute_ptp(op: &Ptp, x: Tensor) -> Result<Tensor> {
    Ok(extreme(true, &x, &op.axis, op.keepdims)? - extreme(false, &x, &op.axis, op.keepdims)?)
}

fn compute_prod(op: &Prod, x: Tensor) -> Result<Tensor> {
    let x = x.cast(op.dtype.unwrap_or(accumulator(x.dtype())));
    reduce(ReduceKind::Prod, &x, &op.axis, op.keepdims)
}

fn arg_reduce(largest: bool, x: &Tensor, axis: Option<i64>, keepdims: bool) -> Result<Tensor> {
    let (line, at) = match axis {
        Some(axis) => (x.clone(), axis_of(axis, x.rank())?),
        None => (reshaped(x, [x.shape().elements()]), 0),
    };
    let found = Tensor::apply(ArgReduce { max: largest, axis: at }, &[&line]);
    if !keepdims {
        return Ok(found);
    }
    let shape = match axis {
        Some(_) => with_size(x.shape(), at, 1),
        None => vec![1usize; x.rank()].into(),
    };
    Ok(reshaped(found.check()?, shape))
}

fn compute_argmax(op: &Argmax, x: Tensor) -> Result<Tensor> {
    arg_reduce(true, &x, op.axis, op.keepdims)
}

fn compute_argmin(op: &Argmin, x: Tensor) -> Result<Tensor> {
    arg_reduce(false, &x, op.axis, op.keepdims)
}

fn compute_count_nonzero(op: &CountNonzero, x: Tensor) -> Result<Tensor> {
    reduce(ReduceKind::Sum, &x.cast(DType::Bool).cast(DType::I32), &op.axis, false)
}

fn compute_average(op: &Average, x: Tensor, weights: Option<Tensor>) -> Result<Tensor> {
    let Some(weights) = weights else {
        return compute_mean(&Mean { axis: op.axis.clone(), keepdims: false }, x);
    };
    let dtype = float_of(promote(x.dtype(), weights.dtype()));
    let (x, mut weights) = (x.cast(dtype), weights.cast(dtype));
    if let Axes::One(axis) = op.axis
        && weights.rank() == 1
        && x.rank() != 1
    {
        let axis = axis_of(axis, x.rank())?;
        let shape: Shape = (0..x.rank()).map(|a| if a == axis { weights.dim(0) } else { Dim::Known(1) }).collect();
        if !weights.dim(0).compatible(&x.shape()[axis]) {
            return Err(Error::shape(
                "average",
                format!("weights {} for axis {axis} of {}", weights.ty(), x.ty()),
                "give one weight an element of the axis, or one an element of x",
            ));
        }
        weights = reshaped(&weights, shape);
        let total = reduce(ReduceKind::Sum, &weights, &Axes::All, false)?;
        return Ok(reduce(ReduceKind::Sum, &(x * &weights), &op.axis, false)? / total);
    }
    let shape = broadcast_shapes(&[x.shape(), weights.shape()])?;
    let weights = broadcast(&weights, &shape);
    let total = reduce(ReduceKind::Sum, &weights, &op.axis, false)?;
    Ok(reduce(ReduceKind::Sum, &(x * &weights), &op.axis, false)? / total)
}
