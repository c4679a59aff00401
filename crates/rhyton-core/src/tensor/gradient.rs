//! Gradients of tensors by tensors and variables.

use std::collections::HashMap;

use rhyton_ir::graph::Node;
use rhyton_ir::{Graph, Value, grad as ir_grad};

use super::evaluate::{Export, record};
use super::{Kind, Tensor};
use crate::error::{Error, Result};
use crate::ops;
use crate::variable::Variable;

/// The gradients of the scalar `loss` by each of `sources` (by any tensors that it was computed from): zeros where it does
/// not depend on one.
///
/// # Errors
/// The error that one of the tensors carries; if `loss` is not a floating-point scalar; if an operation on the way has no
/// gradient.
pub fn gradients(loss: &Tensor, sources: &[Tensor]) -> Result<Vec<Tensor>> {
    let found = gradients_if_any(loss, sources)?;
    Ok(found.into_iter().zip(sources).map(|(g, source)| g.unwrap_or_else(|| ops::zeros_like(source))).collect())
}

/// [`gradients`], with `None` where the loss does not depend on a source.
///
/// # Errors
/// As there.
pub fn gradients_if_any(loss: &Tensor, sources: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
    loss.check()?;
    if loss.rank() != 0 || !loss.dtype().is_float() {
        return Err(Error::shape(
            "gradient",
            format!("the loss is {}, not a floating-point scalar", loss.ty()),
            "reduce it with ops::sum or ops::mean",
        ));
    }
    if loss.ready().is_some() && !loss.has_operands() && !sources.iter().any(|s| s.is(loss)) {
        return Err(Error::argument(
            "gradient",
            "the loss is a value: how it was computed is no longer known",
            "compute it inside the function given to grad or value_and_grad",
        ));
    }
    let mut export = Export::for_gradient();
    let wrt: Vec<Value> = sources.iter().map(|s| export.get(s).unwrap_or_else(|| export.bind(s))).collect();
    // Placeholders of an outer trace are parameters here: their values come with the outer function.
    bind_placeholders(&mut export, loss)?;
    let output = export.add(loss)?;
    let mut tensors = export.tensors(loss, sources);
    let before = export.graph.nodes().len();
    let mut graph = export.graph;
    let one = graph.push(rhyton_ir::op::Constant { value: rhyton_ir::Array::scalar_of(loss.dtype(), 1.0) }, &[])?;
    let outputs = |graph: &Graph, i: usize| graph.outputs_of(Value { node: i as u32, output: 0 }).len();
    let counts: Vec<usize> = (0..before).map(|i| outputs(&graph, i)).collect();
    let found = ir_grad::vjp(&mut graph, &[output], &[Some(one)], &wrt)?;
    for (i, _) in counts.iter().enumerate().filter(|(i, count)| outputs(&graph, *i) > **count) {
        extend(&graph.nodes()[i], i, &mut tensors);
    }
    for (i, node) in graph.nodes().iter().enumerate().skip(before) {
        let operands: Vec<&Tensor> = node.inputs.iter().map(|v| &tensors[v]).collect();
        for (k, t) in Tensor::apply_all(node.op.clone(), &operands).into_iter().enumerate() {
            tensors.insert(Value { node: i as u32, output: k as u32 }, t);
        }
    }
    found.into_iter().map(|value| value.map(|v| tensors[&v].check().cloned()).transpose()).collect()
}

/// Applies the operation of node `i`, which differentiation gave further outputs, anew, and lets that be computed in
/// place of the tensors that it extends: what comes before a gradient is not computed twice.
fn extend(node: &Node, i: usize, tensors: &mut HashMap<Value, Tensor>) {
    let operands: Vec<&Tensor> = node.inputs.iter().map(|v| &tensors[v]).collect();
    let extended = Tensor::apply_all(node.op.clone(), &operands);
    let value = |output: usize| Value { node: i as u32, output: output as u32 };
    let old = tensors[&value(0)].extended().unwrap_or_else(|| tensors[&value(0)].clone());
    // Set already only if another thread differentiates the same tensors, which then both are computed.
    let _ = old.node.extension.set(extended[0].clone());
    for (k, t) in extended.into_iter().enumerate() {
        tensors.insert(value(k), t);
    }
}

impl Export {
    /// The tensors behind the values of the graph.
    fn tensors(&self, loss: &Tensor, sources: &[Tensor]) -> HashMap<Value, Tensor> {
        let mut tensors = HashMap::new();
        let mut stack = vec![loss.clone()];
        stack.extend(sources.iter().cloned());
        stack.extend(self.parameters.iter().cloned());
        while let Some(t) = stack.pop() {
            let Some(value) = self.get(&t) else { continue };
            if tensors.insert(value, t.without_mask()).is_some() {
                continue;
            }
            if self.parameters.iter().any(|p| p.is(&t)) {
                continue;
            }
            for t in std::iter::once(t.clone()).chain(t.extended()) {
                for sibling in (0..t.node.types.len()).map(|output| t.sibling(output)) {
                    if let Some(value) = self.get(&sibling) {
                        tensors.entry(value).or_insert(sibling);
                    }
                }
            }
            stack.extend(t.node.inputs.lock().unwrap_or_else(|e| e.into_inner()).iter().cloned());
        }
        tensors
    }
}

fn bind_placeholders(export: &mut Export, loss: &Tensor) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    let mut stack = vec![loss.clone()];
    while let Some(t) = stack.pop() {
        if !seen.insert(t.key()) || export.get(&t).is_some() {
            continue;
        }
        if matches!(t.node.kind, Kind::Placeholder) {
            export.bind(&t);
        }
        stack.extend(t.node.inputs.lock().unwrap_or_else(|e| e.into_inner()).iter().cloned());
    }
    Ok(())
}

/// The gradient of `function` at `x`, as `jax.grad`.
///
/// # Errors
/// As [`gradients`].
///
/// # Examples
/// ```
/// use rhyton_core::{Tensor, grad, ops};
///
/// let x = Tensor::new([2], vec![3.0f32, -1.0]);
/// let g = grad(|x| ops::sum(&(x * x), None::<i64>, false), &x)?;
/// assert_eq!(g.to_vec::<f32>()?, [6.0, -2.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn grad(function: impl FnOnce(&Tensor) -> Tensor, x: &Tensor) -> Result<Tensor> {
    let loss = record(|| function(x));
    Ok(gradients(&loss, std::slice::from_ref(x))?.swap_remove(0))
}

/// The value of `function` and its gradients by `variables`, as `tf.GradientTape` gives them.
///
/// # Errors
/// As [`gradients`].
pub fn value_and_grad(function: impl FnOnce() -> Tensor, variables: &[Variable]) -> Result<(Tensor, Vec<Tensor>)> {
    let loss = record(function);
    let values: Vec<Tensor> = variables.iter().map(Variable::value).collect();
    let gradients = gradients(&loss, &values)?;
    Ok((loss, gradients))
}
