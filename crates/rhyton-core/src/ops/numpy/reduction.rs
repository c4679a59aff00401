//! Reductions over axes: `sum`, `mean`, `max`, `min`.

use rhyton_ir::op::{Reduce, ReduceKind, Reshape};
use rhyton_ir::{DType, Dim, Shape};
use serde::{Deserialize, Serialize};

use super::MODULE;
use crate::error::Result;
use crate::keras_object;
use crate::nest::{Args, Nest};
use crate::ops::{Axes, Operation, apply};
use crate::tensor::Tensor;

/// Reduces `x` over `axes`; with `keepdims` they stay with size 1.
pub(crate) fn reduce(kind: ReduceKind, x: &Tensor, axes: &Axes, keepdims: bool) -> Result<Tensor> {
    let axes = axes.resolve(x.rank())?;
    if axes.is_empty() {
        return Ok(x.without_mask());
    }
    let reduced = Tensor::apply(Reduce { kind, axes: axes.clone() }, &[x]);
    if !keepdims {
        return reduced.check().cloned();
    }
    let kept = |(i, d): (usize, &Dim)| if axes.contains(&i) { Dim::Known(1) } else { d.clone() };
    let shape: Shape = x.shape().iter().enumerate().map(kept).collect();
    Tensor::apply(Reshape { shape }, &[&reduced]).check().cloned()
}

/// The number of elements that a reduction over `axes` takes together, as a scalar of `dtype`.
fn count(x: &Tensor, axes: &Axes, dtype: DType) -> Result<Tensor> {
    let taken: Dim = axes.resolve(x.rank())?.into_iter().fold(Dim::Known(1), |n, a| n * x.shape()[a].clone());
    // The size of an abstract tensor may be unknown; its values are never computed.
    Ok(Tensor::from(rhyton_ir::Array::scalar_of(dtype, taken.known().unwrap_or(1) as f64)))
}

macro_rules! reduction {
    ($($(#[$doc:meta])* $function:ident $class:ident ($($extra:ident)?) $compute:ident;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $function(x: &Tensor, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
            apply($class { axis: axis.into(), keepdims, $($extra: None)? }, Args::new(x))
        }

        #[doc = concat!("The class of [`", stringify!($function), "`] in configurations.")]
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $class {
            axis: Axes,
            keepdims: bool,
            $(#[serde(default)] $extra: Option<f64>,)?
        }
        keras_object!($class);

        impl Operation for $class {
            fn module(&self) -> &'static str {
                MODULE
            }
            fn compute(&self, args: &Args) -> Result<Nest> {
                $compute(args.tensor()?, &self.axis, self.keepdims).map(Nest::from)
            }
        }
    )*};
}

reduction! {
    /// The sum over `axis`; `bool` and small integers are summed as `int32` or `uint32`.
    sum Sum () compute_sum;
    /// The mean over `axis`; of integers as `float32`.
    mean Mean () compute_mean;
    /// The largest element over `axis`; NaN if there is one. Ties share the gradient equally.
    max Max (initial) compute_max;
    /// The smallest element over `axis`; NaN if there is one. Ties share the gradient equally.
    min Min (initial) compute_min;
}

fn compute_sum(x: &Tensor, axis: &Axes, keepdims: bool) -> Result<Tensor> {
    let dtype = match x.dtype() {
        DType::Bool | DType::I8 | DType::I16 => DType::I32,
        DType::U8 | DType::U16 => DType::U32,
        other => other,
    };
    reduce(ReduceKind::Sum, &x.cast(dtype), axis, keepdims)
}

fn compute_mean(x: &Tensor, axis: &Axes, keepdims: bool) -> Result<Tensor> {
    let result = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    // Half-precision sums lose digits, as TensorFlow knows, too: it accumulates them in float32.
    let compute = if result.size() < 4 { DType::F32 } else { result };
    let x = x.cast(compute);
    let sum = reduce(ReduceKind::Sum, &x, axis, keepdims)?;
    Ok(super::true_divide(&sum, &count(&x, axis, compute)?).check()?.cast(result))
}

fn compute_max(x: &Tensor, axis: &Axes, keepdims: bool) -> Result<Tensor> {
    reduce(ReduceKind::Max, x, axis, keepdims)
}

fn compute_min(x: &Tensor, axis: &Axes, keepdims: bool) -> Result<Tensor> {
    reduce(ReduceKind::Min, x, axis, keepdims)
}
