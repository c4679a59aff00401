//! A step, around the rule of an optimizer: what all optimizers do alike.
//!
//! Nothing here looks at values: what happens only at some steps is chosen elementwise, so that a step can be compiled.

use rhyton_ir::op::{BinaryKind, Direction};

use super::arithmetic::{binary, compare, select};
use super::base::{OptimizerBase, OptimizerOptions};
use super::optimizer::{Optimizer, Step, UpdateRule};
use super::slots::{Slots, values};
use crate::error::{Error, Result};
use crate::ops;
use crate::ops::Axes;
use crate::tensor::Tensor;
use crate::variable::Variable;

/// Updates `variables` by their `gradients`; the slots are there.
pub(super) fn apply<R: UpdateRule>(rule: &R, gradients: &[Tensor], variables: &[Variable]) -> Result<()> {
    let base = rule.base();
    let options = base.options();
    let slots = built(base)?;
    let indices = check(slots, gradients, variables)?;

    let gradients: Vec<Tensor> = gradients.iter().map(|g| unscaled(g, options)).collect();
    let count = rule.iterations();
    let iteration = count.value();
    let accumulation = options.gradient_accumulation_steps.filter(|&n| n > 0).map(|n| n as i64);
    let updates = match accumulation {
        None => iteration.clone(),
        Some(n) => binary(BinaryKind::Div, &iteration, n),
    };
    // Whether the weights are updated at this step; `None`: always.
    let now = accumulation.map(|n| every(n, &iteration));
    let due = accumulate(slots, &indices, gradients, accumulation, now.as_ref())?;

    let learning_rate = rule.current_learning_rate()?;
    let shared_before = values(&slots.shared);
    let step = Step { learning_rate: &learning_rate, iterations: &updates, shared: &shared_before };
    let shared = rule.advance(&step, &shared_before);
    let step = Step { shared: &shared, ..step };
    let choose = |variable: &Variable, value: &Tensor| match &now {
        None => variable.assign(value),
        Some(now) => variable.assign(select(now, value, &variable.value())),
    };
    let due = clipped(due, options);
    for ((variable, &index), gradient) in variables.iter().zip(&indices).zip(&due) {
        let value = decayed(rule, variable, &learning_rate)?;
        let own = &slots.own[index];
        let updated = rule.update(&step, &value, &gradient.cast(variable.dtype()), &values(own));
        own.iter().zip(&updated.slots).try_for_each(|(slot, value)| choose(slot, value))?;
        choose(variable, &updated.variable)?;
    }
    slots.shared.iter().zip(&shared).try_for_each(|(variable, value)| choose(variable, value))?;

    average(slots, options, &updates)?;
    for variable in variables {
        if let Some(constraint) = variable.constraint() {
            variable.assign(constraint.call(&variable.value()).map_err(|e| e.within(variable.path()))?)?;
        }
    }
    count.assign(&iteration + 1i64)
}

/// Makes the weights their moving averages, where such are kept.
pub(super) fn finalize(base: &OptimizerBase, variables: &[Variable]) -> Result<()> {
    let Some(slots) = base.slots().filter(|s| !s.averages.is_empty()) else { return Ok(()) };
    variables.iter().try_for_each(|v| v.assign(slots.averages[slots.index(v)?].value()))
}

fn built(base: &OptimizerBase) -> Result<&Slots> {
    base.slots().ok_or_else(|| Error::argument("optimizer", "its slots are not there", "call build first"))
}

/// Which weights `variables` are; that each has a gradient of its shape.
fn check(slots: &Slots, gradients: &[Tensor], variables: &[Variable]) -> Result<Vec<usize>> {
    if gradients.len() != variables.len() {
        return Err(Error::argument(
            "apply",
            format!("{} gradients for {} variables", gradients.len(), variables.len()),
            "give one gradient a variable",
        ));
    }
    for (gradient, variable) in gradients.iter().zip(variables) {
        if !gradient.check()?.shape().compatible(&variable.ty().shape) {
            return Err(Error::shape(
                variable.describe(),
                format!("a gradient of shape {} for a variable of shape {}", gradient.shape(), variable.ty().shape),
                "give gradients in the order of the variables",
            ));
        }
    }
    variables.iter().map(|v| slots.index(v)).collect()
}

fn unscaled(gradient: &Tensor, options: &OptimizerOptions) -> Tensor {
    match options.loss_scale_factor {
        Some(scale) => gradient / scale,
        None => gradient.clone(),
    }
}

/// Whether step `iteration`, counted from 0, ends a run of `n` steps.
fn every(n: i64, iteration: &Tensor) -> Tensor {
    compare(&binary(BinaryKind::Rem, &(iteration + 1i64), n), Direction::Eq, 0i64)
}

/// The gradients that an update uses, averaged with those that were accumulated; keeps the sums for later steps.
fn accumulate(
    slots: &Slots,
    indices: &[usize],
    gradients: Vec<Tensor>,
    steps: Option<i64>,
    now: Option<&Tensor>,
) -> Result<Vec<Tensor>> {
    let (Some(steps), Some(now)) = (steps, now) else { return Ok(gradients) };
    let mut due = Vec::with_capacity(gradients.len());
    for (gradient, &index) in gradients.iter().zip(indices) {
        let accumulator = &slots.accumulators[index];
        let sum = (gradient + accumulator.value()).cast(accumulator.dtype());
        due.push(&sum / steps);
        accumulator.assign(sum)?;
    }
    // After an update all start anew, also those whose weights had no gradient at this step.
    for accumulator in &slots.accumulators {
        accumulator.assign(select(now, 0i64, &accumulator.value()))?;
    }
    Ok(due)
}

fn clipped(gradients: Vec<Tensor>, options: &OptimizerOptions) -> Vec<Tensor> {
    let positive = |limit: Option<f64>| limit.filter(|&l| l > 0.0);
    if let Some(limit) = positive(options.clipnorm) {
        gradients.iter().map(|g| clip_by_norm(g, limit)).collect()
    } else if let Some(limit) = positive(options.global_clipnorm) {
        clip_by_global_norm(&gradients, limit)
    } else if let Some(limit) = positive(options.clipvalue) {
        gradients.iter().map(|g| ops::minimum(ops::maximum(g, -limit), limit)).collect()
    } else {
        gradients
    }
}

/// `g · limit / max(‖g‖, limit)`.
fn clip_by_norm(gradient: &Tensor, limit: f64) -> Tensor {
    let norm = ops::sqrt(&ops::sum(&ops::square(gradient), Axes::All, false));
    gradient * limit / ops::maximum(norm, limit)
}

/// Each gradient times `limit · min(1 / ‖g‖, 1 / limit)`, with the norm of all together; NaN if that is not finite.
fn clip_by_global_norm(gradients: &[Tensor], limit: f64) -> Vec<Tensor> {
    let squares = gradients.iter().map(|g| ops::sum(&ops::square(g), Axes::All, false));
    let Some(total) = squares.reduce(|a, b| a + b) else { return Vec::new() };
    let norm = ops::sqrt(&total);
    // 0 for a finite norm, else NaN, as TensorFlow has it.
    let invalid = &norm * 0.0;
    let scale = limit * ops::minimum(1.0 / &norm, 1.0 / limit) + invalid;
    gradients.iter().map(|g| g * &scale).collect()
}

/// The weight after decay.
fn decayed<R: UpdateRule>(rule: &R, variable: &Variable, learning_rate: &Tensor) -> Result<Tensor> {
    let value = variable.value();
    match rule.weight_decay(variable)? {
        Some(decay) if !rule.base().excludes(variable)? => {
            let decay = &value * decay * learning_rate.cast(variable.dtype());
            Ok(value - decay)
        }
        _ => Ok(value),
    }
}

/// Moves the averages towards the weights; makes the weights their averages at the steps at which that is due.
fn average(slots: &Slots, options: &OptimizerOptions, updates: &Tensor) -> Result<()> {
    let overwrite = options.ema_overwrite_frequency.filter(|&n| n > 0).map(|n| every(n as i64, updates));
    let not_first = compare(updates, Direction::Ne, 0i64);
    for (variable, average) in slots.trained.iter().zip(&slots.averages) {
        let value = variable.value();
        let momentum = not_first.cast(variable.dtype()) * options.ema_momentum;
        average.assign(&momentum * average.value() + (1.0 - &momentum) * &value)?;
        if let Some(overwrite) = &overwrite {
            variable.assign(select(overwrite, average.value(), &value))?;
        }
    }
    Ok(())
}
