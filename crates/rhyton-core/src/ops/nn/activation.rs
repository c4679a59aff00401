//! Elementwise nonlinearities: `relu`, `gelu`, `softplus`, … Gradients at kinks are TensorFlow's.

use std::sync::Arc;

use rhyton_ir::op::{BinaryKind, Composite, CompositeKind, Direction, UnaryKind};
use rhyton_ir::{Builder, Graph, Value};

use super::MODULE;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::axis as axis_of;
use crate::ops::class::{operations, unary_operations};
use crate::ops::numpy::float;
use crate::ops::primitives::{binary, compare, filled, select, sliced, unary};
use crate::ops::{self, Number, apply};
use crate::tensor::Tensor;

fn full(x: &Tensor, value: f64) -> Tensor {
    filled(x.dtype(), x.shape(), value)
}

fn above(x: &Tensor, bound: f64) -> Tensor {
    compare(Direction::Gt, x, &full(x, bound))
}

fn relu6_of(x: &Tensor) -> Tensor {
    // The bounds first: at a tie the gradient goes to the first operand, and so is 0.
    binary(BinaryKind::Minimum, &full(x, 6.0), &binary(BinaryKind::Maximum, &full(x, 0.0), x))
}

fn hard_sigmoid_of(x: &Tensor) -> Tensor {
    relu6_of(&(x + 3.0)) / 6.0
}

/// A function of each element alone whose gradient is more than a comparison: as a composite of its own, so that all that
/// the forward computation keeps for it is the derivative.
fn pointwise(x: &Tensor, function: impl Fn(&mut Builder, Value) -> Value) -> Tensor {
    let mut graph = Graph::new();
    let value = graph.parameter(x.ty().clone());
    let mut b = Builder::new(&mut graph);
    let out = function(&mut b, value);
    if let Err(error) = b.finish() {
        return Tensor::invalid(error.into());
    }
    graph.set_outputs(vec![out]);
    Tensor::apply(Composite { kind: CompositeKind::Pointwise, decomposition: Arc::new(graph) }, &[x])
}

/// `log(1 + eˣ)`. A branch on the sign, not `|x|`, so that the gradient at 0 is 1/2.
pub(super) fn softplus_of(x: &Tensor) -> Tensor {
    let positive = above(x, 0.0);
    let negative_magnitude = select(&positive, &unary(UnaryKind::Neg, x), x);
    let tail = unary(UnaryKind::Log1p, &unary(UnaryKind::Exp, &negative_magnitude));
    select(&positive, x, &full(x, 0.0)) + tail
}

/// `scale · x` where `positive` and `scale · alpha · (eˣ − 1)` elsewhere.
fn exponential_linear(positive: Tensor, x: &Tensor, scale: f64, alpha: f64) -> Tensor {
    // The exponent is replaced above 0 so that no infinity enters the gradient.
    let exponent = select(&positive, &full(x, 0.0), x);
    let negative = unary(UnaryKind::Expm1, &exponent) * (scale * alpha);
    select(&positive, &(x * scale), &negative)
}

unary_operations! { MODULE;
    /// `max(x, 0)`; the gradient at 0 is 0.
    relu Relu |x| binary(BinaryKind::Maximum, &full(x, 0.0), x);
    /// `min(max(x, 0), 6)`; the gradient at 0 and 6 is 0.
    relu6 Relu6 relu6_of;
    /// `1/(1 + e⁻ˣ)`.
    sigmoid Sigmoid |x| float(UnaryKind::Logistic, x);
    /// 0 up to −1, 1 from 1 on, `(x + 1)/2` between.
    sparse_sigmoid SparseSigmoid |x| {
        let upper = select(&compare(Direction::Ge, x, &full(x, 1.0)), &full(x, 1.0), &((x + 1.0) * 0.5));
        select(&compare(Direction::Le, x, &full(x, -1.0)), &full(x, 0.0), &upper)
    };
    /// `log(1 + eˣ)`.
    softplus Softplus softplus_of;
    /// `x/(1 + |x|)`.
    softsign Softsign |x| x / (unary(UnaryKind::Abs, x) + 1.0);
    /// 0 up to −1, `x` from 1 on, `(x + 1)²/4` between.
    sparse_plus SparsePlus |x| {
        let between = ops::square(&(x + 1.0)) * 0.25;
        let upper = select(&compare(Direction::Lt, x, &full(x, 1.0)), &between, x);
        select(&compare(Direction::Le, x, &full(x, -1.0)), &full(x, 0.0), &upper)
    };
    /// `x · sigmoid(x)`, also known as swish.
    silu Silu |x| pointwise(x, |b, x| {
        let share = b.unary(UnaryKind::Logistic, x);
        b.mul(x, share)
    });
    /// `log(sigmoid(x))`.
    log_sigmoid LogSigmoid |x| unary(UnaryKind::Neg, &softplus_of(&unary(UnaryKind::Neg, x)));
    /// `min(max(x + 3, 0), 6)/6`.
    hard_sigmoid HardSigmoid hard_sigmoid_of;
    /// `x · hard_sigmoid(x)`, also known as hard swish.
    hard_silu HardSilu |x| x * hard_sigmoid_of(x);
    /// `1.0507 · elu(x, 1.6733)` with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017,
    /// <https://arxiv.org/abs/1706.02515>).
    selu Selu |x| exponential_linear(compare(Direction::Ge, x, &full(x, 0.0)), x, 1.0507009873554805, 1.6732632423543772);
    /// `x − tanh x`.
    tanh_shrink TanhShrink |x| x - unary(UnaryKind::Tanh, x);
    /// `x` clipped to `[−1, 1]`.
    hard_tanh HardTanh |x| ops::clip(x, -1.0, 1.0);
}

operations! { MODULE;
    SoftShrink { threshold: f64 } (x) compute_soft_shrink;
    HardShrink { threshold: f64 } (x) compute_hard_shrink;
    Threshold { threshold: Number, default_value: Number } (x) compute_threshold;
    Squareplus { b: Number } (x) compute_squareplus;
    LeakyRelu { negative_slope: f64 } (x) compute_leaky_relu;
    Elu { alpha: f64 } (x) compute_elu;
    Celu { alpha: f64 } (x) compute_celu;
    Gelu { approximate: bool } (x) compute_gelu;
    Glu { axis: i64 } (x) compute_glu;
}

/// `x` moved towards 0 by `threshold` (Keras's default is 0.5), 0 within it.
#[track_caller]
pub fn soft_shrink(x: &Tensor, threshold: f64) -> Tensor {
    apply(SoftShrink { threshold }, Args::new(x))
}

fn compute_soft_shrink(op: &SoftShrink, x: Tensor) -> Tensor {
    let low = compare(Direction::Lt, &x, &full(&x, -op.threshold));
    let rest = select(&low, &(&x + op.threshold), &full(&x, 0.0));
    select(&above(&x, op.threshold), &(&x - op.threshold), &rest)
}

/// `x` where `|x|` is above `threshold` (Keras's default is 0.5), else 0.
#[track_caller]
pub fn hard_shrink(x: &Tensor, threshold: f64) -> Tensor {
    apply(HardShrink { threshold }, Args::new(x))
}

fn compute_hard_shrink(op: &HardShrink, x: Tensor) -> Tensor {
    select(&above(&unary(UnaryKind::Abs, &x), op.threshold), &x, &full(&x, 0.0))
}

/// `x` where it is above `threshold`, else `default_value`.
#[track_caller]
pub fn threshold(x: &Tensor, threshold: impl Into<Number>, default_value: impl Into<Number>) -> Tensor {
    apply(Threshold { threshold: threshold.into(), default_value: default_value.into() }, Args::new(x))
}

fn compute_threshold(op: &Threshold, x: Tensor) -> Tensor {
    select(&above(&x, op.threshold.value()), &x, &full(&x, op.default_value.value()))
}

/// `(x + √(x² + b))/2` (Keras's default for `b` is 4).
#[track_caller]
pub fn squareplus(x: &Tensor, b: impl Into<Number>) -> Tensor {
    apply(Squareplus { b: b.into() }, Args::new(x))
}

fn compute_squareplus(op: &Squareplus, x: Tensor) -> Tensor {
    (&x + ops::sqrt(&(ops::square(&x) + op.b.value()))) / 2.0
}

/// `x` above 0, `negative_slope · x` (Keras's default is 0.2) elsewhere.
#[track_caller]
pub fn leaky_relu(x: &Tensor, negative_slope: f64) -> Tensor {
    apply(LeakyRelu { negative_slope }, Args::new(x))
}

fn compute_leaky_relu(op: &LeakyRelu, x: Tensor) -> Tensor {
    select(&above(&x, 0.0), &x, &(&x * op.negative_slope))
}

/// `x` above 0, `alpha · (eˣ − 1)` (Keras's default for `alpha` is 1) elsewhere.
#[track_caller]
pub fn elu(x: &Tensor, alpha: f64) -> Tensor {
    apply(Elu { alpha }, Args::new(x))
}

fn compute_elu(op: &Elu, x: Tensor) -> Tensor {
    exponential_linear(above(&x, 0.0), &x, 1.0, op.alpha)
}

/// `max(x, 0) + min(0, alpha · (exp(x/alpha) − 1))` (Keras's default for `alpha` is 1).
#[track_caller]
pub fn celu(x: &Tensor, alpha: f64) -> Tensor {
    apply(Celu { alpha }, Args::new(x))
}

fn compute_celu(op: &Celu, x: Tensor) -> Tensor {
    let negative = binary(BinaryKind::Minimum, &x, &full(&x, 0.0)) / op.alpha;
    binary(BinaryKind::Maximum, &x, &full(&x, 0.0)) + unary(UnaryKind::Expm1, &negative) * op.alpha
}

/// `x · Φ(x)` with the normal distribution function `Φ(x) = (1 + erf(x/√2))/2`, or, if `approximate` (Keras's default
/// here, but not of the activation), with `tanh` for it.
///
/// # References
/// Hendrycks and Gimpel, *Gaussian error linear units*, 2016, <https://arxiv.org/abs/1606.08415>.
#[track_caller]
pub fn gelu(x: &Tensor, approximate: bool) -> Tensor {
    apply(Gelu { approximate }, Args::new(x))
}

fn compute_gelu(op: &Gelu, x: Tensor) -> Tensor {
    let approximate = op.approximate;
    pointwise(&x, move |b, x| {
        let share = if approximate {
            // √(2/π)
            const FACTOR: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
            let square = b.mul(x, x);
            let cube = b.mul(square, x);
            let bend = b.scale(cube, 0.044715);
            let sum = b.add(x, bend);
            let scaled = b.scale(sum, FACTOR);
            b.unary(UnaryKind::Tanh, scaled)
        } else {
            let scaled = b.scale(x, std::f64::consts::FRAC_1_SQRT_2);
            b.unary(UnaryKind::Erf, scaled)
        };
        let (half, share) = (b.scale(x, 0.5), b.shift(share, 1.0));
        b.mul(half, share)
    })
}

/// `a · sigmoid(b)` of the halves `a` and `b` of `x` along `axis` (Keras's default is −1).
#[track_caller]
pub fn glu(x: &Tensor, axis: i64) -> Tensor {
    apply(Glu { axis }, Args::new(x))
}

fn compute_glu(op: &Glu, x: Tensor) -> Result<Tensor> {
    let axis = axis_of(op.axis, x.rank())?;
    let Some(half) = x.shape()[axis].known().filter(|n| n % 2 == 0).map(|n| n / 2) else {
        return Err(Error::shape("glu", format!("axis {axis} of {} is not even", x.ty()), "give an even size"));
    };
    let gate = sliced(&x, axis, half, 2 * half);
    Ok(sliced(&x, axis, 0, half) * unary(UnaryKind::Logistic, &gate))
}

/// [`silu`] by its other name.
#[track_caller]
pub fn swish(x: &Tensor) -> Tensor {
    silu(x)
}

/// [`hard_silu`] by its other name.
#[track_caller]
pub fn hard_swish(x: &Tensor) -> Tensor {
    hard_silu(x)
}
