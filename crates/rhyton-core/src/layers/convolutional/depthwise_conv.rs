//! `DepthwiseConv1D`, `DepthwiseConv2D`: each channel convolved on its own.

use serde::{Deserialize, Serialize};

use super::{add_bias, biased};
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Zeros};
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_fit, expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Padding, Spatial, size_of};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;

/// Convolution over `N` spatial axes of each channel with `depth_multiplier` filters of its own.
///
/// # Shapes
/// `x (batch, …, channels)` gives `(batch, …, channels · depth_multiplier)`; `kernel (kernel_size…, channels,
/// depth_multiplier)`, `bias (channels · depth_multiplier)`. Spatial sizes as in [`Conv`](super::Conv).
///
/// # Errors
/// If an argument is 0, or no window fits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct DepthwiseConv<const N: usize> {
    #[serde(skip)]
    base: Base,
    depth_multiplier: usize,
    kernel_size: Spatial<N>,
    strides: Spatial<N>,
    padding: Padding,
    data_format: DataFormat,
    dilation_rate: Spatial<N>,
    activation: Activation,
    use_bias: bool,
    depthwise_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    depthwise_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    depthwise_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
}

/// [`DepthwiseConv`] over one axis: `(batch, steps, channels)`.
pub type DepthwiseConv1D = DepthwiseConv<1>;
/// [`DepthwiseConv`] over two axes: `(batch, height, width, channels)`.
pub type DepthwiseConv2D = DepthwiseConv<2>;

ranked_layer!(DepthwiseConv: "DepthwiseConv1D", "DepthwiseConv2D");

impl<const N: usize> Default for DepthwiseConv<N> {
    fn default() -> Self {
        DepthwiseConv {
            base: Base::default(),
            depth_multiplier: 1,
            kernel_size: 1.into(),
            strides: 1.into(),
            padding: Padding::Valid,
            data_format: DataFormat::default(),
            dilation_rate: 1.into(),
            activation: Activation::Linear,
            use_bias: true,
            depthwise_initializer: InitializerRef::default(),
            bias_initializer: Zeros {}.into(),
            depthwise_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            depthwise_constraint: None,
            bias_constraint: None,
        }
    }
}

impl<const N: usize> DepthwiseConv<N> {
    /// A layer with kernels of `kernel_size`: a number for all axes, or an array.
    pub fn new(kernel_size: impl Into<Spatial<N>>) -> Self {
        DepthwiseConv { kernel_size: kernel_size.into(), ..DepthwiseConv::default() }
    }

    builders! {
        /// How far the kernel moves from one output to the next; 1 unless said.
        strides: into Spatial<N>,
        /// Valid or same; valid unless said.
        padding: Padding,
        /// How many filters each channel has; 1 unless said.
        depth_multiplier: usize,
        /// Where the channels are; last unless said.
        data_format: DataFormat,
        /// How far apart the inputs of a kernel lie; 1 unless said.
        dilation_rate: into Spatial<N>,
        /// Applied to the result; linear unless said.
        activation: Activation,
        /// Whether a bias is added; it is unless said.
        use_bias: bool,
        /// How the kernel starts; Glorot uniform unless said.
        depthwise_initializer: into InitializerRef,
        /// How the bias starts; zeros unless said.
        bias_initializer: into InitializerRef,
        /// A penalty on the kernel.
        depthwise_regularizer: some RegularizerRef,
        /// A penalty on the bias.
        bias_regularizer: some RegularizerRef,
        /// A penalty on the outputs.
        activity_regularizer: some RegularizerRef,
        /// What the kernel is held to.
        depthwise_constraint: some ConstraintRef,
        /// What the bias is held to.
        bias_constraint: some ConstraintRef,
    }
}

impl<const N: usize> Layer for DepthwiseConv<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.kernel_size.check_positive("kernel_size")?;
        self.strides.check_positive("strides")?;
        self.dilation_rate.check_positive("dilation_rate")?;
        self.padding.not_causal("padding")?;
        if self.depth_multiplier == 0 {
            return Err(Error::argument("depth_multiplier", "it is 0", "give at least 1"));
        }
        let shape = inputs.first()?;
        expect_rank(shape, N + 2, "depthwise convolution")?;
        let channels = size_of(shape, self.data_format.channel_axis(N + 2), "depthwise convolution")?;
        let dilation = &self.dilation_rate.0;
        expect_fit(shape, self.data_format, &self.kernel_size.0, dilation, self.padding, "depthwise convolution")?;
        let mut kernel = self.kernel_size.0.to_vec();
        kernel.extend([channels, self.depth_multiplier]);
        self.base
            .add_weight("kernel", kernel)
            .initializer(self.depthwise_initializer.clone())
            .regularizer(self.depthwise_regularizer.clone())
            .constraint(self.depthwise_constraint.clone())
            .add()?;
        if self.use_bias {
            let count = channels * self.depth_multiplier;
            add_bias(&self.base, count, &self.bias_initializer, &self.bias_regularizer, &self.bias_constraint)?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let y = ops::depthwise_conv(
            inputs.tensor()?,
            &self.base.weight("kernel")?,
            self.strides,
            self.padding.name(),
            Some(self.data_format.name()),
            self.dilation_rate,
        );
        Ok(biased(&y, &self.base, self.use_bias, self.data_format, self.activation)?.into())
    }

    fn activity_regularizer(&self) -> Option<&RegularizerRef> {
        self.activity_regularizer.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("depthwise_conv");
    }
}
