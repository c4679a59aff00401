//! `LSTM`: long short-term memory, and its cell.

use std::sync::{Arc, OnceLock};

use rhyton_ir::Shape;
use serde::{Deserialize, Serialize};

use super::cell::{self, Cell, Recipe, Step, dropout_masks, features, gated, split};
use super::recurrent::{Kept, recurrent_layer};
use super::unit_forget_bias::UnitForgetBias;
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::Result;
use crate::initializers::{InitializerRef, Orthogonal, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, LayerObject, LayerRef};
use crate::nest::{Args, Nest};
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// Computes, step by step, with `σ` the recurrent activation and `i f c̃ o` the four quarters of
/// `z = x · kernel + h · recurrent_kernel + bias`: `c = σ(f) · c + σ(i) · activation(c̃)`, `h = σ(o) · activation(c)`.
///
/// # Shapes
/// `x (batch, time, features)` gives the last output `h (batch, units)`, or with `return_sequences` all of them,
/// `(batch, time, units)`; with `return_state` also the last `h` and `c`. `kernel (features, 4 units)`,
/// `recurrent_kernel (units, 4 units)`, `bias (4 units)`.
///
/// # Call arguments
/// `initial_state`: the list of `h` and `c` to start from, zeros unless given. `mask (batch, time)`: at false, states and
/// output stay.
///
/// # Errors
/// If `x` has not rank 3, or other features than the layer was built with.
///
/// # References
/// Hochreiter and Schmidhuber, 1997, <https://www.bioinf.jku.at/publications/older/2604.pdf>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LSTM {
    #[serde(skip)]
    base: Base,
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    stateful: bool,
    unroll: bool,
    zero_output_for_mask: bool,
    units: usize,
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
    cell: Arc<OnceLock<LSTMCell>>,
}

impl Default for LSTM {
    fn default() -> LSTM {
        LSTM {
            base: Base::default(),
            return_sequences: false,
            return_state: false,
            go_backwards: false,
            stateful: false,
            unroll: false,
            zero_output_for_mask: false,
            units: 0,
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

keras_layer!(LSTM);
recurrent_settings!(LSTM);
cell_settings!(LSTM);

impl LSTM {
    builders! {
        /// Opens and closes the gates; `sigmoid` unless said.
        recurrent_activation: Activation,
        /// Whether the bias of the forget gate starts at 1; it does unless said.
        unit_forget_bias: bool,
    }
}

impl LSTM {
    /// A layer of `units` outputs.
    pub fn new(units: usize) -> LSTM {
        LSTM { units, ..LSTM::default() }
    }

    /// A penalty on the outputs.
    pub fn activity_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> LSTM {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// The cell, made of the layer's arguments when it is first needed.
    fn cell(&self) -> LayerRef {
        let make = || {
            let cell = LSTMCell {
                base: Base::default(),
                units: self.units,
                activation: self.activation,
                recurrent_activation: self.recurrent_activation,
                use_bias: self.use_bias,
                unit_forget_bias: self.unit_forget_bias,
                kernel_initializer: self.kernel_initializer.clone(),
                recurrent_initializer: self.recurrent_initializer.clone(),
                bias_initializer: self.bias_initializer.clone(),
                kernel_regularizer: self.kernel_regularizer.clone(),
                recurrent_regularizer: self.recurrent_regularizer.clone(),
                bias_regularizer: self.bias_regularizer.clone(),
                kernel_constraint: self.kernel_constraint.clone(),
                recurrent_constraint: self.recurrent_constraint.clone(),
                bias_constraint: self.bias_constraint.clone(),
                dropout: self.dropout,
                recurrent_dropout: self.recurrent_dropout,
                seed: self.seed,
            };
            cell.base.set_name("lstm_cell");
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

recurrent_layer!(LSTM, |layer| layer.activity_regularizer.as_ref());

/// One step of [`LSTM`]: takes `x (batch, features)` and the list of states `h` and `c (batch, units)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LSTMCell {
    #[serde(skip)]
    base: Base,
    units: usize,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    unit_forget_bias: bool,
    kernel_initializer: InitializerRef,
    recurrent_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    kernel_regularizer: Option<RegularizerRef>,
    recurrent_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    kernel_constraint: Option<ConstraintRef>,
    recurrent_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
    dropout: f64,
    recurrent_dropout: f64,
    seed: Option<u64>,
}

impl Default for LSTMCell {
    fn default() -> LSTMCell {
        LSTMCell {
            base: Base::default(),
            units: 0,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            use_bias: true,
            unit_forget_bias: true,
            kernel_initializer: InitializerRef::default(),
            recurrent_initializer: Orthogonal::default().into(),
            bias_initializer: Zeros {}.into(),
            kernel_regularizer: None,
            recurrent_regularizer: None,
            bias_regularizer: None,
            kernel_constraint: None,
            recurrent_constraint: None,
            bias_constraint: None,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            seed: None,
        }
    }
}

keras_layer!(LSTMCell);
cell_settings!(LSTMCell);

impl LSTMCell {
    builders! {
        /// Opens and closes the gates; `sigmoid` unless said.
        recurrent_activation: Activation,
        /// Whether the bias of the forget gate starts at 1; it does unless said.
        unit_forget_bias: bool,
    }
}

impl LSTMCell {
    /// A cell of `units` outputs.
    pub fn new(units: usize) -> LSTMCell {
        LSTMCell { units, ..LSTMCell::default() }
    }
}

impl Layer for LSTMCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let units = self.units;
        let features = features(inputs.first()?, units)?;
        let kernel = Recipe(&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint);
        kernel.add(&self.base, "kernel", [features, 4 * units])?;
        let recurrent = Recipe(&self.recurrent_initializer, &self.recurrent_regularizer, &self.recurrent_constraint);
        recurrent.add(&self.base, "recurrent_kernel", [units, 4 * units])?;
        if self.use_bias {
            let initializer = UnitForgetBias::over(&self.bias_initializer, self.unit_forget_bias);
            let bias = Recipe(&initializer, &self.bias_regularizer, &self.bias_constraint);
            bias.add(&self.base, "bias", [4 * units])?;
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        cell::call(self, inputs, cx)
    }

    fn as_cell(&self) -> Option<&dyn Cell> {
        Some(self)
    }
}

impl Cell for LSTMCell {
    fn state_shapes(&self) -> Result<Vec<Shape>> {
        Ok(vec![Shape::from([self.units]), Shape::from([self.units])])
    }

    fn output_state(&self) -> Option<usize> {
        Some(0)
    }

    fn begin(&self, input: &Shape, cx: &Context) -> Result<Box<dyn Step>> {
        let state: Shape = [input[0].clone(), self.units.into()].into_iter().collect();
        // Keras leaves out the same inputs for all gates, unless it leaves out parts of the state, too; and nothing at 1.
        let masks = if self.recurrent_dropout == 0.0 { 1 } else { 4 };
        let below_1 = |rate: f64| if rate < 1.0 { rate } else { 0.0 };
        Ok(Box::new(LstmStep {
            kernel: self.base.weight("kernel")?,
            recurrent_kernel: self.base.weight("recurrent_kernel")?,
            bias: if self.use_bias { Some(self.base.weight("bias")?) } else { None },
            masks: dropout_masks(&self.base, input, below_1(self.dropout), self.seed, masks, cx)?,
            recurrent_masks: dropout_masks(&self.base, &state, below_1(self.recurrent_dropout), self.seed, 4, cx)?,
            activation: self.activation,
            recurrent_activation: self.recurrent_activation,
        }))
    }
}

struct LstmStep {
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Option<Tensor>,
    masks: Vec<Tensor>,
    recurrent_masks: Vec<Tensor>,
    activation: Activation,
    recurrent_activation: Activation,
}

impl Step for LstmStep {
    fn project(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let z = gated(x, &self.kernel, &self.masks, 4)?;
        Ok(vec![self.bias.iter().fold(z, |z, bias| z + bias)])
    }

    fn advance(&self, projected: &[Tensor], states: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let z = &projected[0] + gated(&states[0], &self.recurrent_kernel, &self.recurrent_masks, 4)?;
        let gates = split(&z, 4)?;
        let [i, f, o] = [0, 1, 3].map(|gate| self.recurrent_activation.call(&gates[gate]));
        let c = f * &states[1] + i * self.activation.call(&gates[2]);
        let h = o * self.activation.call(&c);
        Ok((h.clone(), vec![h, c]))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("lstm");
    }

    #[test]
    fn the_forget_gate_starts_open() {
        let layer = LSTM::new(1);
        layer.call(Tensor::new([1, 1, 1], vec![1.0f32])).check().unwrap();
        let bias = layer.weights()[2].array().unwrap();
        assert_eq!(bias.as_slice::<f32>().unwrap(), [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn dropout_is_one_mask_a_call_and_only_in_training() {
        let x = Tensor::new([1, 4, 2], vec![1.0f32; 8]);
        for layer in [LSTM::new(2).dropout(0.5).seed(1u64), LSTM::new(2).recurrent_dropout(0.5).dropout(0.5).seed(1u64)]
        {
            let quiet = layer.call(&x).to_vec::<f32>().unwrap();
            assert_eq!(layer.call(&x).to_vec::<f32>().unwrap(), quiet);
            let loud = |_| layer.call(Args::new(&x).with("training", serde_json::json!(true))).to_vec::<f32>().unwrap();
            let draws: Vec<Vec<f32>> = (0..8).map(loud).collect();
            assert!(draws.iter().any(|d| *d != draws[0]), "{draws:?}");
        }
    }

    #[test]
    fn time_and_batch_may_be_unknown_in_a_model() {
        let input = Input::open([None, Some(2)]);
        let hidden = LSTM::new(3).return_sequences(true).call(&input);
        assert_eq!(hidden.shape().to_string(), "[batch,d1,3]");
        let outputs = Bidirectional::new(GRU::new(2)).call(TimeDistributed::new(Dense::new(2)).call(&hidden));
        assert_eq!(outputs.shape().to_string(), "[batch,4]");
        let model = Model::new(&input, &outputs).unwrap();
        for time in [1, 5] {
            let y = model.apply(Tensor::new([2, time, 2], vec![0.5f32; 4 * time]), &mut Context::default()).unwrap();
            assert_eq!(y.single().unwrap().eval().unwrap().shape(), [2, 4]);
        }
    }
}
