//! `RNN`: any cell through time.

use serde::{Deserialize, Serialize};

use super::StackedRNNCells;
use super::recurrent::{Kept, recurrent_layer};
use crate::keras_layer;
use crate::layers::inner::InnerLayer;
use crate::layers::{Base, Call, LayerRef};

/// Takes a cell through time: `output, states = cell(x_t, states)` for each step `t`.
///
/// # Shapes
/// `x (batch, time, …)` gives the last output `(batch, …)`, or with `return_sequences` all of them, `(batch, time, …)`;
/// with `return_state` also the last states, flat.
///
/// # Call arguments
/// `initial_state`: the list of states to start from, flat; zeros unless given. `mask (batch, time)`: at false, states
/// and output stay.
///
/// # Errors
/// If the layer given is not a [`Cell`](super::Cell), or does not take inputs of one step.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = RNN::stacked([LSTMCell::new(4).layer_ref(), GRUCell::new(3).layer_ref()]);
/// let y = layer.call(&Tensor::new([2, 5, 1], vec![0.5f32; 10]));
/// assert_eq!(y.shape().to_string(), "[2,3]");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RNN {
    #[serde(skip)]
    base: Base,
    #[serde(default)]
    return_sequences: bool,
    #[serde(default)]
    return_state: bool,
    #[serde(default)]
    go_backwards: bool,
    #[serde(default)]
    stateful: bool,
    #[serde(default)]
    unroll: bool,
    #[serde(default)]
    zero_output_for_mask: bool,
    cell: InnerLayer,
    #[serde(skip)]
    kept: Kept,
}

keras_layer!(RNN);
recurrent_settings!(RNN);

impl RNN {
    /// Of one cell.
    pub fn new(cell: impl Call) -> RNN {
        RNN {
            base: Base::default(),
            return_sequences: false,
            return_state: false,
            go_backwards: false,
            stateful: false,
            unroll: false,
            zero_output_for_mask: false,
            cell: InnerLayer(cell.layer_ref()),
            kept: Kept::default(),
        }
    }

    /// Of cells of which each takes the output of the one before.
    pub fn stacked(cells: impl IntoIterator<Item = LayerRef>) -> RNN {
        RNN::new(StackedRNNCells::new(cells))
    }

    fn cell(&self) -> LayerRef {
        self.cell.0.clone()
    }

    fn made_cell(&self) -> Option<LayerRef> {
        Some(self.cell())
    }
}

recurrent_layer!(RNN, |_| None);

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("rnn");
    }

    /// Adds the inputs up, with a weight read in every step.
    #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    struct Sum {
        #[serde(skip)]
        base: Base,
    }
    crate::keras_layer_object!(Sum);

    impl Layer for Sum {
        fn build(&self, _: &InputShapes) -> Result<()> {
            self.base.add_weight("gain", [1]).initializer(Ones::default()).add().map(|_| ())
        }
        fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
            let states = inputs.get(1, "states").expect("states are given").tensors();
            let sum = inputs.tensor()? * self.base.weight("gain")? + states[0];
            Ok(Nest::List(vec![sum.clone().into(), vec![sum].into()]))
        }
        fn as_cell(&self) -> Option<&dyn Cell> {
            Some(self)
        }
    }

    impl Cell for Sum {
        fn state_shapes(&self) -> Result<Vec<rhyton_ir::Shape>> {
            Ok(vec![[1usize].into()])
        }
    }

    #[test]
    fn a_cell_of_ones_own_needs_states_and_one_step_only() {
        let layer = RNN::new(Sum::default()).return_sequences(true);
        let x = Tensor::new([1, 3, 1], vec![1.0f32, 2.0, 4.0]);
        assert_eq!(layer.call(&x).to_vec::<f32>().unwrap(), [1.0, 3.0, 7.0]);
        let weights = layer.trainable_weights();
        let loss = || ops::sum(&layer.call(&x), Axes::All, false);
        let (_, gradients) = value_and_grad(loss, &weights).unwrap();
        assert_eq!(gradients[0].to_vec::<f32>().unwrap(), [11.0]);
    }

    #[test]
    fn what_is_no_cell_is_refused() {
        let error = RNN::new(Dense::new(2)).call(Tensor::new([1, 2, 1], vec![0.0f32; 2])).eval().unwrap_err();
        assert!(error.to_string().contains("is not a cell"), "{error}");
    }
}
