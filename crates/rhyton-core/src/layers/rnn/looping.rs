//! The loop over time.

use std::sync::Arc;

use rhyton_ir::op::{Concatenate, Scan};
use rhyton_ir::{Dim, Shape, TensorType};

use super::cell::{Cell, Step, batched};
use crate::error::{Error, Result};
use crate::ops::primitives::{filled, reshaped, select, sliced};
use crate::tensor::{Tensor, Trace, trace_function};

/// A cell's steps through time.
pub(super) struct Loop<'l> {
    pub(super) cell: &'l dyn Cell,
    pub(super) step: &'l dyn Step,
    /// What each step takes, stacked along time.
    pub(super) inputs: Vec<Tensor>,
    /// True where a step counts: `(time, batch, 1)`.
    pub(super) mask: Option<Tensor>,
    /// The states before the first step, and whether they are all zeros.
    pub(super) states: Vec<Tensor>,
    pub(super) from_zeros: bool,
    /// The number of steps.
    pub(super) length: Dim,
    pub(super) backwards: bool,
    pub(super) unroll: bool,
    /// Whether the outputs of all steps are wanted.
    pub(super) every: bool,
    pub(super) zero_output_for_mask: bool,
}

/// What a loop gives.
pub(super) struct Looped {
    /// The last output, or all of them stacked along time, `(time, batch, …)`, each at the index of its input.
    pub(super) output: Tensor,
    /// The states after the last step.
    pub(super) states: Vec<Tensor>,
}

impl Loop<'_> {
    /// Goes through all steps.
    ///
    /// # Errors
    /// If a step fails, or the number of steps is not known and they are to be written out.
    pub(super) fn run(&self) -> Result<Looped> {
        let mut carries = self.states.clone();
        if self.carries_output() {
            let batch = self.states.first().map_or_else(|| self.inputs[0].dim(1), |s| s.dim(0));
            let shape = batched(&batch, &self.cell.output_shape()?);
            carries.push(filled(self.cell.base().compute_dtype(), &shape, 0.0));
        }
        if self.unroll { self.written_out(carries) } else { self.scanned(carries) }
    }

    /// Whether the output of a step is that state after it, masked steps included.
    fn output_state(&self) -> Option<usize> {
        let repeats = self.mask.is_none() || (self.from_zeros && !self.zeros());
        self.cell.output_state().filter(|_| repeats)
    }

    /// Whether the output is carried from step to step beside the states: as what masked steps repeat, or as what is left
    /// at the end.
    fn carries_output(&self) -> bool {
        self.output_state().is_none() && (!self.every || (self.mask.is_some() && !self.zeros()))
    }

    /// Whether masked steps give zeros at once. Written out, they are put in at the end, as Keras does.
    fn zeros(&self) -> bool {
        self.zero_output_for_mask && !self.unroll
    }

    /// One step: the carries after it, and its output.
    fn step(&self, carries: &[Tensor], inputs: &[Tensor], mask: Option<&Tensor>) -> Result<(Vec<Tensor>, Tensor)> {
        let states = &carries[..self.states.len()];
        let (mut output, mut next) = self.step.advance(inputs, states)?;
        if next.len() != states.len() {
            return Err(Error::argument(
                self.cell.name(),
                format!("the cell gave {} new states for {}", next.len(), states.len()),
                "give as many new states as state_shapes has",
            ));
        }
        for (new, old) in next.iter_mut().zip(states) {
            *new = new.cast(old.dtype());
            if let Some(mask) = mask {
                *new = choose(mask, new, old)?;
            }
        }
        if let Some(mask) = mask {
            output = match (self.output_state(), carries.get(self.states.len())) {
                (Some(state), _) => next[state].clone(),
                (None, Some(before)) if !self.zeros() => choose(mask, &output.cast(before.dtype()), before)?,
                _ => choose(mask, &output, &filled(output.dtype(), output.shape(), 0.0))?,
            };
        }
        if let Some(carried) = carries.get(self.states.len()) {
            output = output.cast(carried.dtype());
            next.push(output.clone());
        }
        Ok((next, output))
    }

    fn last(&self, carries: Vec<Tensor>, outputs: Option<Tensor>) -> Looped {
        let states = carries[..self.states.len()].to_vec();
        let at_end = || self.output_state().map_or_else(|| carries[carries.len() - 1].clone(), |k| states[k].clone());
        Looped { output: outputs.unwrap_or_else(at_end), states }
    }

    fn scanned(&self, carries: Vec<Tensor>) -> Result<Looped> {
        let whole = carries.len();
        let slices: Vec<&Tensor> = self.inputs.iter().chain(&self.mask).collect();
        let types: Vec<TensorType> =
            carries.iter().map(|t| t.ty().clone()).chain(slices.iter().map(|t| slice_type(t))).collect();
        let (captured, trace) = Trace::record_within(|| {
            trace_function(&types, |arguments| {
                let (carried, slices) = arguments.split_at(whole);
                let (inputs, mask) = slices.split_at(self.inputs.len());
                let (mut outputs, output) = self.step(carried, inputs, mask.first())?;
                if self.every {
                    outputs.push(output);
                }
                Ok(outputs)
            })
        });
        let captured = captured?;
        if let Some(assigned) = trace.touched().iter().find(|t| t.after.is_some()) {
            return Err(Error::unsupported(
                self.cell.name(),
                format!("the cell assigns {} within a step", assigned.variable.describe()),
                "make it a state of the cell, or set unroll",
            ));
        }
        let consts = captured.captures();
        let scan = Scan {
            body: Arc::new(captured.graph(consts)?),
            consts: consts.len(),
            carries: whole,
            length: self.length.clone(),
            reverse: self.backwards,
        };
        let operands: Vec<&Tensor> = consts.iter().chain(&carries).chain(slices).collect();
        let mut results = Tensor::apply_all(scan, &operands);
        results[0].check()?;
        let outputs = if self.every { results.pop() } else { None };
        Ok(self.last(results, outputs))
    }

    fn written_out(&self, mut carries: Vec<Tensor>) -> Result<Looped> {
        let Some(length) = self.length.known() else {
            return Err(Error::shape(
                "unroll",
                "the number of steps is not known",
                "give Input the length of the sequences, or do not unroll",
            ));
        };
        if length == 0 {
            return Err(Error::shape(
                "unroll",
                "there is no step",
                "give sequences of at least one step, or do not unroll",
            ));
        }
        let mut outputs = Vec::with_capacity(length);
        for k in 0..length {
            let t = if self.backwards { length - 1 - k } else { k };
            let inputs: Vec<Tensor> = self.inputs.iter().map(|x| slice(x, t)).collect();
            let mask = self.mask.as_ref().map(|m| slice(m, t));
            let (next, output) = self.step(&carries, &inputs, mask.as_ref())?;
            carries = next;
            outputs.push(output);
        }
        if self.backwards {
            outputs.reverse();
        }
        let masked = self.mask.as_ref().filter(|_| self.zero_output_for_mask);
        if !self.every {
            let mut looped = self.last(carries, None);
            if let Some(mask) = masked {
                let last = slice(mask, if self.backwards { 0 } else { length - 1 });
                looped.output =
                    choose(&last, &looped.output, &filled(looped.output.dtype(), looped.output.shape(), 0.0))?;
            }
            return Ok(looped);
        }
        let rows: Vec<Tensor> = outputs.iter().map(|y| reshaped(y, batched(&1.into(), y.shape()))).collect();
        let rows: Vec<&Tensor> = rows.iter().collect();
        let mut stacked = Tensor::apply(Concatenate { axis: 0 }, &rows).check()?.clone();
        if let Some(mask) = masked {
            // Keras masks the outputs in the order of the steps with the mask in the order of time.
            let reversed = |m: &Tensor| Tensor::apply(rhyton_ir::op::Reverse { axes: vec![0] }, &[m]);
            let mask = if self.backwards { reversed(mask) } else { mask.clone() };
            stacked = choose(&mask, &stacked, &filled(stacked.dtype(), stacked.shape(), 0.0))?;
        }
        Ok(self.last(carries, Some(stacked)))
    }
}

/// `mask ? x : y` with a mask that has size 1, or no axes, where it is the same for all.
fn choose(mask: &Tensor, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let shape = x.check()?.shape();
    let axes = (0..shape.rank()).filter(|&a| a < mask.rank() && !mask.shape()[a].is(1)).collect::<Vec<_>>();
    let kept: Shape = axes.iter().map(|&a| mask.shape()[a].clone()).collect();
    let mask = reshaped(mask, kept);
    let mask = Tensor::apply(rhyton_ir::op::BroadcastInDim { shape: shape.clone(), axes }, &[&mask]);
    select(&mask, x, y).check().cloned()
}

fn slice_type(stacked: &Tensor) -> TensorType {
    TensorType::new(stacked.dtype(), stacked.shape().iter().skip(1).cloned().collect::<Shape>())
}

/// What is stacked at `t`.
fn slice(stacked: &Tensor, t: usize) -> Tensor {
    reshaped(&sliced(stacked, 0, t, t + 1), slice_type(stacked).shape)
}
