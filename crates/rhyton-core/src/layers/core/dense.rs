//! `Dense`: the fully connected layer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Zeros};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer, last_size};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;

/// Computes `activation(x · kernel + bias)` over the last axis of `x`.
///
/// # Shapes
/// `x (batch, …, features)` gives `(batch, …, units)`; `kernel (features, units)`, `bias (units)`.
///
/// # Errors
/// If `x` has rank below 2, or a last axis other than the one `kernel` was built with.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = Dense::new(3).kernel_initializer(Ones::default()).call(&Tensor::new([1, 2], vec![1.0f32, 2.0]));
/// assert_eq!(y.to_vec::<f32>()?, [3.0, 3.0, 3.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dense {
    #[serde(skip)]
    base: Base,
    units: usize,
    activation: Activation,
    use_bias: bool,
    kernel_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    kernel_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity_regularizer: Option<RegularizerRef>,
    kernel_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
    quantization_config: Option<Value>,
}

keras_layer!(Dense);

impl Default for Dense {
    fn default() -> Dense {
        Dense {
            base: Base::default(),
            units: 0,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: InitializerRef::default(),
            bias_initializer: Zeros {}.into(),
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
            quantization_config: None,
        }
    }
}

impl Dense {
    /// A layer of `units` outputs.
    pub fn new(units: usize) -> Dense {
        Dense { units, ..Dense::default() }
    }

    /// Applied to the result; linear unless said.
    pub fn activation(mut self, activation: Activation) -> Dense {
        self.activation = activation;
        self
    }

    /// Whether a bias is added; it is unless said.
    pub fn use_bias(mut self, use_bias: bool) -> Dense {
        self.use_bias = use_bias;
        self
    }

    /// How the kernel starts; Glorot uniform unless said.
    pub fn kernel_initializer(mut self, initializer: impl Into<InitializerRef>) -> Dense {
        self.kernel_initializer = initializer.into();
        self
    }

    /// How the bias starts; zeros unless said.
    pub fn bias_initializer(mut self, initializer: impl Into<InitializerRef>) -> Dense {
        self.bias_initializer = initializer.into();
        self
    }

    /// A penalty on the kernel.
    pub fn kernel_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> Dense {
        self.kernel_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the bias.
    pub fn bias_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> Dense {
        self.bias_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the outputs.
    pub fn activity_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> Dense {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// What the kernel is held to.
    pub fn kernel_constraint(mut self, constraint: impl Into<ConstraintRef>) -> Dense {
        self.kernel_constraint = Some(constraint.into());
        self
    }

    /// What the bias is held to.
    pub fn bias_constraint(mut self, constraint: impl Into<ConstraintRef>) -> Dense {
        self.bias_constraint = Some(constraint.into());
        self
    }
}

impl Layer for Dense {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.units == 0 {
            return Err(Error::argument("units", "0 units were asked for", "give at least 1"));
        }
        if self.quantization_config.is_some() {
            return Err(Error::unsupported(
                "quantization_config",
                "quantized layers are not there yet",
                "load the model before it was quantized",
            ));
        }
        let features = last_size(inputs.first()?, "Dense")?;
        self.base
            .add_weight("kernel", [features, self.units])
            .initializer(self.kernel_initializer.clone())
            .regularizer(self.kernel_regularizer.clone())
            .constraint(self.kernel_constraint.clone())
            .add()?;
        if self.use_bias {
            self.base
                .add_weight("bias", [self.units])
                .initializer(self.bias_initializer.clone())
                .regularizer(self.bias_regularizer.clone())
                .constraint(self.bias_constraint.clone())
                .add()?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let mut y = ops::matmul(inputs.tensor()?, self.base.weight("kernel")?);
        if self.use_bias {
            y = y + self.base.weight("bias")?;
        }
        Ok(self.activation.call(&y).into())
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn activity_regularizer(&self) -> Option<&RegularizerRef> {
        self.activity_regularizer.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("dense");
    }

    #[test]
    fn gradients_flow_to_the_weights() {
        let layer = Dense::new(2).activation(Activation::Relu).name("d");
        let x = Tensor::new([2, 3], vec![1.0f32, 2.0, 3.0, -1.0, 0.5, 2.0]);
        let y = layer.call(&x);
        y.check().unwrap();
        let weights = layer.trainable_weights();
        assert_eq!(weights.iter().map(|w| w.path().to_owned()).collect::<Vec<_>>(), ["d/kernel", "d/bias"]);
        let (loss, grads) =
            value_and_grad(|| ops::sum(&ops::square(&layer.call(&x)), Axes::All, false), &weights).unwrap();
        assert!(loss.item().unwrap() >= 0.0);
        assert_eq!(grads[0].shape().to_string(), "[3,2]");
        let step = crate::jit(|args| {
            let (loss, grads) =
                value_and_grad(|| ops::sum(&ops::square(&layer.call(&args[0])), Axes::All, false), &weights)?;
            for (w, g) in weights.iter().zip(&grads) {
                w.assign(w.value() - g * 0.01)?;
            }
            Ok(vec![loss])
        });
        let mut last = f64::INFINITY;
        for _ in 0..5 {
            let loss = step.call(std::slice::from_ref(&x)).unwrap()[0].item().unwrap();
            assert!(loss < last || loss == 0.0);
            last = loss;
        }
        assert_eq!(step.programs(), 1);
    }
}
