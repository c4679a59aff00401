//! `GRU`: gated recurrent units, and their cell.

use std::sync::{Arc, OnceLock};

use rhyton_ir::Shape;
use serde::{Deserialize, Serialize};

use super::cell::{self, Cell, Recipe, Step, complement, dropout_masks, features, gated, split};
use super::recurrent::{Kept, recurrent_layer};
use crate::activations::Activation;
use crate::constraints::ConstraintRef;
use crate::error::Result;
use crate::initializers::{InitializerRef, Orthogonal, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, LayerObject, LayerRef};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::ops::primitives::{reshaped, sliced};
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// Computes, step by step, with `σ` the recurrent activation, `z r n` the three parts of `x · kernel + bias₀`, and
/// `z' r' n'` those of `h · recurrent_kernel + bias₁`: `u = σ(z + z')`, `ñ = activation(n + σ(r + r') · n')`,
/// `h = u · h + (1 − u) · ñ`. Without `reset_after`, `n'` is that part of `(σ(r + r') · h) · recurrent_kernel`.
///
/// # Shapes
/// `x (batch, time, features)` gives the last output `h (batch, units)`, or with `return_sequences` all of them,
/// `(batch, time, units)`; with `return_state` also the last `h`. `kernel (features, 3 units)`,
/// `recurrent_kernel (units, 3 units)`, `bias (2, 3 units)`, or `(3 units)` without `reset_after`.
///
/// # Call arguments
/// `initial_state`: the `h` to start from, zeros unless given. `mask (batch, time)`: at false, state and output stay.
///
/// # Errors
/// If `x` has not rank 3, or other features than the layer was built with.
///
/// # References
/// Cho et al., 2014, <https://arxiv.org/abs/1406.1078>: v3 is the default here, v1 is without `reset_after`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GRU {
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
    kernel_regularizer: Option<RegularizerRef>,
    recurrent_regularizer: Option<RegularizerRef>,
    bias_regularizer: Option<RegularizerRef>,
    activity_regularizer: Option<RegularizerRef>,
    kernel_constraint: Option<ConstraintRef>,
    recurrent_constraint: Option<ConstraintRef>,
    bias_constraint: Option<ConstraintRef>,
    dropout: f64,
    recurrent_dropout: f64,
    reset_after: bool,
    seed: Option<u64>,
    #[serde(skip)]
    kept: Kept,
    #[serde(skip)]
    cell: Arc<OnceLock<GRUCell>>,
}

impl Default for GRU {
    fn default() -> GRU {
        GRU {
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
            kernel_regularizer: None,
            recurrent_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            recurrent_constraint: None,
            bias_constraint: None,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            reset_after: true,
            seed: None,
            kept: Kept::default(),
            cell: Arc::default(),
        }
    }
}

keras_layer!(GRU);
recurrent_settings!(GRU);
cell_settings!(GRU);

impl GRU {
    builders! {
        /// Opens and closes the gates; `sigmoid` unless said.
        recurrent_activation: Activation,
        /// Whether the reset gate comes after the product with the recurrent kernel; it does unless said.
        reset_after: bool,
    }
}

impl GRU {
    /// A layer of `units` outputs.
    pub fn new(units: usize) -> GRU {
        GRU { units, ..GRU::default() }
    }

    /// A penalty on the outputs.
    pub fn activity_regularizer(mut self, regularizer: impl Into<RegularizerRef>) -> GRU {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// The cell, made of the layer's arguments when it is first needed.
    fn cell(&self) -> LayerRef {
        let make = || {
            let cell = GRUCell {
                base: Base::default(),
                units: self.units,
                activation: self.activation,
                recurrent_activation: self.recurrent_activation,
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
                reset_after: self.reset_after,
                seed: self.seed,
            };
            cell.base.set_name("gru_cell");
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

recurrent_layer!(GRU, |layer| layer.activity_regularizer.as_ref());

/// One step of [`GRU`]: takes `x (batch, features)` and the list of one state `h (batch, units)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GRUCell {
    #[serde(skip)]
    base: Base,
    units: usize,
    activation: Activation,
    recurrent_activation: Activation,
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
    reset_after: bool,
    seed: Option<u64>,
}

impl Default for GRUCell {
    fn default() -> GRUCell {
        GRUCell {
            base: Base::default(),
            units: 0,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
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
            reset_after: true,
            seed: None,
        }
    }
}

keras_layer!(GRUCell);
cell_settings!(GRUCell);

impl GRUCell {
    builders! {
        /// Opens and closes the gates; `sigmoid` unless said.
        recurrent_activation: Activation,
        /// Whether the reset gate comes after the product with the recurrent kernel; it does unless said.
        reset_after: bool,
    }
}

impl GRUCell {
    /// A cell of `units` outputs.
    pub fn new(units: usize) -> GRUCell {
        GRUCell { units, ..GRUCell::default() }
    }
}

impl Layer for GRUCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let units = self.units;
        let features = features(inputs.first()?, units)?;
        let kernel = Recipe(&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint);
        kernel.add(&self.base, "kernel", [features, 3 * units])?;
        let recurrent = Recipe(&self.recurrent_initializer, &self.recurrent_regularizer, &self.recurrent_constraint);
        recurrent.add(&self.base, "recurrent_kernel", [units, 3 * units])?;
        if self.use_bias {
            let bias = Recipe(&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
            let shape = if self.reset_after { vec![2, 3 * units] } else { vec![3 * units] };
            bias.add(&self.base, "bias", shape)?;
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

impl Cell for GRUCell {
    fn state_shapes(&self) -> Result<Vec<Shape>> {
        Ok(vec![Shape::from([self.units])])
    }

    fn output_state(&self) -> Option<usize> {
        Some(0)
    }

    fn begin(&self, input: &Shape, cx: &Context) -> Result<Box<dyn Step>> {
        let units = self.units;
        let state: Shape = [input[0].clone(), units.into()].into_iter().collect();
        // Keras leaves out the same inputs for all gates, unless it leaves out parts of the state, too; and nothing at 1.
        let masks = if self.recurrent_dropout == 0.0 { 1 } else { 3 };
        let below_1 = |rate: f64| if rate < 1.0 { rate } else { 0.0 };
        let (bias, recurrent_bias) = match (self.use_bias, self.reset_after) {
            (false, _) => (None, None),
            (true, false) => (Some(self.base.weight("bias")?), None),
            (true, true) => {
                let both = self.base.weight("bias")?;
                let row = |k: usize| reshaped(&sliced(&both, 0, k, k + 1), [3 * units]);
                (Some(row(0)), Some(row(1)))
            }
        };
        Ok(Box::new(GruStep {
            kernel: self.base.weight("kernel")?,
            recurrent_kernel: self.base.weight("recurrent_kernel")?,
            bias,
            recurrent_bias,
            masks: dropout_masks(&self.base, input, below_1(self.dropout), self.seed, masks, cx)?,
            recurrent_masks: dropout_masks(&self.base, &state, below_1(self.recurrent_dropout), self.seed, 3, cx)?,
            activation: self.activation,
            recurrent_activation: self.recurrent_activation,
            reset_after: self.reset_after,
            units,
        }))
    }
}

struct GruStep {
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Option<Tensor>,
    recurrent_bias: Option<Tensor>,
    masks: Vec<Tensor>,
    recurrent_masks: Vec<Tensor>,
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
    units: usize,
}

impl Step for GruStep {
    fn project(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let z = gated(x, &self.kernel, &self.masks, 3)?;
        Ok(vec![self.bias.iter().fold(z, |z, bias| z + bias)])
    }

    fn advance(&self, projected: &[Tensor], states: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let x = split(&projected[0], 3)?;
        let h = &states[0];
        let (update, candidate) = if self.reset_after {
            let inner = gated(h, &self.recurrent_kernel, &self.recurrent_masks, 3)?;
            let inner = split(&self.recurrent_bias.iter().fold(inner, |inner, bias| inner + bias), 3)?;
            let [update, reset] = [0, 1].map(|gate| self.recurrent_activation.call(&(&x[gate] + &inner[gate])));
            (update, reset * &inner[2])
        } else {
            let kernel = |from: usize, to: usize| sliced(&self.recurrent_kernel, 1, from * self.units, to * self.units);
            let masks = &self.recurrent_masks;
            let inner = split(&gated(h, &kernel(0, 2), &masks[..masks.len().min(2)], 2)?, 2)?;
            let [update, reset] = [0, 1].map(|gate| self.recurrent_activation.call(&(&x[gate] + &inner[gate])));
            let h = masks.get(2).map_or_else(|| h.clone(), |mask| h * mask);
            (update, ops::matmul(reset * h, kernel(2, 3)))
        };
        let candidate = self.activation.call(&(&x[2] + candidate));
        let h = &update * h + complement(&update) * candidate;
        Ok((h.clone(), vec![h]))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("gru");
    }
}
