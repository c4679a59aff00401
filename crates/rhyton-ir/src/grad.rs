//! Automatic differentiation as a transformation of graphs.
//!
//! Reverse mode ([`vjp`], [`gradient`]) walks the graph backwards and asks each primitive for its rule. Forward mode
//! ([`jvp`]) has no rules of its own: the vector-Jacobian product `u ↦ Jᵀu` is linear in `u`, so differentiating *it*
//! with respect to `u` gives `t ↦ Jt`. One rule a primitive serves both, and dead-code elimination removes the nodes
//! of the first transposition that the second one does not need.

use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::op::{Applied, Binary, BinaryKind};
use crate::shape::TensorType;

/// Appends nodes that compute the cotangents of `wrt`, given those of `outputs` (`None` is zero): `Jᵀ·cotangents`.
///
/// `wrt` may be any values of the graph. The result has one entry for each, `None` where nothing flows (always for
/// integers and `bool`). Only nodes between `wrt` and `outputs` are visited; contributions to a value are added in the
/// order of its users, last to first. A `scan` on the way may get further outputs, which hold what its gradient needs;
/// those that it had keep their places.
///
/// # Errors
/// If a cotangent has not the type of its output, or an operation on the way has no gradient.
pub fn vjp(
    graph: &mut Graph,
    outputs: &[Value],
    cotangents: &[Option<Value>],
    wrt: &[Value],
) -> Result<Vec<Option<Value>>> {
    if outputs.len() != cotangents.len() {
        return Err(Error::argument(
            "vjp",
            format!("{} cotangents for {} outputs", cotangents.len(), outputs.len()),
            "give one an output, None for zero",
        ));
    }
    let depends = depends_on(graph, wrt);
    let mut adjoints: Vec<Vec<Option<Value>>> = vec![Vec::new(); depends.len()];
    for (&output, &cotangent) in outputs.iter().zip(cotangents) {
        if let Some(cotangent) = cotangent {
            check_cotangent(graph, output, cotangent, "vjp")?;
            if depends[output.node as usize] {
                accumulate(graph, &mut adjoints, output, cotangent)?;
            }
        }
    }
    for index in (0..depends.len()).rev() {
        if !depends[index] || adjoints[index].iter().all(Option::is_none) {
            continue;
        }
        let node = &graph.nodes()[index];
        let wanted: Vec<bool> =
            node.inputs.iter().map(|&v| depends[v.node as usize] && graph.ty(v).dtype.is_float()).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let outputs = graph.outputs_of(Value { node: index as u32, output: 0 });
        let (op, applied) = (node.op.clone(), Applied { inputs: node.inputs.clone(), outputs, wanted });
        let mut given = adjoints[index].clone();
        given.resize(applied.outputs.len(), None);
        let mut b = Builder::new(graph);
        let results = op.vjp(&mut b, &applied, &given);
        b.finish()?;
        for ((&input, wanted), result) in applied.inputs.iter().zip(&applied.wanted).zip(results?) {
            if let (Some(cotangent), true) = (result, wanted) {
                check_cotangent(graph, input, cotangent, op.name())?;
                accumulate(graph, &mut adjoints, input, cotangent)?;
            }
        }
    }
    Ok(wrt.iter().map(|v| adjoints[v.node as usize].get(v.output as usize).copied().flatten()).collect())
}

/// The graph with, after its outputs, the gradient of output 0 with respect to each parameter number in `wrt`; zeros
/// where the output does not depend on it.
///
/// # Errors
/// If output 0 is not a floating-point scalar, a number in `wrt` is not that of a floating-point parameter, or an
/// operation on the way has no gradient.
pub fn gradient(graph: &Graph, wrt: &[usize]) -> Result<Graph> {
    let mut graph = graph.clone();
    let scalar = |ty: &TensorType| ty.dtype.is_float() && ty.rank() == 0;
    let Some(&output) = graph.outputs().first().filter(|&&o| scalar(graph.ty(o))) else {
        return Err(Error::argument(
            "gradient",
            format!("outputs of types {:?}", graph.output_types()),
            "make output 0 a floating-point scalar, such as a mean",
        ));
    };
    let wrt = float_parameters(&graph, wrt, "gradient")?;
    let mut b = Builder::new(&mut graph);
    let one = b.full_like(output, 1.0);
    b.finish()?;
    let cotangents = vjp(&mut graph, &[output], &[Some(one)], &wrt)?;
    append_outputs(graph, &wrt, cotangents)
}

/// The graph with, after its parameters, one tangent for each parameter number in `wrt`, and after its outputs the
/// tangent of each floating-point output, in order: `J·tangents`.
///
/// # Errors
/// If a number in `wrt` is not that of a floating-point parameter, or an operation on the way has no gradient.
pub fn jvp(graph: &Graph, wrt: &[usize]) -> Result<Graph> {
    let mut graph = graph.clone();
    let wrt = float_parameters(&graph, wrt, "jvp")?;
    let tangents: Vec<Value> = wrt.iter().map(|&p| graph.parameter(graph.ty(p).clone())).collect();
    let outputs: Vec<Value> = graph.outputs().iter().copied().filter(|&o| graph.ty(o).dtype.is_float()).collect();
    let mut b = Builder::new(&mut graph);
    // The point at which the linear map is differentiated does not matter.
    let point: Vec<Value> = outputs.iter().map(|&o| b.zeros_like(o)).collect();
    b.finish()?;
    let given: Vec<Option<Value>> = point.iter().copied().map(Some).collect();
    let transposed = vjp(&mut graph, &outputs, &given, &wrt)?;
    let flowing = transposed.iter().zip(&tangents).filter_map(|(&c, &t)| Some((c?, Some(t))));
    let (images, given): (Vec<Value>, Vec<Option<Value>>) = flowing.unzip();
    let results = vjp(&mut graph, &images, &given, &point)?;
    append_outputs(graph, &outputs, results)
}

/// For each node, whether a value of `wrt` reaches one of its floating-point outputs through such values.
pub(crate) fn depends_on(graph: &Graph, wrt: &[Value]) -> Vec<bool> {
    let mut depends = vec![false; graph.nodes().len()];
    for v in wrt {
        depends[v.node as usize] = true;
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        depends[index] = node.types.iter().any(|ty| ty.dtype.is_float())
            && (depends[index]
                || node.inputs.iter().any(|&v| depends[v.node as usize] && graph.ty(v).dtype.is_float()));
    }
    depends
}

/// A graph of the operands of `callee` and the cotangents of those outputs for which `given` says so, without outputs,
/// and in it the cotangents of the operands in `wanted`, `None` where nothing flows. It computes `callee` again.
pub(crate) fn pullback(callee: &Graph, given: &[bool], wanted: &[bool]) -> Result<(Graph, Vec<Option<Value>>)> {
    let mut graph = Graph::new();
    let operands: Vec<Value> = callee.parameter_types().into_iter().map(|ty| graph.parameter(ty)).collect();
    let types = callee.output_types();
    let cotangents: Vec<Option<Value>> =
        types.iter().zip(given).map(|(ty, &given)| given.then(|| graph.parameter(ty.clone()))).collect();
    let outputs = graph.inline(callee, &operands)?;
    let wrt: Vec<Value> = operands.iter().zip(wanted).filter(|(_, w)| **w).map(|(&v, _)| v).collect();
    let mut found = vjp(&mut graph, &outputs, &cotangents, &wrt)?.into_iter();
    let results = wanted.iter().map(|&w| if w { found.next().flatten() } else { None }).collect();
    Ok((graph, results))
}

fn accumulate(graph: &mut Graph, adjoints: &mut [Vec<Option<Value>>], at: Value, cotangent: Value) -> Result<()> {
    let slots = &mut adjoints[at.node as usize];
    let output = at.output as usize;
    if slots.len() <= output {
        slots.resize(output + 1, None);
    }
    slots[output] = Some(match slots[output] {
        Some(sum) => graph.push(Binary { kind: BinaryKind::Add }, &[sum, cotangent])?,
        None => cotangent,
    });
    Ok(())
}

fn check_cotangent(graph: &Graph, of: Value, cotangent: Value, at: &str) -> Result<()> {
    let (want, got) = (graph.ty(of), graph.ty(cotangent));
    if want.dtype == got.dtype && want.dtype.is_float() && want.shape.compatible(&got.shape) {
        return Ok(());
    }
    Err(Error::shape(at, format!("a cotangent {got} for a value {want}"), "give cotangents of the values' own types"))
}

fn float_parameters(graph: &Graph, wrt: &[usize], at: &str) -> Result<Vec<Value>> {
    let parameter = |&number: &usize| match graph.parameters().get(number) {
        Some(&p) if graph.ty(p).dtype.is_float() => Ok(p),
        Some(&p) => Err(Error::dtype(
            at,
            format!("parameter {number} is {}", graph.ty(p)),
            "differentiate with respect to floating-point parameters",
        )),
        None => Err(Error::argument(
            at,
            format!("there is no parameter {number}, only {}", graph.parameters().len()),
            "number the parameters from 0",
        )),
    };
    wrt.iter().map(parameter).collect()
}

/// The graph with `values` as further outputs, zeros of the type of `like` for `None`.
fn append_outputs(mut graph: Graph, like: &[Value], values: Vec<Option<Value>>) -> Result<Graph> {
    let mut b = Builder::new(&mut graph);
    let values: Vec<Value> =
        values.into_iter().zip(like).map(|(v, &like)| v.unwrap_or_else(|| b.zeros_like(like))).collect();
    b.finish()?;
    let outputs = graph.outputs().iter().copied().chain(values).collect();
    graph.set_outputs(outputs);
    Ok(graph)
}
