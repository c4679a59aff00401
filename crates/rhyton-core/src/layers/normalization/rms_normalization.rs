//! `RMSNormalization`: each example divided by its root mean square.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{built_axis, sizes_along};
use crate::error::Result;
use crate::initializers::Ones;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, config_with};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};
use crate::saving::config_of;

/// `y = x / √(mean(x²) + epsilon) · scale`, with the mean over `axis` of each example.
///
/// # Shapes
/// The shape of the input; `scale` has the sizes of `axis`.
///
/// # Dtypes
/// Computed in at least `float32`.
///
/// # References
/// Zhang and Sennrich, 2019, <https://arxiv.org/abs/1910.07467>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RMSNormalization {
    #[serde(skip)]
    base: Base,
    axis: Axes,
    epsilon: f64,
}

keras_layer!(RMSNormalization);

impl Default for RMSNormalization {
    fn default() -> RMSNormalization {
        RMSNormalization { base: Base::default(), axis: Axes::One(-1), epsilon: 1e-6 }
    }
}

impl RMSNormalization {
    /// Over the last axis.
    pub fn new() -> RMSNormalization {
        RMSNormalization::default()
    }

    builders! {
        /// The axis or axes to normalize over; the last unless said.
        axis: into Axes,
        /// Added to the mean of the squares; 1e-6 unless said.
        epsilon: f64,
    }
}

impl Layer for RMSNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let sizes = sizes_along(inputs.first()?, &self.axis, "RMSNormalization")?;
        self.base.add_weight("scale", sizes).initializer(Ones {}).add()?;
        Ok(())
    }

    /// Once built, `axis` is a list, as Keras writes it.
    fn config(&self) -> Value {
        config_with(
            self.name(),
            &self.base,
            config_of(&Self { axis: built_axis(&self.base, &self.axis), ..self.clone() }),
        )
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let scale = self.base.weight("scale")?;
        let y = ops::rms_normalization(inputs.tensor()?, Some(&scale), self.axis.clone(), Some(self.epsilon));
        Ok(y.check()?.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("rms_normalization");
    }
}
