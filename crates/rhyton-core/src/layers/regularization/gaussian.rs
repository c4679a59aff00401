//! `GaussianNoise` and `GaussianDropout`: normally distributed noise in training.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};

use super::check_rate;
use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::random;
use crate::tensor::Tensor;

/// In training, `x + n` with `n` normally distributed around 0 with deviation `stddev`; otherwise `x`.
///
/// # Shapes
/// The shape of the input.
///
/// # Errors
/// If `stddev` is not in `[0, 1]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianNoise {
    #[serde(skip)]
    base: Base,
    stddev: f64,
    #[serde(default)]
    seed: Option<i64>,
}

/// In training, `x · n` with `n` normally distributed around 1 with deviation `√(rate / (1 − rate))`; otherwise `x`.
///
/// # Shapes
/// The shape of the input.
///
/// # Errors
/// If `rate` is not in `[0, 1]`.
///
/// # References
/// Srivastava et al., 2014, <https://jmlr.org/papers/v15/srivastava14a.html>, section 10.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianDropout {
    #[serde(skip)]
    base: Base,
    rate: f64,
    #[serde(default)]
    seed: Option<i64>,
}

keras_layer!(GaussianNoise);
keras_layer!(GaussianDropout);

impl GaussianNoise {
    /// Noise of deviation `stddev`.
    pub fn new(stddev: f64) -> GaussianNoise {
        GaussianNoise { stddev, ..GaussianNoise::default() }
    }

    builders! {
        /// Where the random numbers start; anywhere unless said.
        seed: some i64,
    }
}

impl GaussianDropout {
    /// As strong as a dropout of `rate`.
    pub fn new(rate: f64) -> GaussianDropout {
        GaussianDropout { rate, ..GaussianDropout::default() }
    }

    builders! {
        /// Where the random numbers start; anywhere unless said.
        seed: some i64,
    }
}

/// Normally distributed numbers of the shape of `x`, in the layer's compute dtype.
fn noise(base: &Base, seed: Option<i64>, x: &Tensor, mean: f64, stddev: f64) -> Result<Tensor> {
    let generator = base.seed_generator(seed.map(|s| s as u64));
    let dtype = base.compute_dtype();
    let dtype = if dtype.is_float() { dtype } else { DType::F32 };
    random::normal(x.shape().clone(), mean, stddev, dtype, &generator)
}

impl Layer for GaussianNoise {
    fn build(&self, _: &InputShapes) -> Result<()> {
        check_rate(self.stddev, "stddev")
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        if !cx.training || self.stddev == 0.0 {
            return Ok(x.into());
        }
        Ok((x + noise(&self.base, self.seed, x, 0.0, self.stddev)?).into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

impl Layer for GaussianDropout {
    fn build(&self, _: &InputShapes) -> Result<()> {
        check_rate(self.rate, "rate")
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        if !cx.training || self.rate == 0.0 {
            return Ok(x.into());
        }
        let stddev = (self.rate / (1.0 - self.rate)).sqrt();
        Ok((x * noise(&self.base, self.seed, x, 1.0, stddev)?).into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agree_with_keras() {
        check_layer("gaussian");
    }

    fn moments(layer: &impl Call, value: f32) -> (f64, f64) {
        let x = Tensor::new([20_000], vec![value; 20_000]);
        let y = layer.layer_ref().call(Args::new(&x).with("training", json!(true))).to_vec::<f64>().unwrap();
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        (mean, (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / y.len() as f64).sqrt())
    }

    #[test]
    fn noise_has_the_moments_asked_for() {
        // Within five standard errors of mean and deviation over 20,000 draws.
        let (mean, deviation) = moments(&GaussianNoise::new(0.5).seed(1), 3.0);
        assert!((mean - 3.0).abs() < 0.02 && (deviation - 0.5).abs() < 0.015, "{mean} {deviation}");
        let (mean, deviation) = moments(&GaussianDropout::new(0.2).seed(1), 2.0);
        assert!((mean - 2.0).abs() < 0.04 && (deviation - 1.0).abs() < 0.03, "{mean} {deviation}");
    }
}
