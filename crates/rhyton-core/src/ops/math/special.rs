//! Special functions and sums of them: `rsqrt`, `erf`, `logsumexp`, …

use rhyton_ir::op::{ReduceKind, UnaryKind};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{binary_operations, float_of, operations, strong, unary_operations};
use crate::ops::numpy::{float, reduce};
use crate::ops::primitives::{select, sliced};
use crate::ops::{self, Axes, apply};
use crate::promotion::promote;
use crate::tensor::Tensor;

unary_operations! { MODULE;
    /// `1/√x`.
    rsqrt Rsqrt |x| float(UnaryKind::Rsqrt, x);
    /// `2/√π ∫₀ˣ exp(−t²) dt`.
    erf Erf |x| float(UnaryKind::Erf, x);
    /// `1 − erf(x)`, exact where it is small.
    erfc Erfc |x| float(UnaryKind::Erfc, x);
    /// The logarithm of the determinant of positive definite matrices; NaN of others.
    logdet Logdet |x| match ops::sign_and_log_det(x) {
        Ok([sign, log]) => ops::r#where(ops::greater(sign, 0.0), log, f64::NAN),
        Err(error) => Tensor::invalid(error),
    };
    /// The inverse of [`erf`]: ±∞ at ±1, NaN beyond.
    erfinv Erfinv |x| float(UnaryKind::ErfInv, x);
}

binary_operations! { MODULE;
    /// The Euclidean distance of every row of `x1` to every row of `x2`: `(…, m, d)` and `(…, n, d)` give `(…, m, n)`.
    cdist CDist |x, y| {
        let (x, y) = (strong(x), strong(y));
        if x.rank() < 2 || y.rank() < 2 || !x.dim(-1).compatible(&y.dim(-1)) {
            let what = format!("rows of {} and {}", x.ty(), y.ty());
            return Err(Error::shape("cdist", what, "give matrices whose last axes are equal"));
        }
        let dtype = float_of(promote(x.dtype(), y.dtype()));
        let difference = ops::expand_dims(&x.cast(dtype), -2) - ops::expand_dims(&y.cast(dtype), -3);
        Ok(ops::sqrt(&ops::sum(&ops::square(&difference), -1, false)))
    };
}

operations! { MODULE;
    Logsumexp { axis: Axes, keepdims: bool } (x) compute_logsumexp;
    ExtractSequences { sequence_length: usize, sequence_stride: usize } (x) compute_extract_sequences;
}

/// `log Σ exp(x)` over `axis`, without overflow.
#[track_caller]
pub fn logsumexp(x: &Tensor, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
    apply(Logsumexp { axis: axis.into(), keepdims }, Args::new(x))
}

fn compute_logsumexp(op: &Logsumexp, x: Tensor) -> Result<Tensor> {
    let x = x.cast(float_of(x.dtype()));
    let max = reduce(ReduceKind::Max, &x, &op.axis, true)?;
    // Infinities subtracted from themselves would be NaN.
    let shift = ops::stop_gradient(&select(&ops::isfinite(&max), &max, &ops::zeros_like(&max)));
    let sum = reduce(ReduceKind::Sum, &ops::exp(&(x - &shift)), &op.axis, true)?;
    let out = ops::log(&sum) + shift;
    if op.keepdims {
        return Ok(out);
    }
    match op.axis.resolve(out.check()?.rank())? {
        axes if axes.is_empty() => Ok(out),
        axes => Ok(ops::squeeze(&out, axes.iter().map(|&a| a as i64).collect::<Vec<_>>())),
    }
}

/// Windows of `sequence_length` elements of the last axis, `sequence_stride` apart: `(…, n)` gives `(…, count, length)`.
#[track_caller]
pub fn extract_sequences(x: &Tensor, sequence_length: usize, sequence_stride: usize) -> Tensor {
    apply(ExtractSequences { sequence_length, sequence_stride }, Args::new(x))
}

fn compute_extract_sequences(op: &ExtractSequences, x: Tensor) -> Result<Tensor> {
    let (length, stride) = (op.sequence_length, op.sequence_stride);
    let Some(size) = x.dim(-1).known().filter(|_| x.rank() > 0 && stride > 0) else {
        let what = format!("the last axis of {} every {stride}", x.ty());
        return Err(Error::shape("extract_sequences", what, "give a known size and a stride of at least 1"));
    };
    let count = if size >= length { (size - length) / stride + 1 } else { 0 };
    let places: Vec<i32> = (0..count).flat_map(|i| (0..length).map(move |k| (i * stride + k) as i32)).collect();
    let places = Tensor::from(rhyton_ir::Array::new([count, length], places));
    let last = x.rank() - 1;
    if count == 0 {
        let none = sliced(&x, last, 0, 0);
        let shape = none.shape().iter().cloned().chain([length.into()]).collect::<rhyton_ir::Shape>();
        return Ok(crate::ops::primitives::reshaped(&none, shape));
    }
    crate::ops::numpy::taken(&x, &places, last)
}
