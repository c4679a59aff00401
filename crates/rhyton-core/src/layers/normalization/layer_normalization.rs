//! `LayerNormalization`: each example brought to mean 0 and variance 1.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{built_axis, sizes_along};
use crate::constraints::ConstraintRef;
use crate::error::Result;
use crate::initializers::{InitializerRef, Ones, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, config_with};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};
use crate::regularizers::RegularizerRef;
use crate::saving::config_of;

/// `y = (x − mean) / √(variance + epsilon) · gamma + beta`, with mean and variance over `axis` of each example.
///
/// With `rms_scaling` (kept for old models; it is not what the paper on RMS normalization defines) `x / √(variance +
/// epsilon) · gamma`; use [`RMSNormalization`](super::RMSNormalization) instead.
///
/// # Shapes
/// The shape of the input; `gamma` and `beta` have the sizes of `axis`.
///
/// # Dtypes
/// Computed in at least `float32`.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let x = Tensor::new([1, 2], vec![1.0f32, 3.0]);
/// let y = LayerNormalization::new().epsilon(0.0).call(&x);
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
///
/// # References
/// Ba, Kiros and Hinton, 2016, <https://arxiv.org/abs/1607.06450>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNormalization {
    #[serde(skip)]
    base: Base,
    axis: Axes,
    epsilon: f64,
    center: bool,
    scale: bool,
    rms_scaling: bool,
    beta_initializer: InitializerRef,
    gamma_initializer: InitializerRef,
    beta_regularizer: Option<RegularizerRef>,
    gamma_regularizer: Option<RegularizerRef>,
    beta_constraint: Option<ConstraintRef>,
    gamma_constraint: Option<ConstraintRef>,
}

keras_layer!(LayerNormalization);

impl Default for LayerNormalization {
    fn default() -> LayerNormalization {
        LayerNormalization {
            base: Base::default(),
            axis: Axes::One(-1),
            epsilon: 1e-3,
            center: true,
            scale: true,
            rms_scaling: false,
            beta_initializer: Zeros {}.into(),
            gamma_initializer: Ones {}.into(),
            beta_regularizer: None,
            gamma_regularizer: None,
            beta_constraint: None,
            gamma_constraint: None,
        }
    }
}

impl LayerNormalization {
    /// Over the last axis.
    pub fn new() -> LayerNormalization {
        LayerNormalization::default()
    }

    builders! {
        /// The axis or axes to normalize over; the last unless said.
        axis: into Axes,
        /// Added to the variance; 1e-3 unless said.
        epsilon: f64,
        /// Whether `beta` is added; it is unless said.
        center: bool,
        /// Whether there is a factor `gamma`; there is unless said.
        scale: bool,
        /// Whether the mean is left in and `beta` left out; not unless said.
        rms_scaling: bool,
        /// How `beta` starts; zeros unless said.
        beta_initializer: into InitializerRef,
        /// How `gamma` starts; ones unless said.
        gamma_initializer: into InitializerRef,
        /// A penalty on `beta`.
        beta_regularizer: some RegularizerRef,
        /// A penalty on `gamma`.
        gamma_regularizer: some RegularizerRef,
        /// What `beta` is held to.
        beta_constraint: some ConstraintRef,
        /// What `gamma` is held to.
        gamma_constraint: some ConstraintRef,
    }

    fn has_gamma(&self) -> bool {
        self.scale || self.rms_scaling
    }

    fn has_beta(&self) -> bool {
        self.center && !self.rms_scaling
    }
}

impl Layer for LayerNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let sizes = sizes_along(inputs.first()?, &self.axis, "LayerNormalization")?;
        if self.has_gamma() {
            self.base
                .add_weight("gamma", sizes.clone())
                .initializer(self.gamma_initializer.clone())
                .regularizer(self.gamma_regularizer.clone())
                .constraint(self.gamma_constraint.clone())
                .autocast(false)
                .add()?;
        }
        if self.has_beta() {
            self.base
                .add_weight("beta", sizes)
                .initializer(self.beta_initializer.clone())
                .regularizer(self.beta_regularizer.clone())
                .constraint(self.beta_constraint.clone())
                .autocast(false)
                .add()?;
        }
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
        let gamma = if self.has_gamma() { Some(self.base.weight("gamma")?) } else { None };
        let beta = if self.has_beta() { Some(self.base.weight("beta")?) } else { None };
        let y = ops::layer_normalization(
            inputs.tensor()?,
            gamma.as_ref(),
            beta.as_ref(),
            self.axis.clone(),
            Some(self.epsilon),
            self.rms_scaling,
        );
        Ok(y.cast(self.base.compute_dtype()).into())
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn autocasts_inputs(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("layer_normalization");
    }
}
