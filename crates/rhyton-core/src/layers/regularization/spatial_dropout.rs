//! `SpatialDropout1D`, `SpatialDropout2D`, `SpatialDropout3D`: whole channels set to 0 at random in training.

use rhyton_ir::Dim;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{check_rate, drop_out};
use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer};
use crate::nest::{Args, Nest};

/// In training, whole channels are 0 with probability `rate` and `x / (1 − rate)` else; otherwise `x`.
///
/// # Shapes
/// The shape of the input: `(batch, …, channels)` with `N` spatial axes.
///
/// # Errors
/// If `rate` is not in `[0, 1]`, or the rank of the input is another.
///
/// # References
/// Tompson et al., 2014, <https://arxiv.org/abs/1411.4280>.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpatialDropout<const N: usize> {
    #[serde(skip)]
    base: Base,
    rate: f64,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    data_format: DataFormat,
}

/// [`SpatialDropout`] over one axis: `(batch, steps, channels)`.
pub type SpatialDropout1D = SpatialDropout<1>;
/// [`SpatialDropout`] over two axes: `(batch, height, width, channels)`.
pub type SpatialDropout2D = SpatialDropout<2>;
/// [`SpatialDropout`] over three axes: `(batch, depth, height, width, channels)`.
pub type SpatialDropout3D = SpatialDropout<3>;

ranked_layer!(SpatialDropout: "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D");

impl<const N: usize> SpatialDropout<N> {
    /// Drops channels with probability `rate`.
    pub fn new(rate: f64) -> Self {
        SpatialDropout { rate, ..SpatialDropout::default() }
    }

    builders! {
        /// Where the random numbers start; anywhere unless said.
        seed: some i64,
        /// Where the channels are; last unless said, and always for one axis.
        data_format: DataFormat,
    }

    fn format(&self) -> DataFormat {
        if N == 1 { DataFormat::ChannelsLast } else { self.data_format }
    }
}

impl<const N: usize> Layer for SpatialDropout<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        check_rate(self.rate, "rate")?;
        expect_rank(inputs.first()?, N + 2, "spatial dropout")
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        if !cx.training || self.rate == 0.0 {
            return Ok(x.into());
        }
        let mut noise = vec![Dim::Known(1); N + 2];
        for axis in [0, self.format().channel_axis(N + 2)] {
            noise[axis] = x.shape()[axis].clone();
        }
        Ok(drop_out(&self.base, self.seed, x, noise, self.rate)?.into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        true
    }

    /// Keras writes these layers in a form of their own: no `trainable`, and `dtype` as a name.
    fn config(&self) -> Value {
        let mut config = Map::new();
        config.insert("rate".into(), self.rate.into());
        config.insert("seed".into(), self.seed.into());
        config.insert("name".into(), self.name().into());
        config.insert("dtype".into(), self.base.variable_dtype().name().into());
        if N > 1 {
            config.insert("data_format".into(), self.data_format.name().into());
        }
        Value::Object(config)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("spatial_dropout");
    }

    #[test]
    fn channels_are_dropped_whole() {
        let x = Tensor::new([4, 6, 3], vec![1.0f32; 72]);
        let layer = SpatialDropout1D::new(0.5).seed(2);
        let y = layer.call(Args::new(&x).with("training", json!(true))).to_vec::<f32>().unwrap();
        for example in y.chunks(18) {
            assert!(example.chunks(3).all(|step| step == &example[..3]));
        }
        assert!(y.contains(&0.0) && y.contains(&2.0));
    }

    #[test]
    fn channels_first_are_dropped_whole() {
        let x = Tensor::new([2, 8, 2, 2], vec![1.0f32; 64]);
        let layer = SpatialDropout2D::new(0.5).seed(2).data_format(DataFormat::ChannelsFirst);
        let y = layer.call(Args::new(&x).with("training", json!(true))).to_vec::<f32>().unwrap();
        assert!(y.chunks(4).all(|channel| channel.iter().all(|v| *v == channel[0])));
        assert!(y.contains(&0.0) && y.contains(&2.0));
    }
}
