//! `SimpleRNN`: the fully connected recurrence, and its cell.

use std::sync::{Arc, OnceLock};

use rhyton_ir::Shape;
use serde::{Deserialize, Serialize};

use super::cell::{self, Cell, Recipe, Step, dropout_masks, features};
use super::recurrent::{Kept, recurrent_layer};
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::Result;
use crate::initializers::{InitializerRef, Orthogonal, Zeros};
use crate::keras_layer;
use crate::layers::{Base, Context, InputShapes, Layer, LayerObject, LayerRef};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// Computes `h = activation(x · kernel + bias + h · recurrent_kernel)` step by step; `h` is output and state.
///
/// # Shapes
/// `x (batch, time, features)` gives the last output `(batch, units)`, or with `return_sequences` all of them,
/// `(batch, time, units)`; with `return_state` also the last state `(batch, units)`. `kernel (features, units)`,
/// `recurrent_kernel (units, units)`, `bias (units)`.
///
/// # Call arguments
/// `initial_state`: the state to start from, zeros unless given. `mask (batch, time)`: at false, state and output stay.
///
/// # Errors
/// If `x` has not rank 3, or other features than the layer was built with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimpleRNN {
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
    use_bias: bool,
    kernel_initializer: InitializerRef,
    recurrent_initializer: InitializerRef,
    bias_initializer: InitializerRef,
    kernel_regularizer: Option<RegularizerRef>,
    recurrent_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    kernel_constraint: Option<ConstraintRef>,
    recurrent_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
    dropout: f64,
    recurrent_dropout: f64,
    #[serde(skip_serializing)]
    seed: Option<u64>,
    #[serde(skip)]
    kept: Kept,
    #[serde(skip)]
    cell: Arc<OnceLock<SimpleRNNCell>>,
}

impl Default for SimpleRNN {
    fn default() -> SimpleRNN {
        SimpleRNN {
            base: Base::default(),
            return_sequences: false,
            return_state: false,
            go_backwards: false,
            stateful: false,
            unroll: false,
            zero_output_for_mask: false,
            units: 0,
            activation: Activation::Tanh,
            use_bias: true,
            kernel_initializer: InitializerRef::default(),
            recurrent_initializer: Orthogonal::default().into(),
            bias_initializer: Zeros {}.into(),
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

keras_layer!(SimpleRNN);
recurrent_settings!(SimpleRNN);
cell_settings!(SimpleRNN);

impl SimpleRNN {
    /// A layer of `units` outputs.
    pub fn new(units: usize) -> SimpleRNN {
        SimpleRNN { units, ..SimpleRNN::default() }
    }

    /// A penalty on the outputs.
    pub fn activity_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> SimpleRNN {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// The cell, made of the layer's arguments when it is first needed.
    fn cell(&self) -> LayerRef {
        let make = || {
            let cell = SimpleRNNCell {
                base: Base::default(),
                units: self.units,
                activation: self.activation,
                use_bias: self.use_bias,
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
            cell.base.set_name("simple_rnn_cell");
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

recurrent_layer!(SimpleRNN, |layer| layer.activity_regularizer.as_ref());

/// One step of [`SimpleRNN`]: takes `x (batch, features)` and the list of one state `h (batch, units)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimpleRNNCell {
    #[serde(skip)]
    base: Base,
    units: usize,
    activation: Activation,
    use_bias: bool,
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

impl Default for SimpleRNNCell {
    fn default() -> SimpleRNNCell {
        SimpleRNNCell {
            base: Base::default(),
            units: 0,
            activation: Activation::Tanh,
            use_bias: true,
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

keras_layer!(SimpleRNNCell);
cell_settings!(SimpleRNNCell);

impl SimpleRNNCell {
    /// A cell of `units` outputs.
    pub fn new(units: usize) -> SimpleRNNCell {
        SimpleRNNCell { units, ..SimpleRNNCell::default() }
    }
}

impl Layer for SimpleRNNCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let units = self.units;
        let features = features(inputs.first()?, units)?;
        let kernel = Recipe(&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint);
        kernel.add(&self.base, "kernel", [features, units])?;
        let recurrent = Recipe(&self.recurrent_initializer, &self.recurrent_regularizer, &self.recurrent_constraint);
        recurrent.add(&self.base, "recurrent_kernel", [units, units])?;
        if self.use_bias {
            let bias = Recipe(&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
            bias.add(&self.base, "bias", [units])?;
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

impl Cell for SimpleRNNCell {
    fn state_shapes(&self) -> Result<Vec<Shape>> {
        Ok(vec![Shape::from([self.units])])
    }

    fn output_state(&self) -> Option<usize> {
        Some(0)
    }

    fn begin(&self, input: &Shape, cx: &Context) -> Result<Box<dyn Step>> {
        let state: Shape = [input[0].clone(), self.units.into()].into_iter().collect();
        Ok(Box::new(SimpleStep {
            kernel: self.base.weight("kernel")?,
            recurrent_kernel: self.base.weight("recurrent_kernel")?,
            bias: if self.use_bias { Some(self.base.weight("bias")?) } else { None },
            masks: dropout_masks(&self.base, input, self.dropout, self.seed, 1, cx)?,
            recurrent_masks: dropout_masks(&self.base, &state, self.recurrent_dropout, self.seed, 1, cx)?,
            activation: self.activation,
        }))
    }
}

struct SimpleStep {
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Option<Tensor>,
    masks: Vec<Tensor>,
    recurrent_masks: Vec<Tensor>,
    activation: Activation,
}

impl Step for SimpleStep {
    fn project(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let x = self.masks.first().map_or_else(|| x.clone(), |mask| x * mask);
        let z = ops::matmul(&x, &self.kernel);
        Ok(vec![self.bias.iter().fold(z, |z, bias| z + bias)])
    }

    fn advance(&self, projected: &[Tensor], states: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let h = self.recurrent_masks.first().map_or_else(|| states[0].clone(), |mask| &states[0] * mask);
        let h = self.activation.call(&(&projected[0] + ops::matmul(&h, &self.recurrent_kernel)));
        Ok((h.clone(), vec![h]))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("simple_rnn");
    }

    #[test]
    fn states_last_between_calls_until_reset() {
        let layer = SimpleRNN::new(2).stateful(true);
        let x = Tensor::new([1, 2, 1], vec![0.5f32, -0.5]);
        let first = layer.call(&x).to_vec::<f32>().unwrap();
        let second = layer.call(&x).to_vec::<f32>().unwrap();
        assert_ne!(first, second);
        let whole = Tensor::new([1, 4, 1], vec![0.5f32, -0.5, 0.5, -0.5]);
        layer.reset_state().unwrap();
        assert_eq!(layer.call(&whole).to_vec::<f32>().unwrap(), second);
        layer.reset_state().unwrap();
        assert_eq!(layer.call(&x).to_vec::<f32>().unwrap(), first);
        assert_eq!(layer.weights().len(), 3);
    }

    #[test]
    fn a_symbolic_call_leaves_the_states_alone() {
        let layer = SimpleRNN::new(2).stateful(true);
        let input = Input::new([2, 1]).batch_size(1);
        layer.call(&input).check().unwrap();
        let x = Tensor::new([1, 2, 1], vec![0.5f32, -0.5]);
        let first = layer.call(&x).to_vec::<f32>().unwrap();
        layer.call(&input).check().unwrap();
        assert_ne!(layer.call(&x).to_vec::<f32>().unwrap(), first, "the states of the first call are kept");
        let error = layer.call(Tensor::new([2, 2, 1], vec![0.5f32; 4])).eval().unwrap_err();
        assert!(matches!(error, Error::Shape(_)), "{error}");
    }

    #[test]
    fn sequences_of_rank_2_are_refused() {
        let error = SimpleRNN::new(2).call(Tensor::new([2, 3], vec![0.0f32; 6])).eval().unwrap_err();
        assert!(matches!(error, Error::Shape(_)), "{error}");
    }
}
