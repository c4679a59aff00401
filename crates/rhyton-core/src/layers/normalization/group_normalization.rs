//! `GroupNormalization`: groups of features of each example brought to mean 0 and variance 1.

use rhyton_ir::{DType, Dim, Shape};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Ones, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, config_with, shape_from_json, size_of};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::promotion::promote;
use crate::regularizers::RegularizerRef;
use crate::saving::config_of;
use crate::tensor::Tensor;

/// `y = (x − mean) / √(variance + epsilon) · gamma + beta`, with mean and variance of each example over all axes but the
/// batch, for each of `groups` groups of neighbouring features.
///
/// # Shapes
/// The shape of the input; `gamma`, `beta (size of axis)`.
///
/// # Dtypes
/// Computed in at least `float32`.
///
/// # Errors
/// If the features do not divide into the groups.
///
/// # References
/// Wu and He, 2018, <https://arxiv.org/abs/1803.08494>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupNormalization {
    #[serde(skip)]
    base: Base,
    groups: i64,
    axis: i64,
    epsilon: f64,
    center: bool,
    scale: bool,
    beta_initializer: InitializerRef,
    gamma_initializer: InitializerRef,
    beta_regularizer: Option<RegularizerRef>,
    gamma_regularizer: Option<RegularizerRef>,
    beta_constraint: Option<ConstraintRef>,
    gamma_constraint: Option<ConstraintRef>,
}

keras_layer!(GroupNormalization);

impl Default for GroupNormalization {
    fn default() -> GroupNormalization {
        GroupNormalization {
            base: Base::default(),
            groups: 32,
            axis: -1,
            epsilon: 1e-3,
            center: true,
            scale: true,
            beta_initializer: Zeros {}.into(),
            gamma_initializer: Ones {}.into(),
            beta_regularizer: None,
            gamma_regularizer: None,
            beta_constraint: None,
            gamma_constraint: None,
        }
    }
}

impl GroupNormalization {
    /// In 32 groups along the last axis.
    pub fn new() -> GroupNormalization {
        GroupNormalization::default()
    }

    builders! {
        /// The number of groups; −1 for one a feature (instance normalization); 32 unless said.
        groups: i64,
        /// The axis of the features; the last unless said.
        axis: i64,
        /// Added to the variance; 1e-3 unless said.
        epsilon: f64,
        /// Whether `beta` is added; it is unless said.
        center: bool,
        /// Whether there is a factor `gamma`; there is unless said.
        scale: bool,
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

    /// The axis of the features, their number, and into how many groups they go.
    fn grouping(&self, shape: &Shape) -> Result<(usize, usize, usize)> {
        let axis = ops::axis(self.axis, shape.rank())?;
        let size = size_of(shape, axis, "GroupNormalization")?;
        let groups = if self.groups == -1 { Some(size) } else { usize::try_from(self.groups).ok() };
        match groups {
            Some(groups) if groups > 0 && size.is_multiple_of(groups) && axis > 0 => Ok((axis, size, groups)),
            _ => Err(Error::argument(
                "groups",
                format!("axis {} of the input {shape} does not divide into {} groups", self.axis, self.groups),
                "give a divisor of the number of features, or -1, and an axis other than the batch",
            )),
        }
    }
}

impl Layer for GroupNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let (_, size, _) = self.grouping(inputs.first()?)?;
        if self.scale {
            self.base
                .add_weight("gamma", [size])
                .initializer(self.gamma_initializer.clone())
                .regularizer(self.gamma_regularizer.clone())
                .constraint(self.gamma_constraint.clone())
                .autocast(false)
                .add()?;
        }
        if self.center {
            self.base
                .add_weight("beta", [size])
                .initializer(self.beta_initializer.clone())
                .regularizer(self.beta_regularizer.clone())
                .constraint(self.beta_constraint.clone())
                .autocast(false)
                .add()?;
        }
        Ok(())
    }

    /// Once built, `groups` is the number of groups that there are, as Keras writes it.
    fn config(&self) -> Value {
        let built = self.base.build_config().and_then(|c| shape_from_json(&c["input_shape"]).ok());
        let groups = built.and_then(|shape| self.grouping(&shape).ok()).map_or(self.groups, |(_, _, g)| g as i64);
        config_with(self.name(), &self.base, config_of(&GroupNormalization { groups, ..self.clone() }))
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let (axis, size, groups) = self.grouping(x.shape())?;
        let mut grouped = x.shape().clone().into_vec();
        grouped[axis] = Dim::Known(size / groups);
        grouped.insert(axis, Dim::Known(groups));
        let dtype = promote(x.dtype(), DType::F32);
        let split = ops::reshape_to(&x.cast(dtype), grouped);
        let axes: Vec<i64> = (1..split.rank()).filter(|&a| a != axis).map(|a| a as i64).collect();
        let (mean, variance) = ops::moments(&split, axes, true, false);
        let mut aligned = vec![1; split.rank()];
        (aligned[axis], aligned[axis + 1]) = (groups as i64, (size / groups) as i64);
        let weight =
            |name: &str| -> Result<Tensor> { Ok(ops::reshape(&self.base.weight(name)?.cast(dtype), &aligned)) };
        let mut factor = ops::rsqrt(&(variance + self.epsilon));
        if self.scale {
            factor = factor * weight("gamma")?;
        }
        let mut offset = -mean * &factor;
        if self.center {
            offset = offset + weight("beta")?;
        }
        // Back in the input's dtype before the layer's, as Keras rounds.
        let y = (split * factor + offset).cast(x.dtype());
        Ok(ops::reshape_to(&y, x.shape().clone()).cast(self.base.compute_dtype()).into())
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
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("group_normalization");
    }

    #[test]
    fn features_must_divide_into_groups() {
        let error = GroupNormalization::new().groups(2).call(Tensor::new([1, 3], vec![0.0f32; 3])).eval().unwrap_err();
        assert!(error.to_string().contains("groups"), "{error}");
    }
}
