//! `Discretization`: numbers by the bin that they lie in.

use std::sync::{Arc, Mutex};

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OutputMode;
use super::encode::encode;
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// The number of the bin that each number lies in: how many boundaries are not above it.
///
/// Boundaries are given, or found by [`adapt`](Discretization::adapt) so that bins hold equal shares of the data.
///
/// # Shapes
/// The shape of the input with `OutputMode::Int`; else as [`CategoryEncoding`](super::CategoryEncoding).
///
/// # Dtypes
/// `int32` with `OutputMode::Int`, else the compute dtype.
///
/// # Errors
/// If there are no boundaries, neither given nor adapted.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = Discretization::new([0.0, 1.0]);
/// assert_eq!(layer.call(&Tensor::new([3], vec![-0.5f32, 1.0, 0.5])).to_vec::<i32>()?, [0, 2, 1]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Discretization {
    #[serde(skip)]
    base: Base,
    bin_boundaries: Option<Vec<ops::Number>>,
    num_bins: Option<usize>,
    epsilon: f64,
    output_mode: OutputMode,
    sparse: bool,
    #[serde(skip)]
    adapted: Arc<Mutex<Option<Vec<f64>>>>,
    /// What has been seen of the data.
    #[serde(skip)]
    seen: Arc<Mutex<Option<Summary>>>,
}

keras_layer!(Discretization);

impl Default for Discretization {
    fn default() -> Discretization {
        Discretization {
            base: Base::default(),
            bin_boundaries: None,
            num_bins: None,
            epsilon: 0.01,
            output_mode: OutputMode::Int,
            sparse: false,
            adapted: Arc::default(),
            seen: Arc::default(),
        }
    }
}

impl Discretization {
    /// Bins between `bin_boundaries`, ascending.
    pub fn new(bin_boundaries: impl Into<Vec<f64>>) -> Discretization {
        let boundaries = bin_boundaries.into().into_iter().map(Into::into).collect();
        Discretization { bin_boundaries: Some(boundaries), ..Discretization::default() }
    }

    /// `num_bins` bins whose boundaries [`adapt`](Discretization::adapt) finds.
    pub fn quantiles(num_bins: usize) -> Discretization {
        Discretization { num_bins: Some(num_bins), ..Discretization::default() }
    }

    builders! {
        /// The precision of quantiles as a share of the data; 0.01 unless said.
        epsilon: f64,
        /// The form of the result; numbers unless said.
        output_mode: OutputMode,
    }

    /// Finds the boundaries from data: approximate quantiles, as Keras computes them.
    ///
    /// # Errors
    /// If boundaries were given instead of a number of bins, or there is no data.
    pub fn adapt(&self, data: &Array) -> Result<()> {
        self.reset_state();
        self.update_state(data)?;
        self.finalize_state()
    }

    /// Sees more data; [`finalize_state`](Discretization::finalize_state) finds the boundaries for all of it.
    ///
    /// # Errors
    /// As [`Discretization::adapt`].
    pub fn update_state(&self, data: &Array) -> Result<()> {
        self.bins_to_find()?;
        if data.is_empty() {
            return Err(Error::argument("adapt", "there is no data", "pass at least one element"));
        }
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        let mut merged = Summary::of(data, self.epsilon);
        if let Some(before) = seen.take() {
            merged = merged.and(before);
        }
        *seen = Some(compress(merged, self.epsilon));
        Ok(())
    }

    /// Finds the boundaries for the data that was seen.
    ///
    /// # Errors
    /// If boundaries were given instead of a number of bins, or there was no data.
    pub fn finalize_state(&self) -> Result<()> {
        let bins = self.bins_to_find()?;
        let seen = self.seen.lock().unwrap_or_else(|e| e.into_inner()).take();
        let summary = seen.ok_or_else(|| Error::argument("adapt", "there is no data", "pass at least one element"))?;
        let mut boundaries = compress(summary, 1.0 / bins as f64).values;
        boundaries.pop();
        *self.adapted.lock().unwrap_or_else(|e| e.into_inner()) = Some(boundaries);
        Ok(())
    }

    /// Forgets the data that was seen.
    pub fn reset_state(&self) {
        *self.seen.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }

    /// How many bins there are, if it is known.
    pub(super) fn bins(&self) -> Option<usize> {
        self.num_bins.or_else(|| Some(self.bin_boundaries.as_ref()?.len() + 1))
    }

    fn bins_to_find(&self) -> Result<usize> {
        self.num_bins.filter(|&n| n > 0 && self.epsilon > 0.0).ok_or_else(|| {
            Error::argument(
                "adapt",
                "the layer was not given a number of bins",
                "make it with Discretization::quantiles",
            )
        })
    }

    /// The boundaries, if they are known.
    pub fn boundaries(&self) -> Option<Vec<f64>> {
        let adapted = self.adapted.lock().unwrap_or_else(|e| e.into_inner()).clone();
        adapted.or_else(|| Some(self.bin_boundaries.as_ref()?.iter().map(|b| b.value()).collect()))
    }
}

/// Ascending values and how many elements each stands for, in `float32` as Keras keeps them.
#[derive(Debug)]
struct Summary {
    values: Vec<f64>,
    weights: Vec<f64>,
}

impl Summary {
    fn of(data: &Array, epsilon: f64) -> Summary {
        let mut values = data.cast(DType::F32).to_f64_vec();
        values.sort_by(f64::total_cmp);
        let step = (values.len() as f64 / (1.0 / epsilon)).max(1.0);
        let values: Vec<f64> = values.into_iter().skip((step - 1.0) as usize).step_by(step as usize).collect();
        let weight = f64::from(step as f32);
        Summary { weights: vec![weight; values.len()], values }
    }

    /// Both together, ascending.
    fn and(self, other: Summary) -> Summary {
        let both = |s: Summary| s.values.into_iter().zip(s.weights);
        let mut pairs: Vec<(f64, f64)> = both(self).chain(both(other)).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (values, weights) = pairs.into_iter().unzip();
        Summary { values, weights }
    }
}

/// Resamples the distribution at every multiple of `epsilon`.
fn compress(summary: Summary, epsilon: f64) -> Summary {
    if (summary.values.len() as f64) * epsilon < 1.0 {
        return summary;
    }
    let count = (1.0 / epsilon).ceil() as usize;
    let percents: Vec<f64> = (0..count).map(|i| epsilon + i as f64 * epsilon).collect();
    let mut total = 0.0f32;
    let cumulative: Vec<f64> = summary
        .weights
        .iter()
        .map(|&w| {
            total += w as f32;
            f64::from(total)
        })
        .collect();
    let shares: Vec<f64> = cumulative.iter().map(|&c| f64::from(c as f32 / total)).collect();
    let at = |ys: &[f64]| -> Vec<f64> { percents.iter().map(|&p| interpolate(p, &shares, ys)).collect() };
    let (values, cumulative) = (at(&summary.values), at(&cumulative));
    let before = std::iter::once(0.0).chain(cumulative.iter().copied());
    let weights: Vec<f64> = cumulative.iter().zip(before).map(|(c, b)| f64::from((c - b) as f32)).collect();
    Summary { values: values.into_iter().map(|v| f64::from(v as f32)).collect(), weights }
}

/// `ys` at `x` between ascending `xs`, held constant outside.
fn interpolate(x: f64, xs: &[f64], ys: &[f64]) -> f64 {
    let right = xs.partition_point(|&v| v <= x);
    match (right.checked_sub(1), xs.get(right)) {
        (None, _) => ys[0],
        (Some(left), None) => ys[left],
        (Some(left), Some(&next)) => {
            let slope = (ys[right] - ys[left]) / (next - xs[left]);
            slope * (x - xs[left]) + ys[left]
        }
    }
}

impl Layer for Discretization {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let boundaries = self.boundaries().ok_or_else(|| {
            Error::argument("Discretization", "there are no bin boundaries", "call adapt with data, or give them")
        })?;
        if self.sparse {
            return Err(Error::unsupported("sparse", "sparse output is not there", "use dense output"));
        }
        let x = inputs.tensor()?.cast(DType::F32);
        let depth = boundaries.len() + 1;
        let boundaries = Tensor::from(Array::new([depth - 1], boundaries).cast(DType::F32));
        // NaN is below no boundary: it goes into the last bin, as in TensorFlow.
        let above = ops::logical_not(ops::less(ops::expand_dims(&x, -1), &boundaries));
        let bins = ops::sum(&above.cast(DType::I32), -1, false);
        let dtype = if self.output_mode == OutputMode::Int { DType::I32 } else { self.base.compute_dtype() };
        Ok(encode(&bins, self.output_mode, depth, dtype, None)?.into())
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }

    /// Keras writes this layer in a form of its own: no `trainable`, and `dtype` as a name.
    fn config(&self) -> Value {
        let adapted = self.adapted.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let boundaries = adapted.map_or_else(|| json!(self.bin_boundaries), |b| json!(b));
        json!({
            "bin_boundaries": boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name(),
            "dtype": self.base.variable_dtype().name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("discretization");
    }

    #[test]
    fn quantiles_are_those_of_keras() {
        // keras.layers.Discretization(num_bins=4, epsilon=0.1).adapt((np.arange(37) * 11 % 37) / 4), Keras 3.15.1.
        let data: Vec<f64> = (0..37).map(|i| (i * 11 % 37) as f64 / 4.0).collect();
        let layer = Discretization::quantiles(4).epsilon(0.1);
        assert!(layer.call(Tensor::from(1.0f32)).eval().is_err());
        layer.adapt(&Array::new([37], data)).unwrap();
        let expected = [2.000_000_238_418_579, 4.250_000_476_837_158, 6.5];
        for (a, e) in layer.boundaries().unwrap().iter().zip(expected) {
            assert!((a - e).abs() < 1e-5, "{:?}", layer.boundaries());
        }
        assert_eq!(layer.boundaries().unwrap().len(), 3);
    }
}
