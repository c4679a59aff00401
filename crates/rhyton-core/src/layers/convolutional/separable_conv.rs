//! `SeparableConv1D`, `SeparableConv2D`: a depthwise convolution and a mixing of channels.

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

/// A depthwise convolution over `N` spatial axes, then a product over the channels.
///
/// # Shapes
/// `x (batch, …, channels)` gives `(batch, …, filters)`; `depthwise_kernel (kernel_size…, channels, depth_multiplier)`,
/// `pointwise_kernel (1…, channels · depth_multiplier, filters)`, `bias (filters)`.
///
/// # Errors
/// If an argument is 0, or no window fits.
///
/// # References
/// Chollet, 2016, <https://arxiv.org/abs/1610.02357>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct SeparableConv<const N: usize> {
    #[serde(skip)]
    base: Base,
    depth_multiplier: usize,
    filters: usize,
    kernel_size: Spatial<N>,
    strides: Spatial<N>,
    padding: Padding,
    data_format: DataFormat,
    dilation_rate: Spatial<N>,
    activation: Activation,
    use_bias: bool,
    depthwise_initializer: InitializerRef,
    pointwise_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    depthwise_regularizer: Option<RegularizerRef>,
    pointwise_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    depthwise_constraint: Option<ConstraintRef>,
    pointwise_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
}

/// [`SeparableConv`] over one axis: `(batch, steps, channels)`.
pub type SeparableConv1D = SeparableConv<1>;
/// [`SeparableConv`] over two axes: `(batch, height, width, channels)`.
pub type SeparableConv2D = SeparableConv<2>;

ranked_layer!(SeparableConv: "SeparableConv1D", "SeparableConv2D");

impl<const N: usize> Default for SeparableConv<N> {
    fn default() -> Self {
        SeparableConv {
            base: Base::default(),
            depth_multiplier: 1,
            filters: 0,
            kernel_size: 1.into(),
            strides: 1.into(),
            padding: Padding::Valid,
            data_format: DataFormat::default(),
            dilation_rate: 1.into(),
            activation: Activation::Linear,
            use_bias: true,
            depthwise_initializer: InitializerRef::default(),
            pointwise_initializer: InitializerRef::default(),
            bias_initializer: Zeros {}.into(),
            depthwise_regularizer: None,
            pointwise_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            depthwise_constraint: None,
            pointwise_constraint: None,
            bias_constraint: None,
        }
    }
}

impl<const N: usize> SeparableConv<N> {
    /// A layer of `filters` output channels with kernels of `kernel_size`: a number for all axes, or an array.
    pub fn new(filters: usize, kernel_size: impl Into<Spatial<N>>) -> Self {
        SeparableConv { filters, kernel_size: kernel_size.into(), ..SeparableConv::default() }
    }

    builders! {
        /// How far the kernel moves from one output to the next, the same along all axes; 1 unless said.
        strides: into Spatial<N>,
        /// Valid or same; valid unless said.
        padding: Padding,
        /// Where the channels are; last unless said.
        data_format: DataFormat,
        /// How far apart the inputs of a kernel lie; 1 unless said.
        dilation_rate: into Spatial<N>,
        /// How many depthwise filters each channel has; 1 unless said.
        depth_multiplier: usize,
        /// Applied to the result; linear unless said.
        activation: Activation,
        /// Whether a bias is added; it is unless said.
        use_bias: bool,
        /// How the depthwise kernel starts; Glorot uniform unless said.
        depthwise_initializer: into InitializerRef,
        /// How the pointwise kernel starts; Glorot uniform unless said.
        pointwise_initializer: into InitializerRef,
        /// How the bias starts; zeros unless said.
        bias_initializer: into InitializerRef,
        /// A penalty on the depthwise kernel.
        depthwise_regularizer: some RegularizerRef,
        /// A penalty on the pointwise kernel.
        pointwise_regularizer: some RegularizerRef,
        /// A penalty on the bias.
        bias_regularizer: some RegularizerRef,
        /// A penalty on the outputs.
        activity_regularizer: some RegularizerRef,
        /// What the depthwise kernel is held to.
        depthwise_constraint: some ConstraintRef,
        /// What the pointwise kernel is held to.
        pointwise_constraint: some ConstraintRef,
        /// What the bias is held to.
        bias_constraint: some ConstraintRef,
    }
}

impl<const N: usize> Layer for SeparableConv<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.kernel_size.check_positive("kernel_size")?;
        self.strides.check_positive("strides")?;
        self.dilation_rate.check_positive("dilation_rate")?;
        self.padding.not_causal("padding")?;
        if self.depth_multiplier == 0 || self.filters == 0 {
            return Err(Error::argument("filters", "filters or depth_multiplier is 0", "give at least 1"));
        }
        let shape = inputs.first()?;
        expect_rank(shape, N + 2, "separable convolution")?;
        let channels = size_of(shape, self.data_format.channel_axis(N + 2), "separable convolution")?;
        let dilation = &self.dilation_rate.0;
        expect_fit(shape, self.data_format, &self.kernel_size.0, dilation, self.padding, "separable convolution")?;
        let mut depthwise = self.kernel_size.0.to_vec();
        depthwise.extend([channels, self.depth_multiplier]);
        let mut pointwise = vec![1; N];
        pointwise.extend([channels * self.depth_multiplier, self.filters]);
        self.base
            .add_weight("depthwise_kernel", depthwise)
            .initializer(self.depthwise_initializer.clone())
            .regularizer(self.depthwise_regularizer.clone())
            .constraint(self.depthwise_constraint.clone())
            .add()?;
        self.base
            .add_weight("pointwise_kernel", pointwise)
            .initializer(self.pointwise_initializer.clone())
            .regularizer(self.pointwise_regularizer.clone())
            .constraint(self.pointwise_constraint.clone())
            .add()?;
        if self.use_bias {
            add_bias(&self.base, self.filters, &self.bias_initializer, &self.bias_regularizer, &self.bias_constraint)?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let y = ops::separable_conv(
            inputs.tensor()?,
            &self.base.weight("depthwise_kernel")?,
            &self.base.weight("pointwise_kernel")?,
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
        check_layer("separable_conv");
    }
}
