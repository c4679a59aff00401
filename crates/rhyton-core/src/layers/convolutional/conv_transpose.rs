//! `Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`: the gradient of convolution as a layer.

use serde::{Deserialize, Serialize};

use super::{add_bias, biased, check_stride_and_dilation};
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Zeros};
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Padding, Spatial, size_of};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;

/// Transposed convolution over `N` spatial axes: each input adds `x · kernel` to the outputs that a convolution of the
/// same strides would have computed it from.
///
/// # Shapes
/// `x (batch, …, channels)` gives `(batch, …, filters)`; `kernel (kernel_size…, filters, channels)`, `bias (filters)`. A
/// spatial size `n` becomes `n · stride + max(kernel − stride, 0)` with valid padding and `n · stride` with same, unless
/// `output_padding` is given.
///
/// # Errors
/// If `output_padding` is not below the strides; if strides and dilation are both above 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct ConvTranspose<const N: usize> {
    #[serde(skip)]
    base: Base,
    filters: usize,
    kernel_size: Spatial<N>,
    strides: Spatial<N>,
    padding: Padding,
    output_padding: Option<Spatial<N>>,
    data_format: DataFormat,
    dilation_rate: Spatial<N>,
    activation: Activation,
    use_bias: bool,
    kernel_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    kernel_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    kernel_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
}

/// [`ConvTranspose`] over one axis: `(batch, steps, channels)`.
pub type Conv1DTranspose = ConvTranspose<1>;
/// [`ConvTranspose`] over two axes: `(batch, height, width, channels)`.
pub type Conv2DTranspose = ConvTranspose<2>;
/// [`ConvTranspose`] over three axes: `(batch, depth, height, width, channels)`.
pub type Conv3DTranspose = ConvTranspose<3>;

ranked_layer!(ConvTranspose: "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose");

impl<const N: usize> Default for ConvTranspose<N> {
    fn default() -> Self {
        ConvTranspose {
            base: Base::default(),
            filters: 0,
            kernel_size: 1.into(),
            strides: 1.into(),
            padding: Padding::Valid,
            output_padding: None,
            data_format: DataFormat::default(),
            dilation_rate: 1.into(),
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: InitializerRef::default(),
            bias_initializer: Zeros {}.into(),
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
        }
    }
}

impl<const N: usize> ConvTranspose<N> {
    /// A layer of `filters` output channels with a kernel of `kernel_size`: a number for all axes, or an array.
    pub fn new(filters: usize, kernel_size: impl Into<Spatial<N>>) -> Self {
        ConvTranspose { filters, kernel_size: kernel_size.into(), ..ConvTranspose::default() }
    }

    builders! {
        /// How far apart the outputs of neighbouring inputs lie; 1 unless said.
        strides: into Spatial<N>,
        /// Valid or same; valid unless said.
        padding: Padding,
        /// How many elements are added at the end of each axis, below the strides; found from the padding unless said.
        output_padding: some Spatial<N>,
        /// Where the channels are; last unless said.
        data_format: DataFormat,
        /// How far apart the outputs of a kernel lie; 1 unless said.
        dilation_rate: into Spatial<N>,
        /// Applied to the result; linear unless said.
        activation: Activation,
        /// Whether a bias is added; it is unless said.
        use_bias: bool,
        /// How the kernel starts; Glorot uniform unless said.
        kernel_initializer: into InitializerRef,
        /// How the bias starts; zeros unless said.
        bias_initializer: into InitializerRef,
        /// A penalty on the kernel.
        kernel_regularizer: some RegularizerRef,
        /// A penalty on the bias.
        bias_regularizer: some RegularizerRef,
        /// A penalty on the outputs.
        activity_regularizer: some RegularizerRef,
        /// What the kernel is held to.
        kernel_constraint: some ConstraintRef,
        /// What the bias is held to.
        bias_constraint: some ConstraintRef,
    }

    fn check(&self) -> Result<()> {
        if self.filters == 0 {
            return Err(Error::argument("filters", "0 filters were asked for", "give at least 1"));
        }
        self.kernel_size.check_positive("kernel_size")?;
        self.strides.check_positive("strides")?;
        self.dilation_rate.check_positive("dilation_rate")?;
        self.padding.not_causal("padding")?;
        check_stride_and_dilation(&self.strides, &self.dilation_rate)?;
        let padding = self.output_padding.map_or([0; N], |p| p.0);
        if padding.iter().zip(&self.strides.0).any(|(p, s)| p >= s) {
            return Err(Error::argument(
                "output_padding",
                format!("{padding:?} is not below the strides {:?}", self.strides.0),
                "make it smaller along each axis",
            ));
        }
        Ok(())
    }
}

impl<const N: usize> Layer for ConvTranspose<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.check()?;
        let shape = inputs.first()?;
        expect_rank(shape, N + 2, "transposed convolution")?;
        let channels = size_of(shape, self.data_format.channel_axis(N + 2), "transposed convolution")?;
        let mut kernel = self.kernel_size.0.to_vec();
        kernel.extend([self.filters, channels]);
        self.base
            .add_weight("kernel", kernel)
            .initializer(self.kernel_initializer.clone())
            .regularizer(self.kernel_regularizer.clone())
            .constraint(self.kernel_constraint.clone())
            .add()?;
        if self.use_bias {
            add_bias(&self.base, self.filters, &self.bias_initializer, &self.bias_regularizer, &self.bias_constraint)?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let y = ops::conv_transpose(
            inputs.tensor()?,
            &self.base.weight("kernel")?,
            self.strides,
            self.padding.name(),
            self.output_padding.map(Into::into),
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
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("conv_transpose");
    }

    #[test]
    fn output_padding_must_be_below_the_strides() {
        let x = Tensor::new([1, 2, 1], vec![0.0f32; 2]);
        let error = Conv1DTranspose::new(1, 2).output_padding(1).call(&x).eval().unwrap_err();
        assert!(error.to_string().contains("output_padding"), "{error}");
    }
}
