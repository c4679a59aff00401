//! `BatchNormalization`: each feature brought to mean 0 and variance 1 over the batch.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Ones, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, first_mask, size_of};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::promotion::promote;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// What Keras adds to counts of a mask before it divides by them.
const MASK_EPSILON: f64 = 1e-7;

/// `y = (x − mean) / √(variance + epsilon) · gamma + beta`, feature by feature along `axis`.
///
/// In training, mean and variance are those of the batch over all other axes (the biased variance; what a mask leaves out
/// does not count), and the moving ones follow: `moving ← momentum · moving + (1 − momentum) · batch`. Otherwise, and
/// always when the layer does not train, the moving ones are used.
///
/// # Shapes
/// The shape of the input; `gamma`, `beta`, `moving_mean`, `moving_variance (size of axis)`.
///
/// # Dtypes
/// Computed in at least `float32`.
///
/// # Errors
/// If `renorm` is set in a configuration: renormalization is not there.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = BatchNormalization::new().epsilon(0.0).momentum(0.5);
/// let x = Tensor::new([2, 1], vec![1.0f32, 3.0]);
/// let y = layer.call(Args::new(&x).with("training", serde_json::json!(true)));
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0]);
/// assert_eq!(layer.weights()[2].value().to_vec::<f32>()?, [1.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
///
/// # References
/// Ioffe and Szegedy, 2015, <https://arxiv.org/abs/1502.03167>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormalization {
    #[serde(skip)]
    base: Base,
    axis: i64,
    momentum: f64,
    epsilon: f64,
    center: bool,
    scale: bool,
    beta_initializer: InitializerRef,
    gamma_initializer: InitializerRef,
    moving_mean_initializer: InitializerRef,
    moving_variance_initializer: InitializerRef,
    beta_regularizer: Option<RegularizerRef>,
    gamma_regularizer: Option<RegularizerRef>,
    beta_constraint: Option<ConstraintRef>,
    gamma_constraint: Option<ConstraintRef>,
    synchronized: bool,
    renorm: bool,
    renorm_clipping: Value,
    renorm_momentum: f64,
}

keras_layer!(BatchNormalization);

impl Default for BatchNormalization {
    fn default() -> BatchNormalization {
        BatchNormalization {
            base: Base::default(),
            axis: -1,
            momentum: 0.99,
            epsilon: 1e-3,
            center: true,
            scale: true,
            beta_initializer: Zeros {}.into(),
            gamma_initializer: Ones {}.into(),
            moving_mean_initializer: Zeros {}.into(),
            moving_variance_initializer: Ones {}.into(),
            beta_regularizer: None,
            gamma_regularizer: None,
            beta_constraint: None,
            gamma_constraint: None,
            synchronized: false,
            renorm: false,
            renorm_clipping: Value::Null,
            renorm_momentum: 0.99,
        }
    }
}

impl BatchNormalization {
    /// Along the last axis.
    pub fn new() -> BatchNormalization {
        BatchNormalization::default()
    }

    builders! {
        /// The axis of the features; the last unless said.
        axis: i64,
        /// The share of the old value in a moving average; 0.99 unless said.
        momentum: f64,
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
        /// How the moving mean starts; zeros unless said.
        moving_mean_initializer: into InitializerRef,
        /// How the moving variance starts; ones unless said.
        moving_variance_initializer: into InitializerRef,
        /// A penalty on `beta`.
        beta_regularizer: some RegularizerRef,
        /// A penalty on `gamma`.
        gamma_regularizer: some RegularizerRef,
        /// What `beta` is held to.
        beta_constraint: some ConstraintRef,
        /// What `gamma` is held to.
        gamma_constraint: some ConstraintRef,
        /// Whether statistics are those of all replicas; there is one, so that this changes nothing.
        synchronized: bool,
    }

    fn axis_of(&self, rank: usize) -> Result<usize> {
        crate::ops::axis(self.axis, rank)
    }

    /// The weight in `dtype`, if the layer has it.
    fn optional(&self, there: bool, name: &str, dtype: DType) -> Result<Option<Tensor>> {
        if there { Ok(Some(self.base.weight(name)?.cast(dtype))) } else { Ok(None) }
    }

    /// Mean and variance over all axes but the features'.
    fn statistics(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let axis = self.axis_of(x.rank())?;
        let axes: Vec<i64> = (0..x.rank()).filter(|&a| a != axis).map(|a| a as i64).collect();
        let Some(mask) = mask else {
            return Ok(ops::moments(x, axes, false, self.synchronized));
        };
        if mask.rank() + 1 != x.rank() {
            return Err(Error::shape(
                "mask",
                format!("the mask {} does not fit the input {}", mask.shape(), x.shape()),
                "give a mask with the shape of the input without its last axis",
            ));
        }
        let counted = ops::add(ops::expand_dims(&mask.cast(x.dtype()), -1), ops::zeros_like(x));
        let included = counted.cast(DType::Bool);
        let count = ops::sum(&counted, axes.clone(), true) + MASK_EPSILON;
        let mean = ops::sum(&ops::r#where(&included, x, 0.0), axes.clone(), true) / &count;
        let difference = ops::r#where(&included, x - &mean, 0.0);
        let variance = ops::sum(&ops::square(&difference), axes, true) / count;
        Ok((ops::reshape(&mean, &[-1]), ops::reshape(&variance, &[-1])))
    }

    fn update(&self, name: &str, batch: &Tensor) -> Result<()> {
        let moving = self.base.variable(name)?;
        let next = moving.value().cast(batch.dtype()) * self.momentum + batch * (1.0 - self.momentum);
        moving.assign(next)
    }
}

impl Layer for BatchNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.renorm {
            return Err(Error::unsupported(
                "renorm",
                "batch renormalization is not there",
                "train with renorm=False, or use another normalization",
            ));
        }
        let shape = inputs.first()?;
        let size = size_of(shape, self.axis_of(shape.rank())?, "BatchNormalization")?;
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
        let moving =
            [("moving_mean", &self.moving_mean_initializer), ("moving_variance", &self.moving_variance_initializer)];
        for (name, initializer) in moving {
            let weight = self.base.add_weight(name, [size]).initializer(initializer.clone());
            weight.trainable(false).autocast(false).add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let dtype = promote(x.dtype(), DType::F32);
        let x = x.cast(dtype);
        let gamma = self.optional(self.scale, "gamma", dtype)?;
        let beta = self.optional(self.center, "beta", dtype)?;
        let (mean, variance) = if cx.training && self.base.trainable() {
            let (mean, variance) = self.statistics(&x, first_mask(inputs).as_ref())?;
            self.update("moving_mean", &mean)?;
            self.update("moving_variance", &variance)?;
            (mean, variance)
        } else {
            (self.base.weight("moving_mean")?.cast(dtype), self.base.weight("moving_variance")?.cast(dtype))
        };
        let y = ops::batch_normalization(&x, &mean, &variance, self.axis, beta.as_ref(), gamma.as_ref(), self.epsilon);
        Ok(y.cast(self.base.compute_dtype()).into())
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
        check_layer("batch_normalization");
    }

    #[test]
    fn a_frozen_layer_keeps_its_statistics_in_training() {
        let layer = BatchNormalization::new().trainable(false);
        let x = Tensor::new([2, 1], vec![1.0f32, 3.0]);
        layer.call(Args::new(&x).with("training", json!(true))).check().unwrap();
        assert_eq!(layer.weights()[2].value().to_vec::<f32>().unwrap(), [0.0]);
    }

    #[test]
    fn moving_statistics_are_assigned_inside_compiled_functions() {
        let layer = BatchNormalization::new().momentum(0.5);
        let x = Tensor::new([2, 1], vec![1.0f32, 3.0]);
        layer.call(&x).check().unwrap();
        let step = crate::jit(|args| Ok(vec![layer.call(Args::new(&args[0]).with("training", json!(true)))]));
        step.call(std::slice::from_ref(&x)).unwrap();
        step.call(std::slice::from_ref(&x)).unwrap();
        assert_eq!(layer.weights()[2].value().to_vec::<f32>().unwrap(), [1.5]);
    }

    #[test]
    fn renormalization_is_refused() {
        let mut config = crate::layers::Layer::config(&BatchNormalization::new());
        config["renorm"] = json!(true);
        let layer = crate::layers::make::<BatchNormalization>(config).unwrap();
        let error = layer.call(Tensor::new([1, 1], vec![1.0f32])).eval().unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
}
