//! Convolutions.

mod conv;
mod conv_transpose;
mod depthwise_conv;
mod separable_conv;

use super::{Base, DataFormat, LayerClass, Spatial, make};
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::InitializerRef;
use crate::ops;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

pub use conv::{Conv, Conv1D, Conv2D, Conv3D};
pub use conv_transpose::{Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, ConvTranspose};
pub use depthwise_conv::{DepthwiseConv, DepthwiseConv1D, DepthwiseConv2D};
pub use separable_conv::{SeparableConv, SeparableConv1D, SeparableConv2D};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Conv1D", from_config: make::<Conv1D> },
    LayerClass { name: "Conv2D", from_config: make::<Conv2D> },
    LayerClass { name: "Conv3D", from_config: make::<Conv3D> },
    LayerClass { name: "Conv1DTranspose", from_config: make::<Conv1DTranspose> },
    LayerClass { name: "Conv2DTranspose", from_config: make::<Conv2DTranspose> },
    LayerClass { name: "Conv3DTranspose", from_config: make::<Conv3DTranspose> },
    LayerClass { name: "DepthwiseConv1D", from_config: make::<DepthwiseConv1D> },
    LayerClass { name: "DepthwiseConv2D", from_config: make::<DepthwiseConv2D> },
    LayerClass { name: "SeparableConv1D", from_config: make::<SeparableConv1D> },
    LayerClass { name: "SeparableConv2D", from_config: make::<SeparableConv2D> },
];

/// Adds the weight `bias` of `count` elements.
fn add_bias(
    base: &Base,
    count: usize,
    initializer: &InitializerRef,
    regularizer: &Option<RegularizerRef>,
    constraint: &Option<ConstraintRef>,
) -> Result<()> {
    base.add_weight("bias", [count])
        .initializer(initializer.clone())
        .regularizer(regularizer.clone())
        .constraint(constraint.clone())
        .add()?;
    Ok(())
}

/// `activation(y + bias)`, the bias along the channels.
fn biased(y: &Tensor, base: &Base, bias: bool, format: DataFormat, activation: Activation) -> Result<Tensor> {
    let y = y.check()?;
    if !bias {
        return Ok(activation.call(y));
    }
    let bias = base.weight("bias")?;
    let count = bias.dim(0).known().unwrap_or(1);
    let bias = ops::reshape(&bias, &format.along_channels(count, y.rank().saturating_sub(2)));
    Ok(activation.call(&(y + bias)))
}

/// Refuses strides and dilation that are both above 1, as Keras does.
fn check_stride_and_dilation<const N: usize>(strides: &Spatial<N>, dilation: &Spatial<N>) -> Result<()> {
    if strides.0.iter().any(|&s| s > 1) && dilation.0.iter().any(|&d| d > 1) {
        return Err(Error::argument(
            "strides",
            format!("strides {:?} together with dilation_rate {:?}", strides.0, dilation.0),
            "set one of them to 1",
        ));
    }
    Ok(())
}
