//! `AlphaDropout`: dropout that keeps mean and variance, for networks of SELU units.

use serde::{Deserialize, Serialize};

use super::{check_rate, kept, noise_shape};
use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};

/// In training, elements become SELU's limit `α' = −αλ` with probability `rate`, and all are scaled and shifted so that
/// mean 0 and variance 1 stay: `a · (x or α') + b`; otherwise `x`.
///
/// # Shapes
/// The shape of the input.
///
/// # Errors
/// If `rate` is not in `[0, 1]`, or `noise_shape` does not fit the input.
///
/// # References
/// Klambauer et al., 2017, <https://arxiv.org/abs/1706.02515>.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlphaDropout {
    #[serde(skip)]
    base: Base,
    rate: f64,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    noise_shape: Option<Vec<Option<usize>>>,
}

keras_layer!(AlphaDropout);

impl AlphaDropout {
    /// Drops with probability `rate`.
    pub fn new(rate: f64) -> AlphaDropout {
        AlphaDropout { rate, ..AlphaDropout::default() }
    }

    builders! {
        /// Where the random numbers start; anywhere unless said.
        seed: some i64,
        /// The shape of the noise, 1 along axes that share it and `None` for the input's size; the input's unless said.
        noise_shape: some Vec<Option<usize>>,
    }
}

impl Layer for AlphaDropout {
    fn build(&self, _: &InputShapes) -> Result<()> {
        check_rate(self.rate, "rate")
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        // SELU's α and λ (Klambauer et al., equation 14).
        const LIMIT: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;
        let x = inputs.tensor()?;
        if !cx.training || self.rate == 0.0 {
            return Ok(x.into());
        }
        let kept = kept(&self.base, self.seed, noise_shape(x, &self.noise_shape)?, self.rate)?.cast(x.dtype());
        let a = ((1.0 - self.rate) * (1.0 + self.rate * LIMIT * LIMIT)).powf(-0.5);
        let b = -a * LIMIT * self.rate;
        let dropped = (1.0 - &kept) * LIMIT;
        Ok(((x * kept + dropped) * a + b).check()?.into())
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
    fn agrees_with_keras() {
        check_layer("alpha_dropout");
    }

    #[test]
    fn mean_and_variance_stay() {
        let x = random::normal([20_000], 0.0, 1.0, DType::F32, 5u64).unwrap();
        let y = AlphaDropout::new(0.3).seed(4).call(Args::new(&x).with("training", json!(true)));
        let y = y.to_vec::<f64>().unwrap();
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        let variance = y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / y.len() as f64;
        assert!(mean.abs() < 0.04 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
    }

    use crate::random;
}
