//! What recurrent layers step through time: cells.

use rhyton_ir::{DType, Dim, Shape};

use super::super::{Base, Context, Layer, LayerRef};
use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::InitializerRef;
use crate::nest::{Args, Nest};
use crate::ops::primitives::{compare, filled, select, sliced};
use crate::ops::{self, Operand};
use crate::random;
use crate::regularizers::RegularizerRef;
use crate::tensor::Tensor;

/// A layer that computes one step of a recurrence: `forward` takes the input of the step and a list of states, and gives
/// the output and a list of new states.
///
/// A cell of your own implements [`Layer`] (with [`Layer::as_cell`]) and [`Cell::state_shapes`]; cells that can do part of
/// their work for all steps at once implement [`Cell::begin`], too.
pub trait Cell: Layer {
    /// The shapes of the states of one sample. Asked for after the cell is built.
    ///
    /// # Errors
    /// If they are not known.
    fn state_shapes(&self) -> Result<Vec<Shape>>;

    /// The shape of the output of one sample; that of the first state unless said.
    ///
    /// # Errors
    /// If it is not known.
    fn output_shape(&self) -> Result<Shape> {
        self.state_shapes()?.into_iter().next().ok_or_else(|| {
            Error::argument(self.name(), "the cell has no state", "implement output_shape for a cell without states")
        })
    }

    /// Which of the new states the output is, if it is one: recurrent layers then need not carry it.
    fn output_state(&self) -> Option<usize> {
        None
    }

    /// Starts a call: reads the weights and draws what is the same in all steps. `input` is the shape of one step's input,
    /// batch included.
    ///
    /// # Errors
    /// If the cell is not built.
    fn begin(&self, input: &Shape, cx: &Context) -> Result<Box<dyn Step>> {
        let _ = input;
        Ok(Box::new(ByCalling { cell: self.share(), training: cx.training }))
    }
}

/// A cell in the course of one call.
pub trait Step {
    /// What depends on the inputs only, `(…, batch, features)`: computed for all steps at once where they are known.
    ///
    /// # Errors
    /// If the inputs are not what the cell takes.
    fn project(&self, x: &Tensor) -> Result<Vec<Tensor>>;

    /// The output and the new states, given what [`Step::project`] gave for this step.
    ///
    /// # Errors
    /// If the states are not what the cell takes.
    fn advance(&self, projected: &[Tensor], states: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)>;
}

/// The step of a cell that does not tell its parts apart.
struct ByCalling {
    cell: LayerRef,
    training: bool,
}

impl Step for ByCalling {
    fn project(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![x.clone()])
    }

    fn advance(&self, projected: &[Tensor], states: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let args = Args::new(&projected[0]).and(states);
        let outputs = self.cell.forward(&args, &mut Context::new(self.training))?;
        let mut tensors = outputs.tensors().into_iter().cloned();
        let output = tensors.next().ok_or_else(|| {
            Error::argument(self.cell.name(), "the cell gave nothing", "give the output, then the new states")
        })?;
        Ok((output, tensors.collect()))
    }
}

/// `forward` of a cell that implements [`Cell::begin`]: one step.
pub(super) fn call(cell: &dyn Cell, inputs: &Args, cx: &Context) -> Result<Nest> {
    let x = inputs.tensor()?;
    let states: Vec<Tensor> =
        inputs.get(1, "states").map(|n| n.tensors().into_iter().cloned().collect()).unwrap_or_default();
    let wanted = cell.state_shapes()?.len();
    if states.len() != wanted {
        return Err(Error::argument(
            "states",
            format!("{} states for a cell of {wanted}", states.len()),
            "pass the states as a list after the input",
        ));
    }
    let step = cell.begin(x.shape(), cx)?;
    let (output, states) = step.advance(&step.project(x)?, &states)?;
    Ok(Nest::List(vec![output.into(), states.into()]))
}

/// The cell that `layer` is.
///
/// # Errors
/// If it is none.
pub(super) fn as_cell(layer: &LayerRef) -> Result<&dyn Cell> {
    layer.as_cell().ok_or_else(|| {
        Error::argument(
            "RNN",
            format!("{} ({}) is not a cell", layer.name(), layer.class_name()),
            "pass SimpleRNNCell, LSTMCell, GRUCell, or a layer of your own that implements Cell and as_cell",
        )
    })
}

/// How a weight is made.
pub(super) struct Recipe<'c>(
    pub(super) &'c InitializerRef,
    pub(super) &'c Option<RegularizerRef>,
    pub(super) &'c Option<ConstraintRef>,
);

impl Recipe<'_> {
    /// Adds the weight to the layer.
    pub(super) fn add(&self, base: &Base, name: &str, shape: impl Into<Vec<usize>>) -> Result<()> {
        let weight = base.add_weight(name, shape).initializer(self.0.clone());
        weight.regularizer(self.1.clone()).constraint(self.2.clone()).add().map(|_| ())
    }
}

/// The number of features of the inputs of one step, `(batch, features)`, and that there are units.
pub(super) fn features(shape: &Shape, units: usize) -> Result<usize> {
    if units == 0 {
        return Err(Error::argument("units", "0 units were asked for", "give at least 1"));
    }
    if shape.rank() != 2 {
        return Err(Error::shape(
            "inputs",
            format!("one step of the inputs has shape {shape}"),
            "give sequences of shape (batch, time, features)",
        ));
    }
    super::super::last_size(shape, "the cell")
}

/// Which inputs or states are left out in a call: `count` masks of `shape`, of 0 and `1 / (1 − rate)`; none outside of
/// training or if nothing is left out.
pub(super) fn dropout_masks(
    base: &Base,
    shape: &Shape,
    rate: f64,
    seed: Option<u64>,
    count: usize,
    cx: &Context,
) -> Result<Vec<Tensor>> {
    let rate = rate.clamp(0.0, 1.0);
    if !cx.training || rate == 0.0 {
        return Ok(Vec::new());
    }
    let generator = base.seed_generator(seed);
    let mask = |_| {
        let zeros = filled(DType::F32, shape, 0.0);
        if rate == 1.0 {
            return Ok(zeros.cast(base.compute_dtype()));
        }
        let draw = random::uniform(shape.clone(), 0.0, 1.0, DType::F32, &generator)?;
        let keep = compare(rhyton_ir::op::Direction::Ge, &draw, &filled(DType::F32, shape, rate));
        let kept = filled(DType::F32, shape, 1.0 / (1.0 - rate));
        select(&keep, &kept, &zeros).check().map(|t| t.cast(base.compute_dtype()))
    };
    (0..count).map(mask).collect()
}

/// `x · kernel` for `gates` gates side by side, each of which sees `x` through its own mask if there are as many masks.
pub(super) fn gated(x: &Tensor, kernel: &Tensor, masks: &[Tensor], gates: usize) -> Result<Tensor> {
    if masks.len() < gates {
        let x = masks.first().map_or_else(|| x.clone(), |m| x * m);
        return ops::matmul(&x, kernel).check().cloned();
    }
    let parts: Vec<Tensor> =
        split(kernel, gates)?.iter().zip(masks).map(|(kernel, mask)| ops::matmul(x * mask, kernel)).collect();
    join(&parts)
}

/// `parts` equal parts of the last axis.
pub(super) fn split(x: &Tensor, parts: usize) -> Result<Vec<Tensor>> {
    let axis = x.check()?.rank() - 1;
    let each = super::super::last_size(x.shape(), "the cell")? / parts;
    (0..parts).map(|p| sliced(x, axis, p * each, (p + 1) * each).check().cloned()).collect()
}

/// The parts side by side along the last axis.
pub(super) fn join(parts: &[Tensor]) -> Result<Tensor> {
    let axis = parts.first().map_or(0, |p| p.rank().saturating_sub(1));
    let parts: Vec<&Tensor> = parts.iter().collect();
    Tensor::apply(rhyton_ir::op::Concatenate { axis }, &parts).check().cloned()
}

/// Zeros for the states of `batch` samples.
pub(super) fn zero_states(cell: &dyn Cell, batch: &Dim, dtype: DType) -> Result<Vec<Tensor>> {
    let zeros = |shape: Shape| filled(dtype, &batched(batch, &shape), 0.0);
    Ok(cell.state_shapes()?.into_iter().map(zeros).collect())
}

/// The shape with the batch in front.
pub(super) fn batched(batch: &Dim, shape: &Shape) -> Shape {
    std::iter::once(batch).chain(shape.iter()).cloned().collect()
}

/// One minus the tensor.
pub(super) fn complement(x: &Tensor) -> Tensor {
    ops::subtract(Operand::Int(1), x)
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn cells_called_on_their_own_agree_with_keras() {
        check_layer("cells");
    }
}
