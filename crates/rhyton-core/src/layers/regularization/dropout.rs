//! `Dropout`: elements set to 0 at random in training.

use serde::{Deserialize, Serialize};

use super::{check_rate, drop_out, noise_shape};
use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};

/// In training, 0 with probability `rate` and `x / (1 − rate)` else, so that the mean stays; otherwise `x`.
///
/// # Shapes
/// The shape of the input.
///
/// # Errors
/// If `rate` is not in `[0, 1]`, or `noise_shape` does not fit the input.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let x = Tensor::new([4], vec![1.0f32; 4]);
/// let layer = Dropout::new(0.5).seed(1);
/// assert_eq!(layer.call(&x).to_vec::<f32>()?, [1.0; 4]);
/// let y = layer.call(Args::new(&x).with("training", serde_json::json!(true)));
/// assert!(y.to_vec::<f32>()?.iter().all(|v| *v == 0.0 || *v == 2.0));
/// # Ok::<(), rhyton_core::Error>(())
/// ```
///
/// # References
/// Srivastava et al., 2014, <https://jmlr.org/papers/v15/srivastava14a.html>.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    #[serde(skip)]
    base: Base,
    rate: f64,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    noise_shape: Option<Vec<Option<usize>>>,
}

keras_layer!(Dropout);

impl Dropout {
    /// Drops with probability `rate`.
    pub fn new(rate: f64) -> Dropout {
        Dropout { rate, ..Dropout::default() }
    }

    builders! {
        /// Where the random numbers start; anywhere unless said.
        seed: some i64,
        /// The shape of the noise, 1 along axes that share it and `None` for the input's size; the input's unless said.
        noise_shape: some Vec<Option<usize>>,
    }
}

impl Layer for Dropout {
    fn build(&self, _: &InputShapes) -> Result<()> {
        check_rate(self.rate, "rate")
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        if !cx.training || self.rate == 0.0 {
            return Ok(x.into());
        }
        Ok(drop_out(&self.base, self.seed, x, noise_shape(x, &self.noise_shape)?, self.rate)?.into())
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
        check_layer("dropout");
    }

    fn trained(layer: &Dropout, x: &Tensor) -> Vec<f32> {
        layer.call(Args::new(x).with("training", json!(true))).to_vec().unwrap()
    }

    #[test]
    fn the_share_and_the_scale_are_right_and_calls_differ() {
        let x = Tensor::new([10_000], vec![1.0f32; 10_000]);
        let layer = Dropout::new(0.25).seed(7);
        let (first, second) = (trained(&layer, &x), trained(&layer, &x));
        assert!(first.iter().all(|&v| v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6));
        let kept = first.iter().filter(|&&v| v > 0.0).count();
        // Five standard deviations of a binomial distribution.
        assert!((kept as f64 - 7500.0).abs() < 5.0 * (10_000.0f64 * 0.25 * 0.75).sqrt(), "{kept}");
        assert_ne!(first, second);
        assert_eq!(first, trained(&Dropout::new(0.25).seed(7), &x));
    }

    #[test]
    fn noise_is_shared_along_axes_of_one() {
        let x = Tensor::new([8, 50], vec![1.0f32; 400]);
        let y = trained(&Dropout::new(0.5).seed(3).noise_shape([None, Some(1)]), &x);
        assert!(y.chunks(50).all(|row| row.iter().all(|v| *v == row[0])));
        assert!(y.contains(&0.0) && y.contains(&2.0));
    }

    #[test]
    fn what_is_dropped_has_no_gradient() {
        let layer = Dropout::new(1.0);
        let x = Tensor::new([3], vec![1.0f32; 3]);
        let g = grad(|x| ops::sum(&layer.call(Args::new(x).with("training", json!(true))), Axes::All, false), &x);
        assert_eq!(g.unwrap().to_vec::<f32>().unwrap(), [0.0; 3]);
        assert!(Dropout::new(1.5).call(&x).eval().is_err());
    }
}
