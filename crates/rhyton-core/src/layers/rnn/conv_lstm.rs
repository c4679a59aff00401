//! `ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D`: long short-term memory of images.

use std::sync::{Arc, OnceLock};

use rhyton_ir::op::Concatenate;
use rhyton_ir::{Dim, Shape};
use serde::{Deserialize, Serialize};

use super::cell::{self, Cell, Recipe, Step, dropout_masks, split};
use super::recurrent::{Kept, recurrent_layer};
use super::unit_forget_bias::UnitForgetBias;
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Orthogonal, Zeros};
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_fit, expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, LayerObject, LayerRef, Padding, Spatial, size_of};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::ops::primitives::{reshaped, sliced};
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// An [`LSTM`](super::LSTM) over images: convolutions take the place of the products. That of the states keeps their size.
///
/// # Shapes
/// `x (batch, time, spatial…, channels)` gives the last output `(batch, spatial…, filters)`, or with `return_sequences` all of
/// them; with `return_state` also the last `h` and `c`, of the same shape. `kernel (size…, channels, 4 filters)`,
/// `recurrent_kernel (size…, filters, 4 filters)`, `bias (4 filters)`.
///
/// # Call arguments
/// As [`LSTM`](super::LSTM).
///
/// # Errors
/// If `x` has another rank, unknown spatial sizes, or other channels than the layer was built with.
///
/// # References
/// Shi et al., 2015, <https://arxiv.org/abs/1506.04214>, without the connections from `c` to the gates.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct ConvLSTM<const N: usize> {
    #[serde(skip)]
    base: Base,
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    stateful: bool,
    unroll: bool,
    zero_output_for_mask: bool,
    filters: usize,
    kernel_size: Spatial<N>,
    strides: Spatial<N>,
    padding: Padding,
    data_format: DataFormat,
    dilation_rate: Spatial<N>,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    kernel_initializer: InitializerRef,
    recurrent_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    unit_forget_bias: bool,
    kernel_regularizer: Option<RegularizerRef>,
    recurrent_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    kernel_constraint: Option<ConstraintRef>,
    recurrent_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
    dropout: f64,
    recurrent_dropout: f64,
    seed: Option<u64>,
    #[serde(skip)]
    kept: Kept,
    #[serde(skip)]
    cell: Arc<OnceLock<ConvLSTMCell<N>>>,
}

/// [`ConvLSTM`] over one axis: `(batch, time, steps, channels)`.
pub type ConvLSTM1D = ConvLSTM<1>;
/// [`ConvLSTM`] over two axes: `(batch, time, height, width, channels)`.
pub type ConvLSTM2D = ConvLSTM<2>;
/// [`ConvLSTM`] over three axes: `(batch, time, depth, height, width, channels)`.
pub type ConvLSTM3D = ConvLSTM<3>;

ranked_layer!(ConvLSTM: "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D");
recurrent_settings!(ConvLSTM<N>);
cell_settings!(ConvLSTM<N>);

impl<const N: usize> Default for ConvLSTM<N> {
    fn default() -> Self {
        ConvLSTM {
            base: Base::default(),
            return_sequences: false,
            return_state: false,
            go_backwards: false,
            stateful: false,
            unroll: false,
            zero_output_for_mask: false,
            filters: 0,
            kernel_size: 1.into(),
            strides: 1.into(),
            padding: Padding::Valid,
            data_format: DataFormat::default(),
            dilation_rate: 1.into(),
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            use_bias: true,
            kernel_initializer: InitializerRef::default(),
            recurrent_initializer: Orthogonal::default().into(),
            bias_initializer: Zeros {}.into(),
            unit_forget_bias: true,
            kernel_regularizer: None,
            recurrent_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            recurrent_constraint: None,
            bias_constraint: None,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            seed: None,
            kept: Kept::default(),
            cell: Arc::default(),
        }
    }
}

impl<const N: usize> ConvLSTM<N> {
    /// A layer of `filters` output channels with kernels of `kernel_size`: a number for all axes, or an array.
    pub fn new(filters: usize, kernel_size: impl Into<Spatial<N>>) -> Self {
        ConvLSTM { filters, kernel_size: kernel_size.into(), ..ConvLSTM::default() }
    }

    builders! {
        /// How far the kernel of the inputs moves from one output to the next; 1 unless said.
        strides: into Spatial<N>,
        /// What lies around the inputs; nothing (valid) unless said.
        padding: Padding,
        /// Where the channels are; last unless said.
        data_format: DataFormat,
        /// How far apart the inputs of a kernel lie; 1 unless said.
        dilation_rate: into Spatial<N>,
        /// Opens and closes the gates; `sigmoid` unless said.
        recurrent_activation: Activation,
        /// Whether the bias of the forget gate starts at 1; it does unless said.
        unit_forget_bias: bool,
        /// A penalty on the outputs.
        activity_regularizer: some RegularizerRef,
    }

    /// The cell, made of the layer's arguments when it is first needed.
    fn cell(&self) -> LayerRef {
        let make = || {
            // The copy only lends its arguments: with the cell it would own itself.
            let layer = ConvLSTM { base: Base::default(), kept: Kept::default(), cell: Arc::default(), ..self.clone() };
            let cell = ConvLSTMCell { base: Base::default(), layer, shape: Arc::default() };
            cell.base.set_name("conv_lstm_cell");
            cell.base.set_policy(self.base.policy());
            cell.base.set_own_trainable(self.base.trainable());
            cell
        };
        self.cell.get_or_init(make).share()
    }

    fn made_cell(&self) -> Option<LayerRef> {
        self.cell.get().map(|cell| cell.share())
    }
}

recurrent_layer!(ConvLSTM<N>, |layer| layer.activity_regularizer.as_ref());

/// One step of a [`ConvLSTM`], with the arguments of that layer. Keras does not give it a class of its own to save.
#[derive(Clone, Debug)]
struct ConvLSTMCell<const N: usize> {
    base: Base,
    layer: ConvLSTM<N>,
    /// The shape of a state of one sample, known once built.
    shape: Arc<OnceLock<Shape>>,
}

impl<const N: usize> LayerObject for ConvLSTMCell<N> {
    fn base(&self) -> &Base {
        &self.base
    }

    fn class_name(&self) -> &'static str {
        "ConvLSTMCell"
    }

    fn own_config(&self) -> serde_json::Value {
        self.layer.own_config()
    }

    fn share(&self) -> LayerRef {
        Arc::new(self.clone())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl<const N: usize> ConvLSTMCell<N> {
    /// The shape of a state of one sample, for inputs of `shape`.
    fn state_shape(&self, shape: &Shape) -> Result<Shape> {
        let layer = &self.layer;
        let mut state: Vec<Dim> = shape.iter().skip(1).cloned().collect();
        for axis in 0..N {
            let at = layer.data_format.first_spatial() + axis;
            let (size, stride) = (size_of(shape, at, "ConvLSTM")?, layer.strides.0[axis]);
            let window = layer.dilation_rate.0[axis] * (layer.kernel_size.0[axis] - 1) + 1;
            state[at - 1] = match layer.padding {
                Padding::Same => size.div_ceil(stride),
                _ => (size + 1).saturating_sub(window).div_ceil(stride),
            }
            .into();
        }
        state[layer.data_format.channel_axis(N + 2) - 1] = layer.filters.into();
        Ok(Shape::from(state))
    }
}

impl<const N: usize> Layer for ConvLSTMCell<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let (layer, shape) = (&self.layer, inputs.first()?);
        layer.kernel_size.check_positive("kernel_size")?;
        layer.strides.check_positive("strides")?;
        layer.dilation_rate.check_positive("dilation_rate")?;
        layer.padding.not_causal("ConvLSTM")?;
        if layer.filters == 0 {
            return Err(Error::argument("filters", "0 filters were asked for", "give at least 1"));
        }
        if layer.strides.0.iter().any(|&s| s > 1) && layer.dilation_rate.0.iter().any(|&d| d > 1) {
            return Err(Error::argument(
                "strides",
                format!("strides {:?} with a dilation rate {:?}", layer.strides.0, layer.dilation_rate.0),
                "let one of them be 1",
            ));
        }
        expect_rank(shape, N + 2, "one step of ConvLSTM")?;
        expect_fit(shape, layer.data_format, &layer.kernel_size.0, &layer.dilation_rate.0, layer.padding, "ConvLSTM")?;
        let channels = size_of(shape, layer.data_format.channel_axis(N + 2), "ConvLSTM")?;
        let state = self.state_shape(shape)?;
        let sizes = |inputs: usize| [&layer.kernel_size.0[..], &[inputs, 4 * layer.filters]].concat();
        let kernel = Recipe(&layer.kernel_initializer, &layer.kernel_regularizer, &layer.kernel_constraint);
        kernel.add(&self.base, "kernel", sizes(channels))?;
        let recurrent = Recipe(&layer.recurrent_initializer, &layer.recurrent_regularizer, &layer.recurrent_constraint);
        recurrent.add(&self.base, "recurrent_kernel", sizes(layer.filters))?;
        if layer.use_bias {
            let initializer = UnitForgetBias::over(&layer.bias_initializer, layer.unit_forget_bias);
            let bias = Recipe(&initializer, &layer.bias_regularizer, &layer.bias_constraint);
            bias.add(&self.base, "bias", [4 * layer.filters])?;
        }
        let _ = self.shape.set(state);
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        cell::call(self, inputs, cx)
    }

    fn as_cell(&self) -> Option<&dyn Cell> {
        Some(self)
    }
}

impl<const N: usize> Cell for ConvLSTMCell<N> {
    fn state_shapes(&self) -> Result<Vec<Shape>> {
        let shape = self.shape.get().cloned().ok_or_else(|| {
            Error::argument("ConvLSTM", "the cell is not built", "build the layer first, by calling it")
        })?;
        Ok(vec![shape.clone(), shape])
    }

    fn output_state(&self) -> Option<usize> {
        Some(0)
    }

    fn begin(&self, input: &Shape, cx: &Context) -> Result<Box<dyn Step>> {
        let layer = &self.layer;
        let state = cell::batched(&input[0], &self.state_shape(input)?);
        // Nothing is left out at 1, as Keras has it.
        let below_1 = |rate: f64| if rate < 1.0 { rate } else { 0.0 };
        let bias = || -> Result<Tensor> {
            let shape = layer.data_format.along_channels(4 * layer.filters, N);
            ops::reshape(&self.base.weight("bias")?, &shape).check().cloned()
        };
        Ok(Box::new(ConvStep {
            layer: layer.clone(),
            kernel: self.base.weight("kernel")?,
            recurrent_kernel: self.base.weight("recurrent_kernel")?,
            bias: if layer.use_bias { Some(bias()?) } else { None },
            masks: dropout_masks(&self.base, input, below_1(layer.dropout), layer.seed, 4, cx)?,
            recurrent_masks: dropout_masks(&self.base, &state, below_1(layer.recurrent_dropout), layer.seed, 4, cx)?,
        }))
    }
}

struct ConvStep<const N: usize> {
    layer: ConvLSTM<N>,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Option<Tensor>,
    masks: Vec<Tensor>,
    recurrent_masks: Vec<Tensor>,
}

impl<const N: usize> ConvStep<N> {
    /// The convolution for all gates side by side, each of which sees `x` through its own mask if there are masks.
    fn gated(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        masks: &[Tensor],
        conv: impl Fn(&Tensor, &Tensor) -> Tensor,
    ) -> Result<Tensor> {
        if masks.is_empty() {
            return conv(x, kernel).check().cloned();
        }
        let gates = split(kernel, 4)?;
        let parts: Vec<Tensor> = gates.iter().zip(masks).map(|(kernel, mask)| conv(&(x * mask), kernel)).collect();
        let parts: Vec<&Tensor> = parts.iter().collect();
        // Inputs of all steps have time in front.
        let axis = x.rank() - (N + 2) + self.layer.data_format.channel_axis(N + 2);
        Tensor::apply(Concatenate { axis }, &parts).check().cloned()
    }

    /// The convolution of the inputs, of one step or of all at once.
    fn inputs_conv(&self, x: &Tensor, kernel: &Tensor) -> Tensor {
        let (layer, steps) = (&self.layer, x.rank() - (N + 2));
        let folded: Shape = match steps {
            0 => x.shape().clone(),
            _ => std::iter::once(x.dim(0) * x.dim(1)).chain(x.shape().iter().skip(2).cloned()).collect(),
        };
        let format = Some(layer.data_format.name());
        let y =
            ops::conv(&reshaped(x, folded), kernel, layer.strides, layer.padding.name(), format, layer.dilation_rate);
        match steps {
            0 => y,
            _ => {
                let shape: Shape = [x.dim(0), x.dim(1)].into_iter().chain(y.shape().iter().skip(1).cloned()).collect();
                reshaped(&y, shape)
            }
        }
    }
}

impl<const N: usize> Step for ConvStep<N> {
    fn project(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let z = self.gated(x, &self.kernel, &self.masks, |x, kernel| self.inputs_conv(x, kernel))?;
        Ok(vec![self.bias.iter().fold(z, |z, bias| z + bias)])
    }

    fn advance(&self, projected: &[Tensor], states: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let layer = &self.layer;
        let conv = |h: &Tensor, kernel: &Tensor| ops::conv(h, kernel, 1, "same", Some(layer.data_format.name()), 1);
        let z = &projected[0] + self.gated(&states[0], &self.recurrent_kernel, &self.recurrent_masks, conv)?;
        let axis = layer.data_format.channel_axis(z.check()?.rank());
        let gate = |k: usize| sliced(&z, axis, k * layer.filters, (k + 1) * layer.filters);
        let [i, f, o] = [0, 1, 3].map(|k| layer.recurrent_activation.call(&gate(k)));
        let c = f * &states[1] + i * layer.activation.call(&gate(2));
        let h = o * layer.activation.call(&c);
        Ok((h.clone(), vec![h, c]))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("conv_lstm");
    }

    #[test]
    fn dropout_differs_from_call_to_call() {
        let x = Tensor::new([1, 2, 4, 2], vec![1.0f32; 16]);
        let layer = ConvLSTM1D::new(2, 2).dropout(0.5).recurrent_dropout(0.5).seed(3u64);
        let draw = |_| layer.call(Args::new(&x).with("training", serde_json::json!(true))).to_vec::<f32>().unwrap();
        let draws: Vec<Vec<f32>> = (0..8).map(draw).collect();
        assert!(draws.iter().any(|d| *d != draws[0]), "{draws:?}");
        assert_eq!(layer.call(&x).shape().to_string(), "[1,3,2]");
    }
}
