//! What all recurrent layers do around their cell.

use std::sync::{Arc, Mutex};

use rhyton_ir::op::Reverse;
use rhyton_ir::{Array, DType, Shape};

use super::super::{Context, InputShapes, Layer, LayerRef, build_layer, passed_mask};
use super::cell::{as_cell, zero_states};
use super::looping::Loop;
use crate::error::{Error, Result};
use crate::naming;
use crate::nest::{Args, Nest};
use crate::ops::primitives::{permute, reshaped};
use crate::tensor::Tensor;
use crate::variable::Variable;

/// What a recurrent layer is configured with beside its cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) return_sequences: bool,
    pub(super) return_state: bool,
    pub(super) go_backwards: bool,
    pub(super) stateful: bool,
    pub(super) unroll: bool,
    pub(super) zero_output_for_mask: bool,
}

/// The states that a stateful layer keeps between calls. They are not weights: Keras does not save them.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<Variable>>>);

impl Kept {
    fn variables(&self) -> Vec<Variable> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Sets them to zeros.
    pub(super) fn reset(&self) -> Result<()> {
        self.variables().iter().try_for_each(|v| v.assign(Array::zeros(v.dtype(), v.shape())))
    }
}

/// A layer that takes a cell through time.
pub(super) trait Recurrent: Layer {
    /// The cell.
    fn cell_layer(&self) -> LayerRef;
    /// The options.
    fn options(&self) -> Options;
    /// The states between calls.
    fn kept(&self) -> &Kept;
}

/// `Layer` for a struct with the fields of [`Options`], `kept: Kept` and `activity_regularizer`, of which `$cell` gives
/// the cell and `$made` the cell if it is there already.
macro_rules! recurrent_layer {
    ($name:ident $(<$n:ident>)?, $regularizer:expr) => {
        impl$(<const $n: usize>)? $crate::layers::rnn::recurrent::Recurrent for $name$(<$n>)? {
            fn cell_layer(&self) -> $crate::layers::LayerRef {
                self.cell()
            }
            fn options(&self) -> $crate::layers::rnn::recurrent::Options {
                $crate::layers::rnn::recurrent::Options {
                    return_sequences: self.return_sequences,
                    return_state: self.return_state,
                    go_backwards: self.go_backwards,
                    stateful: self.stateful,
                    unroll: self.unroll,
                    zero_output_for_mask: self.zero_output_for_mask,
                }
            }
            fn kept(&self) -> &$crate::layers::rnn::recurrent::Kept {
                &self.kept
            }
        }

        impl$(<const $n: usize>)? $crate::layers::Layer for $name$(<$n>)? {
            fn build(&self, inputs: &$crate::layers::InputShapes) -> $crate::error::Result<()> {
                $crate::layers::rnn::recurrent::build(self, inputs)
            }
            fn forward(
                &self,
                inputs: &$crate::nest::Args,
                cx: &mut $crate::layers::Context,
            ) -> $crate::error::Result<$crate::nest::Nest> {
                $crate::layers::rnn::recurrent::forward(self, inputs, cx)
            }
            fn arguments(&self) -> &'static [&'static str] {
                &["sequences", "initial_state"]
            }
            fn children(&self) -> Vec<(String, $crate::layers::LayerRef)> {
                self.made_cell().map(|cell| ("cell".to_owned(), cell)).into_iter().collect()
            }
            fn supports_masking(&self) -> bool {
                true
            }
            fn compute_mask(
                &self,
                _: &$crate::nest::Args,
                mask: Option<&$crate::tensor::Tensor>,
            ) -> $crate::error::Result<Vec<Option<$crate::tensor::Tensor>>> {
                Ok(vec![mask.filter(|_| self.return_sequences).cloned()])
            }
            fn activity_regularizer(&self) -> Option<&$crate::regularizers::RegularizerRef> {
                let regularizer: fn(&Self) -> Option<&$crate::regularizers::RegularizerRef> = $regularizer;
                regularizer(self)
            }
            fn reset_state(&self) -> $crate::error::Result<()> {
                self.kept.reset()
            }
        }
    };
}
pub(super) use recurrent_layer;

/// Builds the cell for one step, and the states if they are kept.
pub(super) fn build(layer: &dyn Recurrent, inputs: &InputShapes) -> Result<()> {
    let shape = inputs.first()?;
    if shape.rank() < 3 {
        return Err(Error::shape(
            "inputs",
            format!("the sequences have shape {shape}"),
            "give sequences of shape (batch, time, features)",
        ));
    }
    let inner = layer.cell_layer();
    let cell = as_cell(&inner)?;
    build_layer(inner.as_ref(), &InputShapes::one(step_shape(shape)))?;
    if !layer.options().stateful {
        return Ok(());
    }
    let Some(batch) = shape[0].known() else {
        return Err(Error::shape(
            "stateful",
            format!("the batch size must be known to keep states, but the sequences have shape {shape}"),
            "give Input a batch_size",
        ));
    };
    let dtype = layer.base().variable_dtype();
    let variable = |shape: Shape| {
        let known = shape
            .known()
            .ok_or_else(|| Error::shape("stateful", "a state has no known size", "give Input all sizes"))?;
        let shape: Vec<usize> = std::iter::once(batch).chain(known).collect();
        let path = naming::path_of("rnn_state");
        crate::saving::budget::spend(&path, &shape, dtype)?;
        Ok(Variable::state(&path, Array::zeros(dtype, shape)))
    };
    let made: Vec<Variable> = cell.state_shapes()?.into_iter().map(variable).collect::<Result<_>>()?;
    *layer.kept().0.lock().unwrap_or_else(|e| e.into_inner()) = made;
    Ok(())
}

/// The shape of one step.
fn step_shape(sequences: &Shape) -> Shape {
    sequences.iter().enumerate().filter(|(a, _)| *a != 1).map(|(_, d)| d.clone()).collect()
}

/// Takes the cell through the sequences.
pub(super) fn forward(layer: &dyn Recurrent, inputs: &Args, cx: &mut Context) -> Result<Nest> {
    let options = layer.options();
    let inner = layer.cell_layer();
    let cell = as_cell(&inner)?;
    let x = inputs.tensor()?;
    let (batch, length) = (x.dim(0), x.dim(1));
    if let Some(first) = layer.kept().variables().first()
        && let Some(batch) = batch.known()
        && first.shape().first() != Some(&batch)
    {
        return Err(Error::shape(
            "stateful",
            format!("a batch of {batch} for states of {:?}", first.shape()),
            "keep the batch size that the layer was built with",
        ));
    }
    let (states, from_zeros) = initial_states(layer, inputs, x)?;
    let step = cell.begin(&step_shape(x.shape()), cx)?;
    let looped = Loop {
        cell,
        step: step.as_ref(),
        inputs: step.project(&time_major(x))?,
        mask: passed_mask(inputs).map(|m| time_major_mask(&m, x)).transpose()?,
        states,
        from_zeros,
        length,
        backwards: options.go_backwards,
        unroll: options.unroll,
        every: options.return_sequences,
        zero_output_for_mask: options.zero_output_for_mask,
    };
    let looped = looped.run()?;
    let dtype = layer.base().compute_dtype();
    let mut output = looped.output.cast(dtype);
    if options.return_sequences {
        output = time_major(&output);
        if options.go_backwards {
            // Last of all, so that it meets the reversal that Bidirectional undoes it with.
            output = Tensor::apply(Reverse { axes: vec![1] }, &[&output]);
        }
    }
    let states: Vec<Tensor> = looped.states.iter().map(|s| s.cast(dtype)).collect();
    if options.stateful {
        layer.kept().variables().iter().zip(&states).try_for_each(|(variable, state)| variable.assign(state))?;
    }
    if !options.return_state {
        return Ok(output.into());
    }
    Ok(std::iter::once(output).chain(states).collect::<Vec<Tensor>>().into())
}

/// The states to start from, and whether they are all zeros.
fn initial_states(layer: &dyn Recurrent, inputs: &Args, x: &Tensor) -> Result<(Vec<Tensor>, bool)> {
    let inner = layer.cell_layer();
    let cell = as_cell(&inner)?;
    let dtype = cell.base().compute_dtype();
    let given: Vec<Tensor> = match inputs.get(1, "initial_state") {
        Some(given) => given.tensors().into_iter().cloned().collect(),
        None if layer.options().stateful => layer.kept().variables().iter().map(Variable::value).collect(),
        None => return Ok((zero_states(cell, &x.dim(0), dtype)?, true)),
    };
    let wanted = cell.state_shapes()?;
    let fits = |(state, shape): (&Tensor, &Shape)| {
        state.rank() == shape.rank() + 1 && state.shape().iter().skip(1).zip(shape.iter()).all(|(a, b)| a.compatible(b))
    };
    if given.len() != wanted.len() || !given.iter().zip(&wanted).all(fits) {
        let shapes: Vec<String> = given.iter().map(|s| s.shape().to_string()).collect();
        let expected: Vec<String> = wanted.iter().map(Shape::to_string).collect();
        return Err(Error::shape(
            "initial_state",
            format!("states of shapes {} for states of {} a sample", shapes.join(", "), expected.join(", ")),
            "give one tensor a state, batch first",
        ));
    }
    Ok((given.iter().map(|s| s.cast(dtype).without_mask()).collect(), false))
}

/// The first two axes exchanged.
fn time_major(x: &Tensor) -> Tensor {
    let order: Vec<usize> = [1, 0].into_iter().chain(2..x.rank()).collect();
    permute(x, &order)
}

/// The mask `(batch, time)` or `(batch, time, 1)` as `(time, batch, 1)`.
fn time_major_mask(mask: &Tensor, x: &Tensor) -> Result<Tensor> {
    let fits = (mask.rank() == 2 || (mask.rank() == 3 && mask.dim(2).is(1)))
        && mask.shape().iter().zip(x.shape().iter()).take(2).all(|(a, b)| a.compatible(b));
    if !fits {
        return Err(Error::shape(
            "mask",
            format!("a mask of shape {} for sequences of shape {}", mask.shape(), x.shape()),
            "give one truth value a step: (batch, time)",
        ));
    }
    let mask = mask.cast(DType::Bool).without_mask();
    let shape: Shape = [x.dim(0), x.dim(1), 1.into()].into_iter().collect();
    Ok(time_major(&reshaped(&mask, shape)))
}
