//! `Conv1D`, `Conv2D`, `Conv3D`: convolution.

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

/// Convolution over `N` spatial axes: `y[o] = activation(Σ x[o · strides + k · dilation_rate] · kernel[k] + bias)`, with
/// the kernel not turned round.
///
/// # Shapes
/// `x (batch, …, channels)` gives `(batch, …, filters)`; `kernel (kernel_size…, channels / groups, filters)`, `bias
/// (filters)`. A spatial size `n` becomes `⌊(n − dilated kernel) / stride⌋ + 1` with valid padding and `⌈n / stride⌉` with
/// the others.
///
/// # Errors
/// If channels or filters do not divide into groups; if strides and dilation are both above 1; if no window fits.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let x = Tensor::new([1, 4, 1], vec![1.0f32, 2.0, 3.0, 4.0]);
/// let y = Conv1D::new(1, 2).kernel_initializer(Ones::default()).call(&x);
/// assert_eq!(y.to_vec::<f32>()?, [3.0, 5.0, 7.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct Conv<const N: usize> {
    #[serde(skip)]
    base: Base,
    filters: usize,
    kernel_size: Spatial<N>,
    strides: Spatial<N>,
    padding: Padding,
    data_format: DataFormat,
    dilation_rate: Spatial<N>,
    groups: usize,
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

/// [`Conv`] over one axis: `(batch, steps, channels)`.
pub type Conv1D = Conv<1>;
/// [`Conv`] over two axes: `(batch, height, width, channels)`.
pub type Conv2D = Conv<2>;
/// [`Conv`] over three axes: `(batch, depth, height, width, channels)`.
pub type Conv3D = Conv<3>;

ranked_layer!(Conv: "Conv1D", "Conv2D", "Conv3D");

impl<const N: usize> Default for Conv<N> {
    fn default() -> Self {
        Conv {
            base: Base::default(),
            filters: 0,
            kernel_size: 1.into(),
            strides: 1.into(),
            padding: Padding::Valid,
            data_format: DataFormat::default(),
            dilation_rate: 1.into(),
            groups: 1,
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

impl<const N: usize> Conv<N> {
    /// A layer of `filters` output channels with a kernel of `kernel_size`: a number for all axes, or an array.
    pub fn new(filters: usize, kernel_size: impl Into<Spatial<N>>) -> Self {
        Conv { filters, kernel_size: kernel_size.into(), ..Conv::default() }
    }

    builders! {
        /// How far the kernel moves from one output to the next; 1 unless said.
        strides: into Spatial<N>,
        /// What lies around the input; nothing (valid) unless said.
        padding: Padding,
        /// Where the channels are; last unless said.
        data_format: DataFormat,
        /// How far apart the inputs of a kernel lie; 1 unless said.
        dilation_rate: into Spatial<N>,
        /// Into how many groups the channels are split, each with filters of its own; 1 unless said.
        groups: usize,
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
        self.kernel_size.check_positive("kernel_size")?;
        self.strides.check_positive("strides")?;
        self.dilation_rate.check_positive("dilation_rate")?;
        super::check_stride_and_dilation(&self.strides, &self.dilation_rate)?;
        if self.groups == 0 || self.filters == 0 || !self.filters.is_multiple_of(self.groups) {
            return Err(Error::argument(
                "filters",
                format!("{} filters do not divide into {} groups", self.filters, self.groups),
                "give positive numbers, the filters a multiple of the groups",
            ));
        }
        if N != 1 {
            self.padding.not_causal("padding")?;
        }
        Ok(())
    }
}

impl<const N: usize> Layer for Conv<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.check()?;
        let shape = inputs.first()?;
        expect_rank(shape, N + 2, "convolution")?;
        let channels = size_of(shape, self.data_format.channel_axis(N + 2), "convolution")?;
        if !channels.is_multiple_of(self.groups) {
            return Err(Error::shape(
                "groups",
                format!("the {channels} channels of the input {shape} do not divide into {} groups", self.groups),
                "give a number of channels that is a multiple of the groups",
            ));
        }
        let dilation = &self.dilation_rate.0;
        expect_fit(shape, self.data_format, &self.kernel_size.0, dilation, self.padding, "convolution")?;
        let mut kernel = self.kernel_size.0.to_vec();
        kernel.extend([channels / self.groups, self.filters]);
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
        let x = inputs.tensor()?;
        let kernel = self.base.weight("kernel")?;
        let (x, padding) = if self.padding == Padding::Causal {
            let before = self.dilation_rate.0[0] * (self.kernel_size.0[0] - 1);
            let mut width = [[0, 0]; 3];
            width[self.data_format.first_spatial()][0] = before as i64;
            (ops::pad(x, width, "constant", None), Padding::Valid)
        } else {
            (x.clone(), self.padding)
        };
        let y = ops::conv(&x, &kernel, self.strides, padding.name(), Some(self.data_format.name()), self.dilation_rate);
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
    fn one_axis_agrees_with_keras() {
        check_layer("conv1d");
    }

    #[test]
    fn two_axes_agree_with_keras() {
        check_layer("conv2d");
    }

    #[test]
    fn three_axes_agree_with_keras() {
        check_layer("conv3d");
    }

    #[test]
    fn impossible_arguments_are_refused() {
        let x = Tensor::new([1, 4, 3], vec![0.0f32; 12]);
        let refused = |layer: Conv1D, what: &str| {
            let error = layer.call(&x).eval().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        refused(Conv1D::new(4, 3).groups(2), "3 channels");
        refused(Conv1D::new(3, 2).groups(2), "3 filters");
        refused(Conv1D::new(1, 5), "does not fit");
        refused(Conv1D::new(1, 2).strides(2).dilation_rate(2), "strides");
        let image = Tensor::new([1, 2, 2, 1], vec![0.0f32; 4]);
        assert!(Conv2D::new(1, 1).padding(Padding::Causal).call(&image).eval().is_err());
    }
}
