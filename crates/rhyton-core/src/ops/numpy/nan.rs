//! Reductions that leave out NaN: `nansum`, `nanmean`, …

use rhyton_ir::DType;
use rhyton_ir::op::ReduceKind;

use super::MODULE;
use super::reduction::{accumulator, reduce};
use crate::error::Result;
use crate::nest::Args;
use crate::ops::class::{float_of, operations};
use crate::ops::{self, Axes, apply};
use crate::tensor::Tensor;

operations! { MODULE;
    Nansum { axis: Axes, keepdims: bool } (x) compute_sum;
    Nanprod { axis: Axes, keepdims: bool } (x) compute_prod;
    Nanmean { axis: Axes, keepdims: bool } (x) compute_mean;
    Nanvar { axis: Axes, keepdims: bool } (x) compute_var;
    Nanstd { axis: Axes, keepdims: bool } (x) compute_std;
    Nanmax { axis: Axes, keepdims: bool } (x) compute_max;
    Nanmin { axis: Axes, keepdims: bool } (x) compute_min;
    Nanargmax { axis: Option<i64>, keepdims: bool } (x) compute_argmax;
    Nanargmin { axis: Option<i64>, keepdims: bool } (x) compute_argmin;
    Nancumsum { axis: Option<i64>, dtype: Option<DType> } (x) compute_cumsum;
    Nancumprod { axis: Option<i64>, dtype: Option<DType> } (x) compute_cumprod;
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

reductions! {
    /// The sum over `axis` of the elements that are not NaN.
    nansum Nansum;
    /// The product over `axis` of the elements that are not NaN.
    nanprod Nanprod;
    /// The mean over `axis` of the elements that are not NaN; NaN if there are none.
    nanmean Nanmean;
    /// The variance over `axis` of the elements that are not NaN; NaN if there are none.
    nanvar Nanvar;
    /// The standard deviation over `axis` of the elements that are not NaN; NaN if there are none.
    nanstd Nanstd;
    /// The largest element over `axis` that is not NaN; NaN if there is none.
    nanmax Nanmax;
    /// The smallest element over `axis` that is not NaN; NaN if there is none.
    nanmin Nanmin;
}

/// Where the largest element along `axis` that is not NaN is; −1 if there is none.
#[track_caller]
pub fn nanargmax(x: &Tensor, axis: Option<i64>, keepdims: bool) -> Tensor {
    apply(Nanargmax { axis, keepdims }, Args::new(x))
}

/// Where the smallest element along `axis` that is not NaN is; −1 if there is none.
#[track_caller]
pub fn nanargmin(x: &Tensor, axis: Option<i64>, keepdims: bool) -> Tensor {
    apply(Nanargmin { axis, keepdims }, Args::new(x))
}

/// The running sums along `axis`, NaN counting as 0 (and infinities as the largest numbers, as in Keras).
#[track_caller]
pub fn nancumsum(x: &Tensor, axis: Option<i64>, dtype: Option<DType>) -> Tensor {
    apply(Nancumsum { axis, dtype }, Args::new(x))
}

/// The running products along `axis`, NaN counting as 1 (and infinities as the largest numbers, as in Keras).
#[track_caller]
pub fn nancumprod(x: &Tensor, axis: Option<i64>, dtype: Option<DType>) -> Tensor {
    apply(Nancumprod { axis, dtype }, Args::new(x))
}

/// `x` with `value` for NaN.
fn filled(x: &Tensor, value: f64) -> Tensor {
    if x.dtype().is_float() { ops::r#where(ops::isnan(x), value, x) } else { x.clone() }
}

fn all_nan(x: &Tensor, axis: &Axes, keepdims: bool) -> Tensor {
    ops::all(&ops::isnan(x), axis.clone(), keepdims)
}

fn compute_sum(op: &Nansum, x: Tensor) -> Result<Tensor> {
    reduce(ReduceKind::Sum, &filled(&x, 0.0).cast(accumulator(x.dtype())), &op.axis, op.keepdims)
}

fn compute_prod(op: &Nanprod, x: Tensor) -> Result<Tensor> {
    reduce(ReduceKind::Prod, &filled(&x, 1.0).cast(accumulator(x.dtype())), &op.axis, op.keepdims)
}

fn mean(x: &Tensor, axis: &Axes, keepdims: bool) -> Tensor {
    let counted = ops::logical_not(ops::isnan(x)).cast(x.dtype());
    ops::sum(&filled(x, 0.0), axis.clone(), keepdims) / ops::sum(&counted, axis.clone(), keepdims)
}

fn compute_mean(op: &Nanmean, x: Tensor) -> Tensor {
    mean(&x.cast(float_of(x.dtype())), &op.axis, op.keepdims)
}

fn variance(x: &Tensor, axis: &Axes, keepdims: bool) -> Tensor {
    let x = x.cast(float_of(x.dtype()));
    let centred = &x - mean(&x, axis, true);
    mean(&ops::square(&centred), axis, keepdims)
}

fn compute_var(op: &Nanvar, x: Tensor) -> Tensor {
    variance(&x, &op.axis, op.keepdims)
}

fn compute_std(op: &Nanstd, x: Tensor) -> Tensor {
    ops::sqrt(&variance(&x, &op.axis, op.keepdims))
}

fn compute_max(op: &Nanmax, x: Tensor) -> Tensor {
    let found = ops::max(&filled(&x, f64::NEG_INFINITY), op.axis.clone(), op.keepdims);
    or_nan(found, &x, &op.axis, op.keepdims)
}

fn compute_min(op: &Nanmin, x: Tensor) -> Tensor {
    let found = ops::min(&filled(&x, f64::INFINITY), op.axis.clone(), op.keepdims);
    or_nan(found, &x, &op.axis, op.keepdims)
}

fn or_nan(found: Tensor, x: &Tensor, axis: &Axes, keepdims: bool) -> Tensor {
    if x.dtype().is_float() { ops::r#where(all_nan(x, axis, keepdims), f64::NAN, found) } else { found }
}

fn compute_argmax(op: &Nanargmax, x: Tensor) -> Tensor {
    place(ops::argmax(&filled(&x, f64::NEG_INFINITY), op.axis, op.keepdims), &x, op.axis, op.keepdims)
}

fn compute_argmin(op: &Nanargmin, x: Tensor) -> Tensor {
    place(ops::argmin(&filled(&x, f64::INFINITY), op.axis, op.keepdims), &x, op.axis, op.keepdims)
}

fn place(found: Tensor, x: &Tensor, axis: Option<i64>, keepdims: bool) -> Tensor {
    ops::r#where(all_nan(x, &axis.into(), keepdims), -1, found)
}

fn compute_cumsum(op: &Nancumsum, x: Tensor) -> Tensor {
    ops::cumsum(&ops::nan_to_num(&x, 0.0, None, None), op.axis, op.dtype)
}

fn compute_cumprod(op: &Nancumprod, x: Tensor) -> Tensor {
    ops::cumprod(&ops::nan_to_num(&x, 1.0, None, None), op.axis, op.dtype)
}
