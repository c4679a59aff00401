//! Statistics and normalisation: `moments`, `batch_normalization`, `layer_normalization`, `normalize`, …

use std::sync::Arc;

use rhyton_ir::op::{Composite, CompositeKind, UnaryKind};
use rhyton_ir::{Builder, DType, Dim, Graph, Shape};

use super::MODULE;
use crate::config::epsilon;
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::axis as axis_of;
use crate::ops::class::{exactly, operations};
use crate::ops::numpy::float;
use crate::ops::primitives::reshaped;
use crate::ops::{self, Axes, apply, apply_all};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    Moments { axes: Axes, keepdims: bool, synchronized: bool } (x) compute_moments;
    BatchNorm { axis: i64, epsilon: f64 } (x, mean, variance, offset, scale) compute_batch_norm;
    LayerNorm { axis: Axes, epsilon: Option<f64>, rms_scaling: bool } (x, gamma, beta) compute_layer_norm;
    RMSNorm { axis: Axes, epsilon: Option<f64> } (x, scale) compute_rms_norm;
    Normalize { axis: Axes, order: u32, epsilon: Option<f64> } (x) compute_normalize;
}

/// The mean and the variance over `axes`; of half precision, computed in `float32`. `synchronized` statistics over several
/// devices are those of one: there is one.
#[track_caller]
pub fn moments(x: &Tensor, axes: impl Into<Axes>, keepdims: bool, synchronized: bool) -> (Tensor, Tensor) {
    let [mean, variance] = exactly(apply_all(Moments { axes: axes.into(), keepdims, synchronized }, Args::new(x)));
    (mean, variance)
}

fn compute_moments(op: &Moments, x: Tensor) -> [Tensor; 2] {
    let dtype = x.dtype();
    let wide = if dtype.is_float() && dtype.size() == 2 { x.cast(DType::F32) } else { x };
    let mean = ops::mean(&wide, op.axes.clone(), true);
    // Around a number: what the variance's gradient owes to the mean is 0, and summing that up would take another pass over
    // `x`. What is subtracted is 0 as well, but its second derivative is what the mean owes.
    let fixed = ops::stop_gradient(&mean);
    let variance = ops::mean(&ops::square(&(&wide - &fixed)), op.axes.clone(), true) - ops::square(&(&mean - fixed));
    let kept = |t: Tensor| if op.keepdims { t } else { ops::squeeze(&t, op.axes.clone()) };
    let (mean, variance) = (kept(mean), kept(variance));
    if wide.dtype() == dtype {
        return [mean, variance];
    }
    let largest = ops::largest(DType::F16);
    [mean, variance].map(|t| ops::clip(&t, -largest, largest).cast(dtype))
}

/// `(x − mean)/√(variance + epsilon) · scale + offset` with vectors along `axis` (Keras's default for `epsilon` is 0.001).
#[track_caller]
pub fn batch_normalization(
    x: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    axis: i64,
    offset: Option<&Tensor>,
    scale: Option<&Tensor>,
    epsilon: f64,
) -> Tensor {
    let args = Args::new(x).and(mean).and(variance).and(Nest::from(offset)).and(Nest::from(scale));
    apply(BatchNorm { axis, epsilon }, args)
}

fn compute_batch_norm(
    op: &BatchNorm,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    offset: Option<Tensor>,
    scale: Option<Tensor>,
) -> Result<Tensor> {
    let axis = axis_of(op.axis, x.rank())?;
    let aligned = |t: &Tensor| -> Result<Tensor> {
        if t.rank() != 1 || !t.dim(0).compatible(&x.shape()[axis]) {
            return Err(Error::shape(
                "batch_normalization",
                format!("a statistic {} for axis {axis} of {}", t.ty(), x.ty()),
                "give vectors as long as the axis",
            ));
        }
        let size = |a: usize| if a == axis { t.dim(0) } else { Dim::Known(1) };
        Ok(reshaped(t, (0..x.rank()).map(size).collect::<Shape>()))
    };
    let (mean, variance) = (aligned(&mean)?, aligned(&variance)?);
    let mut factor = float(UnaryKind::Rsqrt, &(variance + op.epsilon));
    if let Some(scale) = scale {
        factor = factor * aligned(&scale)?;
    }
    let mut shift = ops::negative(&(&mean * &factor));
    if let Some(offset) = offset {
        shift = shift + aligned(&offset)?;
    }
    Ok(&x * factor.cast(x.dtype()) + shift.cast(x.dtype()))
}

/// `(x − mean)/√(variance + epsilon) · gamma + beta` over the axes `axis` (Keras's defaults: −1, and 1e-7 for `epsilon`); of
/// half precision, computed in `float32`. With `rms_scaling`, which Keras has deprecated, the mean is not subtracted and
/// `beta` is not added.
#[track_caller]
pub fn layer_normalization(
    x: &Tensor,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    axis: impl Into<Axes>,
    epsilon: Option<f64>,
    rms_scaling: bool,
) -> Tensor {
    let args = Args::new(x).and(Nest::from(gamma)).and(Nest::from(beta));
    apply(LayerNorm { axis: axis.into(), epsilon, rms_scaling }, args)
}

fn compute_layer_norm(op: &LayerNorm, x: Tensor, gamma: Option<Tensor>, beta: Option<Tensor>) -> Result<Tensor> {
    let (result, epsilon) = (x.dtype(), op.epsilon.unwrap_or_else(epsilon));
    let x = x.cast(promote(result, DType::F32));
    let axes = op.axis.resolve(x.rank())?;
    // Weights of one axis broadcast from the last; of others they are put in place.
    let aligned = |t: Tensor| {
        let t = t.cast(x.dtype());
        let sizes = (0..x.rank()).map(|a| if axes.contains(&a) { x.shape()[a].clone() } else { Dim::Known(1) });
        if t.rank() == x.rank() || axes == [x.rank() - 1] { t } else { reshaped(&t, sizes.collect::<Shape>()) }
    };
    let over: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
    if op.rms_scaling {
        let factor = float(UnaryKind::Rsqrt, &(ops::var(&x, over, true) + epsilon));
        let scaled = &x * factor;
        return Ok(gamma.map_or_else(|| scaled.clone(), |gamma| &scaled * aligned(gamma)).cast(result));
    }
    if let (Some(gamma), Some(beta), [last]) = (&gamma, &beta, &axes[..])
        && *last == x.rank() - 1
        && gamma.rank() == 1
        && beta.rank() == 1
    {
        let (gamma, beta) = (gamma.cast(x.dtype()), beta.cast(x.dtype()));
        return Ok(layer_norm(&x, &gamma, &beta, epsilon)?.check()?.cast(result));
    }
    let (mean, variance) = moments(&x, over, true, false);
    let mut factor = float(UnaryKind::Rsqrt, &(variance + epsilon));
    if let Some(gamma) = gamma {
        factor = factor * aligned(gamma);
    }
    let mut shift = ops::negative(&(mean * &factor));
    if let Some(beta) = beta {
        shift = shift + aligned(beta);
    }
    Ok((&x * factor + shift).cast(result))
}

/// Layer normalisation over the last axis as the composite for which back ends have a kernel.
fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, epsilon: f64) -> Result<Tensor> {
    let mut graph = Graph::new();
    let [vx, vgamma, vbeta] = [x, gamma, beta].map(|t| graph.parameter(t.ty().clone()));
    let mut b = Builder::new(&mut graph);
    let (shape, last) = (x.shape(), x.rank() - 1);
    // The size as a value, so that it may be a symbol.
    let ones = b.full(&x.ty().with_shape(vec![x.shape()[last].clone()]), 1.0);
    let size = b.sum(ones, &[0]);
    let mean_of = |b: &mut Builder, v| {
        let sum = b.sum(v, &[last]);
        let count = b.broadcast(size, b.shape(sum), &[]);
        let mean = b.div(sum, count);
        b.restore(mean, shape, &[last])
    };
    let mean = mean_of(&mut b, vx);
    let centred = b.sub(vx, mean);
    let squares = b.mul(centred, centred);
    let variance = mean_of(&mut b, squares);
    let variance = b.shift(variance, epsilon);
    let factor = b.unary(UnaryKind::Rsqrt, variance);
    let normal = b.mul(centred, factor);
    let gamma_everywhere = b.broadcast(vgamma, shape.clone(), &[last]);
    let beta_everywhere = b.broadcast(vbeta, shape.clone(), &[last]);
    let scaled = b.mul(normal, gamma_everywhere);
    let out = b.add(scaled, beta_everywhere);
    b.finish()?;
    graph.set_outputs(vec![out]);
    let composite = Composite { kind: CompositeKind::LayerNorm { epsilon }, decomposition: Arc::new(graph) };
    Ok(Tensor::apply(composite, &[x, gamma, beta]))
}

/// `x/√(mean(x²) + epsilon) · scale` over the axes `axis` (Keras's defaults: −1, and 1e-7 for `epsilon`); of half precision,
/// computed in `float32`.
#[track_caller]
pub fn rms_normalization(x: &Tensor, scale: Option<&Tensor>, axis: impl Into<Axes>, epsilon: Option<f64>) -> Tensor {
    let mut args = Args::new(x);
    args.named.insert("scale".to_owned(), scale.into());
    apply(RMSNorm { axis: axis.into(), epsilon }, args)
}

fn compute_rms_norm(op: &RMSNorm, x: Tensor, scale: Option<Tensor>) -> Tensor {
    let result = x.dtype();
    let x = x.cast(promote(result, DType::F32));
    let x = if x.rank() == 0 { ops::expand_dims(&x, 0) } else { x };
    let mean = ops::mean(&ops::square(&x), op.axis.clone(), true);
    let mut out = &x * float(UnaryKind::Rsqrt, &(mean + op.epsilon.unwrap_or_else(epsilon)));
    if let Some(scale) = scale {
        out = out * scale.cast(x.dtype());
    }
    out.cast(result)
}

/// `x` divided by its norm of `order` over `axis` (Keras's defaults: 2, −1), which counts as at least `epsilon` (1e-7).
#[track_caller]
pub fn normalize(x: &Tensor, axis: impl Into<Axes>, order: u32, epsilon: Option<f64>) -> Tensor {
    apply(Normalize { axis: axis.into(), order, epsilon }, Args::new(x))
}

fn compute_normalize(op: &Normalize, x: Tensor) -> Result<Tensor> {
    let epsilon = op.epsilon.unwrap_or_else(epsilon);
    let x = if x.rank() == 0 { ops::expand_dims(&x, 0) } else { x };
    let x = x.cast(crate::ops::class::float_of(x.dtype()));
    match op.order {
        0 => Err(Error::argument("normalize", "the order 0", "give an order of at least 1")),
        2 => {
            let squares = ops::sum(&ops::square(&x), op.axis.clone(), true);
            // Bounded before the root: at 0 the root's gradient is infinite, and 0 · ∞ would be NaN.
            let inverse = float(UnaryKind::Rsqrt, &ops::maximum(&squares, epsilon * epsilon));
            Ok(x * inverse)
        }
        order => {
            let powers = ops::power(ops::absolute(&x), f64::from(order));
            let norm = ops::power(ops::sum(&powers, op.axis.clone(), true), 1.0 / f64::from(order));
            Ok(x / ops::maximum(norm, epsilon))
        }
    }
}

#[cfg(test)]
mod tests {
    use rhyton_ir::Array;

    use super::*;
    use crate::tensor::grad;

    /// With `g = ∂variance/∂x = 2/n · (x − mean)`, the gradient of `Σ w · g` is `2/n · (w − mean of w)`: the mean, which the first
    /// derivative owes nothing, counts in the second.
    #[test]
    fn the_second_derivative_of_the_variance_is_that_by_hand() {
        let x = Tensor::from(Array::new([4], vec![1.0f64, -2.0, 0.5, 7.0]));
        let w = [0.3, -1.5, 2.0, 0.25];
        let weights = Tensor::from(Array::new([4], w.to_vec()));
        for keepdims in [false, true] {
            let slope =
                |x: &Tensor| grad(|x| ops::sum(&moments(x, 0, keepdims, false).1, Axes::All, false), x).unwrap();
            let expected: Vec<f64> = [1.0, -2.0, 0.5, 7.0].iter().map(|x| (x - 1.625) / 2.0).collect();
            assert_eq!(slope(&x).to_vec::<f64>().unwrap(), expected);
            let second = grad(|x| ops::sum(&(slope(x) * &weights), Axes::All, false), &x).unwrap();
            let mean = w.iter().sum::<f64>() / 4.0;
            for (found, w) in second.to_vec::<f64>().unwrap().into_iter().zip(w) {
                assert!((found - (w - mean) / 2.0).abs() < 1e-12, "{found} for {}", (w - mean) / 2.0);
            }
        }
    }
}
