//! `Rescaling`: a factor and an offset.

use rhyton_ir::{Array, DType};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops::Number;
use crate::tensor::Tensor;

/// One number, or one for each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerChannel {
    /// The same for all.
    One(Number),
    /// One for each channel.
    Each(Vec<Number>),
}

impl From<f64> for PerChannel {
    fn from(value: f64) -> PerChannel {
        PerChannel::One(value.into())
    }
}

impl<const N: usize> From<[f64; N]> for PerChannel {
    fn from(values: [f64; N]) -> PerChannel {
        PerChannel::Each(values.into_iter().map(Number::from).collect())
    }
}

impl From<Vec<f64>> for PerChannel {
    fn from(values: Vec<f64>) -> PerChannel {
        PerChannel::Each(values.into_iter().map(Number::from).collect())
    }
}

impl PerChannel {
    /// As a tensor of `dtype`.
    pub(crate) fn tensor(&self, dtype: DType) -> Tensor {
        match self {
            PerChannel::One(value) => Array::scalar_of(dtype, value.value()).into(),
            PerChannel::Each(values) => {
                let values: Vec<f64> = values.iter().map(|v| v.value()).collect();
                Array::new([values.len()], values).cast(dtype).into()
            }
        }
    }
}

/// `y = x · scale + offset`, in the layer's compute dtype.
///
/// # Shapes
/// The shape of the input; a list of numbers goes along its last axis.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = Rescaling::new(0.5).offset(-1.0).call(&Tensor::new([2], vec![0u8, 4]));
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescaling {
    #[serde(skip)]
    base: Base,
    scale: PerChannel,
    #[serde(default = "zero")]
    offset: PerChannel,
}

keras_layer!(Rescaling);

fn zero() -> PerChannel {
    PerChannel::from(0.0)
}

impl Rescaling {
    /// Times `scale`: a number, or one for each channel.
    pub fn new(scale: impl Into<PerChannel>) -> Rescaling {
        Rescaling { base: Base::default(), scale: scale.into(), offset: zero() }
    }

    builders! {
        /// Added afterwards; 0 unless said.
        offset: into PerChannel,
    }
}

impl Layer for Rescaling {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let dtype = self.base.compute_dtype();
        let x = inputs.tensor()?.cast(dtype);
        Ok((x * self.scale.tensor(dtype) + self.offset.tensor(dtype)).check()?.into())
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("rescaling");
    }
}
