//! `StackedRNNCells`: several cells as one.

use rhyton_ir::Shape;
use serde::{Deserialize, Serialize};

use super::cell::{self, Cell, Step, as_cell, batched};
use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::inner::InnerLayer;
use crate::layers::{Base, Context, InputShapes, Layer, LayerRef, build_layer};
use crate::model::container_names;
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;

/// Cells of which each takes the output of the one before; the states are those of all cells, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackedRNNCells {
    #[serde(skip)]
    base: Base,
    cells: Vec<InnerLayer>,
}

keras_layer!(StackedRNNCells);

impl StackedRNNCells {
    /// Of `cells`, the first of which takes the input.
    pub fn new(cells: impl IntoIterator<Item = LayerRef>) -> StackedRNNCells {
        StackedRNNCells { base: Base::default(), cells: cells.into_iter().map(InnerLayer).collect() }
    }

    fn cells(&self) -> impl Iterator<Item = Result<&dyn Cell>> {
        self.cells.iter().map(|c| as_cell(&c.0))
    }
}

impl Layer for StackedRNNCells {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let mut shape = inputs.first()?.clone();
        if self.cells.is_empty() || shape.rank() == 0 {
            return Err(Error::argument("cells", "there is no cell", "give at least one"));
        }
        let batch = shape[0].clone();
        for (layer, cell) in self.cells.iter().zip(self.cells()) {
            build_layer(layer.0.as_ref(), &InputShapes::one(shape))?;
            shape = batched(&batch, &cell?.output_shape()?);
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, cx: &mut Context) -> Result<Nest> {
        cell::call(self, inputs, cx)
    }

    fn children(&self) -> Vec<(String, LayerRef)> {
        container_names("cells", self.cells.iter().map(|c| c.0.clone()).collect())
    }

    fn as_cell(&self) -> Option<&dyn Cell> {
        Some(self)
    }
}

impl Cell for StackedRNNCells {
    fn state_shapes(&self) -> Result<Vec<Shape>> {
        let mut shapes = Vec::new();
        for cell in self.cells() {
            shapes.extend(cell?.state_shapes()?);
        }
        Ok(shapes)
    }

    fn output_shape(&self) -> Result<Shape> {
        let last = self.cells().last();
        last.ok_or_else(|| Error::argument("cells", "there is no cell", "give at least one"))??.output_shape()
    }

    fn output_state(&self) -> Option<usize> {
        let cells: Vec<&dyn Cell> = self.cells().collect::<Result<_>>().ok()?;
        let (last, before) = cells.split_last()?;
        let mut offset = 0;
        for cell in before {
            offset += cell.state_shapes().ok()?.len();
        }
        last.output_state().map(|state| offset + state)
    }

    fn begin(&self, input: &Shape, cx: &Context) -> Result<Box<dyn Step>> {
        let mut shape = input.clone();
        let mut steps = Vec::new();
        for cell in self.cells() {
            let cell = cell?;
            steps.push((cell.begin(&shape, cx)?, cell.state_shapes()?.len()));
            shape = batched(&input[0], &cell.output_shape()?);
        }
        Ok(Box::new(StackedStep(steps)))
    }
}

/// The steps of the cells, each with its number of states.
struct StackedStep(Vec<(Box<dyn Step>, usize)>);

impl Step for StackedStep {
    fn project(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        self.0[0].0.project(x)
    }

    fn advance(&self, projected: &[Tensor], states: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let mut next = Vec::with_capacity(states.len());
        let mut states = states;
        let mut output: Option<Tensor> = None;
        for (step, count) in &self.0 {
            let (own, rest) = states.split_at(*count);
            let (y, new) = match &output {
                None => step.advance(projected, own)?,
                Some(x) => step.advance(&step.project(x)?, own)?,
            };
            next.extend(new);
            states = rest;
            output = Some(y);
        }
        output.map(|y| (y, next)).ok_or_else(|| Error::argument("cells", "there is no cell", "give at least one"))
    }
}
