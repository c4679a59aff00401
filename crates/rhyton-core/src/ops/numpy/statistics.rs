//! Quantiles, counts and correlations: `median`, `quantile`, `bincount`, `histogram`, `corrcoef`, …

use rhyton_ir::{Array, DType, Dim, Shape};
use serde::{Deserialize, Serialize};

use super::MODULE;
use super::indexing::taken;
use super::sorting::sorted;
use crate::error::{Error, Result};
use crate::nest::Args;
use crate::ops::class::{exactly, float_of, operations};
use crate::ops::primitives::{permute, reshaped, select};
use crate::ops::{self, Axes, Operand, apply, apply_all};
use crate::promotion::promote;
use crate::tensor::Tensor;

operations! { MODULE;
    Median { axis: Axes, keepdims: bool } (x) compute_median;
    Quantile { axis: Axes, method: String, keepdims: bool } (x, q) compute_quantile;
    Percentile { axis: Axes, method: String, keepdims: bool } (x, q) compute_percentile;
    Nanmedian { axis: Axes, keepdims: bool } (x) compute_nanmedian;
    Nanquantile { axis: Axes, method: String, keepdims: bool } (x, q) compute_nanquantile;
    Nanpercentile { axis: Axes, method: String, keepdims: bool } (x, q) compute_nanpercentile;
    Bincount { weights: Option<Vec<f64>>, minlength: usize, sparse: bool } (x) compute_bincount;
    Histogram { bins: usize, range: Option<[f64; 2]> } (x) compute_histogram;
    Corrcoef {} (x) compute_corrcoef;
    Correlate { mode: String } (x1, x2) compute_correlate;
}

/// The middle of the ordered elements over `axis`; the mean of the two middle ones of an even number.
#[track_caller]
pub fn median(x: &Tensor, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
    apply(Median { axis: axis.into(), keepdims }, Args::new(x))
}

fn compute_median(op: &Median, x: Tensor) -> Result<Tensor> {
    quantiles(&x, &Operand::Float(0.5), &op.axis, "linear", op.keepdims, Nans::Spread)
}

/// [`median`] of the elements that are not NaN; NaN if there are none.
#[track_caller]
pub fn nanmedian(x: &Tensor, axis: impl Into<Axes>, keepdims: bool) -> Tensor {
    apply(Nanmedian { axis: axis.into(), keepdims }, Args::new(x))
}

fn compute_nanmedian(op: &Nanmedian, x: Tensor) -> Result<Tensor> {
    // No axis is none here, not all of them.
    if op.axis.resolve(x.rank())?.is_empty() && x.rank() > 0 {
        return Ok(x);
    }
    quantiles(&x, &Operand::Float(0.5), &op.axis, "linear", op.keepdims, Nans::LeftOut)
}

/// The element below which a share `q` of the ordered elements over `axis` lies; for a vector `q` one each, along a new first
/// axis. Between two elements `method` decides: `"linear"` (Keras's default), `"lower"`, `"higher"`, `"midpoint"` or
/// `"nearest"`. NaN if an element is. The values of `q` must be known.
#[track_caller]
pub fn quantile(x: &Tensor, q: impl Into<Operand>, axis: impl Into<Axes>, method: &str, keepdims: bool) -> Tensor {
    let op = Quantile { axis: axis.into(), method: method.to_owned(), keepdims };
    apply(op, Args::new(x).and(q.into().to_nest()))
}

fn compute_quantile(op: &Quantile, x: Tensor, q: Operand) -> Result<Tensor> {
    quantiles(&x, &q, &op.axis, &op.method, op.keepdims, Nans::Spread)
}

/// [`quantile`] of the elements that are not NaN; NaN if there are none.
#[track_caller]
pub fn nanquantile(x: &Tensor, q: impl Into<Operand>, axis: impl Into<Axes>, method: &str, keepdims: bool) -> Tensor {
    let op = Nanquantile { axis: axis.into(), method: method.to_owned(), keepdims };
    apply(op, Args::new(x).and(q.into().to_nest()))
}

fn compute_nanquantile(op: &Nanquantile, x: Tensor, q: Operand) -> Result<Tensor> {
    quantiles(&x, &q, &op.axis, &op.method, op.keepdims, Nans::LeftOut)
}

/// [`quantile`] of `q/100`.
#[track_caller]
pub fn percentile(x: &Tensor, q: impl Into<Operand>, axis: impl Into<Axes>, method: &str, keepdims: bool) -> Tensor {
    let op = Percentile { axis: axis.into(), method: method.to_owned(), keepdims };
    apply(op, Args::new(x).and(q.into().to_nest()))
}

fn compute_percentile(op: &Percentile, x: Tensor, q: Operand) -> Result<Tensor> {
    quantiles(&x, &hundredths(&q), &op.axis, &op.method, op.keepdims, Nans::Spread)
}

/// [`nanquantile`] of `q/100`.
#[track_caller]
pub fn nanpercentile(x: &Tensor, q: impl Into<Operand>, axis: impl Into<Axes>, method: &str, keepdims: bool) -> Tensor {
    let op = Nanpercentile { axis: axis.into(), method: method.to_owned(), keepdims };
    apply(op, Args::new(x).and(q.into().to_nest()))
}

fn compute_nanpercentile(op: &Nanpercentile, x: Tensor, q: Operand) -> Result<Tensor> {
    quantiles(&x, &hundredths(&q), &op.axis, &op.method, op.keepdims, Nans::LeftOut)
}

fn hundredths(q: &Operand) -> Operand {
    Operand::Tensor(q.to_tensor(DType::F32) / 100.0)
}

/// `axes` moved to the end as one axis, its size, and the shape that the result has with `keepdims`.
fn gathered_axes(x: &Tensor, axes: &Axes) -> Result<(Tensor, Dim, Shape)> {
    let axes = axes.resolve(x.rank())?;
    let kept: Vec<usize> = (0..x.rank()).filter(|a| !axes.contains(a)).collect();
    let order: Vec<usize> = kept.iter().chain(&axes).copied().collect();
    let size = axes.iter().fold(Dim::Known(1), |n, &a| n * x.shape()[a].clone());
    let shape: Shape = kept.iter().map(|&a| x.shape()[a].clone()).chain([size.clone()]).collect();
    Ok((reshaped(&permute(x, &order), shape), size, super::reduction::kept(x.shape(), &axes)))
}

/// What quantiles are of lines with NaN.
#[derive(Clone, Copy, PartialEq)]
enum Nans {
    /// NaN.
    Spread,
    /// Those of the other elements.
    LeftOut,
}

fn quantiles(x: &Tensor, q: &Operand, axes: &Axes, method: &str, keepdims: bool, nans: Nans) -> Result<Tensor> {
    let x = x.cast(float_of(x.dtype()));
    let (lines, size, kept) = gathered_axes(&x, axes)?;
    let Some(size) = size.known().filter(|&n| n > 0) else {
        return Err(Error::shape("quantile", format!("{} over {axes:?}", x.ty()), "give known sizes, not 0"));
    };
    let is_nan = ops::isnan(&lines);
    // The largest place of each line that counts: NaN that are left out go behind it.
    let (lines, last, none) = match nans {
        Nans::Spread => (lines, Tensor::from((size - 1) as f64), ops::any(&is_nan, -1, false)),
        Nans::LeftOut => {
            let count = ops::sum(&ops::logical_not(&is_nan).cast(DType::F64), -1, false);
            let infinite = crate::ops::primitives::filled(x.dtype(), lines.shape(), f64::INFINITY);
            (select(&is_nan, &infinite, &lines), count - 1.0, ops::all(&is_nan, -1, false))
        }
    };
    let [ordered, _] = sorted(&lines, lines.rank() - 1, false);
    let q = q.to_tensor(DType::F64);
    let shares = q.eval()?.to_f64_vec();
    if q.rank() > 1 || shares.iter().any(|q| !(0.0..=1.0).contains(q)) {
        return Err(Error::argument("quantile", format!("q {shares:?}"), "give numbers from 0 to 1, at most a vector"));
    }
    let mut results = Vec::new();
    for share in shares {
        let value = between(&ordered, &(&last * share), &last, method)?;
        let nans = crate::ops::primitives::filled(x.dtype(), value.check()?.shape(), f64::NAN);
        let value = select(&none, &nans, &value);
        results.push(if keepdims { reshaped(value.check()?, kept.clone()) } else { value });
    }
    Ok(if q.rank() == 0 { results.swap_remove(0) } else { ops::stack(&results, 0) })
}

/// The elements of `ordered` lines at the places `exact`, which lie between whole ones up to `last`: a number, or one a line.
fn between(ordered: &Tensor, exact: &Tensor, last: &Tensor, method: &str) -> Result<Tensor> {
    let axis = ordered.rank() - 1;
    let at = |place: Tensor| -> Result<Tensor> {
        // The place before the first is that of a line without elements.
        let place = ops::maximum(ops::minimum(&place, last), 0.0).cast(DType::I32);
        if place.check()?.rank() == 0 {
            return taken(ordered, &place, axis);
        }
        Ok(ops::squeeze(&ops::take_along_axis(ordered, &ops::expand_dims(&place, -1), Some(-1)), -1))
    };
    match method {
        "lower" => at(ops::floor(exact)),
        "higher" => at(ops::ceil(exact)),
        "nearest" => at(ops::round(exact, 0)),
        "midpoint" => Ok((at(ops::floor(exact))? + at(ops::ceil(exact))?) * 0.5),
        "linear" => {
            // As TensorFlow Probability: the weight is that of the smaller of two neighbours.
            let smaller = ops::maximum(&(ops::ceil(exact) - 1.0), 0.0);
            let larger = ops::minimum(&(&smaller + 1.0), last);
            let weight = (&larger - exact).cast(ordered.dtype());
            Ok(at(larger)? * (1.0 - &weight) + at(smaller)? * weight)
        }
        other => {
            let fix = "use linear, lower, higher, midpoint or nearest";
            Err(Error::argument("quantile", format!("the method {other:?}"), fix))
        }
    }
}

/// How often each of the numbers `0, 1, …` is in `x` (along the last axis), or the sum of its `weights`: as many as
/// `minlength`, or as the largest number of `x` asks for, whose values must then be known.
#[track_caller]
pub fn bincount(x: &Tensor, weights: Option<&Tensor>, minlength: usize) -> Tensor {
    match weights {
        None => apply(Bincount { weights: None, minlength, sparse: false }, Args::new(x)),
        // Keras's class takes weights that are values only.
        Some(weights) => Tensor::from(counts(x, Some(weights), minlength)),
    }
}

fn compute_bincount(op: &Bincount, x: Tensor) -> Result<Tensor> {
    if op.sparse {
        return Err(Error::unsupported("bincount", "sparse tensors", "leave sparse false"));
    }
    let weights = op.weights.as_ref().map(|w| Tensor::new([w.len()], w.clone()).cast(DType::F32));
    counts(&x, weights.as_ref(), op.minlength)
}

fn counts(x: &Tensor, weights: Option<&Tensor>, minlength: usize) -> Result<Tensor> {
    if x.check()?.rank() == 0 || x.dtype().is_float() {
        return Err(Error::dtype("bincount", format!("of {}", x.ty()), "give integers with at least one axis"));
    }
    let largest = x.eval()?.to_f64_vec().into_iter().fold(-1.0, f64::max);
    let count = minlength.max((largest + 1.0).max(0.0) as usize);
    let dtype = weights.map_or(DType::I32, |w| promote(x.dtype(), w.dtype()));
    let hot = ops::one_hot(&x.cast(DType::I64), count, -1, Some(dtype));
    let hot = match weights {
        Some(weights) => hot * ops::expand_dims(&weights.cast(dtype), -1),
        None => hot,
    };
    Ok(ops::sum(&hot, -2, false).cast(dtype))
}

/// How many elements of `x` lie in each of `bins` equal intervals of `range` (of the smallest to the largest element unless
/// given), and the `bins + 1` bounds of these. The last interval has both bounds, the others the lower one.
#[track_caller]
pub fn histogram(x: &Tensor, bins: usize, range: Option<[f64; 2]>) -> (Tensor, Tensor) {
    let [counts, edges] = exactly(apply_all(Histogram { bins, range }, Args::new(x)));
    (counts, edges)
}

fn compute_histogram(op: &Histogram, x: Tensor) -> Result<[Tensor; 2]> {
    if op.bins == 0 {
        return Err(Error::argument("histogram", "no bins", "give at least one"));
    }
    let line = ops::ravel(&x);
    let [low, high] = match op.range {
        Some(range) => range.map(|v| Operand::Float(v).to_tensor(x.dtype())),
        None => [ops::min(&line, Axes::All, false), ops::max(&line, Axes::All, false)],
    };
    let edges = ops::linspace(&low, &high, op.bins + 1, true, None, 0).cast(x.dtype());
    let inside = ops::logical_and(ops::greater_equal(&line, &low), ops::less_equal(&line, &high));
    let inner = ops::get_item(&edges, ops::Index::range(Some(1), Some(-1)));
    let place = ops::searchsorted(&inner, &line, "right");
    let hot = ops::one_hot(&place, op.bins, -1, Some(x.dtype()));
    let counted = hot * ops::expand_dims(&inside.cast(x.dtype()), -1);
    Ok([ops::sum(&counted, 0, false).cast(x.dtype()), edges])
}

/// The correlation coefficients of the rows of a matrix.
#[track_caller]
pub fn corrcoef(x: &Tensor) -> Tensor {
    apply(Corrcoef {}, Args::new(x))
}

fn compute_corrcoef(_: &Corrcoef, x: Tensor) -> Result<Tensor> {
    let dtype = float_of(x.dtype());
    if x.rank() == 0 {
        return Ok(Tensor::from(f32::NAN));
    }
    let x = x.cast(dtype);
    let x = if x.rank() == 1 { ops::expand_dims(&x, 0) } else { x };
    let centred = &x - ops::mean(&x, -1, true);
    let covariance = ops::matmul(&centred, ops::swapaxes(&centred, -1, -2));
    let deviations = ops::sqrt(&ops::diagonal(&covariance, 0, -2, -1));
    let products = ops::expand_dims(&deviations, -1) * ops::expand_dims(&deviations, -2);
    Ok(ops::clip(&(covariance / products), -1.0, 1.0))
}

/// The sums of products of the vectors `x1` and `x2` shifted against each other: where they overlap wholly for the mode
/// `"valid"` (Keras's default), at all for `"full"`, of the length of the longer one for `"same"`.
#[track_caller]
pub fn correlate(x1: &Tensor, x2: &Tensor, mode: &str) -> Tensor {
    apply(Correlate { mode: mode.to_owned() }, Args::new(x1).and(x2))
}

fn compute_correlate(op: &Correlate, x: Tensor, y: Tensor) -> Result<Tensor> {
    let dtype = match promote(x.dtype(), y.dtype()) {
        DType::I64 => DType::F64,
        other => float_of(other),
    };
    let (Some(n), Some(m)) = (x.dim(0).known(), y.dim(0).known()) else {
        return Err(Error::shape("correlate", "vectors of unknown size", "give known sizes"));
    };
    if x.rank() != 1 || y.rank() != 1 || m == 0 {
        return Err(Error::shape("correlate", format!("{} and {}", x.ty(), y.ty()), "give vectors"));
    }
    let pad = if op.mode == "valid" { 0 } else { m as i64 - 1 };
    let x = super::pad::padded(&x.cast(dtype), &[(pad, pad)], 0.0)?;
    let images = reshaped(&x, [1, n + 2 * pad as usize, 1]);
    let kernel = reshaped(&y.cast(dtype), [m, 1, 1]);
    let out = ops::ravel(&ops::conv(&images, &kernel, 1, "valid", None, 1));
    match op.mode.as_str() {
        "valid" | "full" => Ok(out),
        "same" => {
            let start = (n + m - 1 - n.max(m)) / 2;
            Ok(ops::get_item(&out, start..start + n.max(m)))
        }
        mode => Err(Error::argument("correlate", format!("the mode {mode:?}"), "use valid, same or full")),
    }
}

/// Which parts of [`unique`] are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// Where each value occurs first.
    pub index: bool,
    /// Which value each element is.
    pub inverse: bool,
    /// How often each value occurs.
    pub counts: bool,
}

/// The distinct elements of `x` in ascending order, and further what `wanted` says, as `int32`. How many there are depends on
/// the values, which must be known.
///
/// # Errors
/// If `x` carries an error or is a parameter of a function being traced.
pub fn unique(x: &Tensor, wanted: Unique) -> Result<Vec<Tensor>> {
    let [ordered, places] = sorted(&ops::ravel(x), 0, false);
    let values = ordered.eval()?.to_f64_vec();
    let places: Vec<i32> = places.to_vec()?;
    let mut first: Vec<usize> = Vec::new();
    let mut inverse = vec![0i32; values.len()];
    for (i, value) in values.iter().enumerate() {
        if first.last().is_none_or(|&f| values[f] != *value) {
            first.push(i);
        }
        inverse[places[i] as usize] = first.len() as i32 - 1;
    }
    let vector = |values: Vec<i32>| Tensor::from(Array::new([values.len()], values));
    let mut results = vec![taken(&ordered, &vector(first.iter().map(|&f| f as i32).collect()), 0)?];
    if wanted.index {
        results.push(vector(first.iter().map(|&f| places[f]).collect()));
    }
    if wanted.inverse {
        results.push(reshaped(&vector(inverse), x.shape().clone()));
    }
    if wanted.counts {
        let ends = first.iter().skip(1).copied().chain([values.len()]);
        results.push(vector(first.iter().zip(ends).map(|(&f, end)| (end - f) as i32).collect()));
    }
    Ok(results)
}

/// For each axis, where the elements that are not 0 are, as `int32`. How many there are depends on the values, which must be
/// known.
///
/// # Errors
/// If `x` carries an error or is a parameter of a function being traced.
pub fn nonzero(x: &Tensor) -> Result<Vec<Tensor>> {
    let values = x.eval()?;
    let mut rest: Vec<usize> = (0..values.len()).filter(|&i| values.data().get_f64(i) != 0.0).collect();
    let mut places = Vec::new();
    for &size in values.shape().iter().rev() {
        places.push(Tensor::from(Array::new([rest.len()], rest.iter().map(|i| (i % size) as i32).collect::<Vec<_>>())));
        rest.iter_mut().for_each(|i| *i /= size);
    }
    places.reverse();
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_elements_with_their_places() {
        let x = Tensor::new([2, 3], vec![3i32, 1, 3, 2, 1, 3]);
        let parts = unique(&x, Unique { index: true, inverse: true, counts: true }).unwrap();
        let values: Vec<Vec<i32>> = parts.iter().map(|p| p.to_vec().unwrap()).collect();
        assert_eq!(values, [vec![1, 2, 3], vec![1, 3, 0], vec![2, 0, 2, 1, 0, 2], vec![2, 1, 3]]);
        assert_eq!(parts[2].shape().known(), Some(vec![2, 3]));
    }

    #[test]
    fn places_of_what_is_not_zero() {
        let x = Tensor::new([2, 2], vec![0.0f32, 1.0, 2.0, 0.0]);
        let places: Vec<Vec<i32>> = nonzero(&x).unwrap().iter().map(|p| p.to_vec().unwrap()).collect();
        assert_eq!(places, [[0, 1], [1, 0]]);
    }

    #[test]
    fn counts_by_number() {
        let x = Tensor::new([4], vec![1i32, 0, 1, 3]);
        assert_eq!(bincount(&x, None, 2).to_vec::<i32>().unwrap(), [1, 2, 0, 1]);
        let weights = Tensor::new([4], vec![0.5f32, 1.0, 2.0, 3.0]);
        assert_eq!(bincount(&x, Some(&weights), 5).to_vec::<f32>().unwrap(), [1.0, 2.5, 0.0, 3.0, 0.0]);
    }
}
