//! The reference interpreter: node by node with [`Op::eval`](crate::Op::eval), slowly and obviously.

use std::borrow::Cow;

use crate::array::Array;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::op::Op;
use crate::shape::{Bindings, Dim, Expr, TensorType};

/// The outputs of `graph` for `inputs`, one a parameter. Symbols in the parameters' types take the sizes of the inputs.
/// A value is freed after its last use.
///
/// # Errors
/// If the inputs are not what the parameters take, or an operation cannot be evaluated.
pub fn run(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>> {
    let types: Vec<TensorType> = inputs.iter().map(type_of).collect();
    evaluate(&*specialise(graph, &types)?, &inputs.iter().collect::<Vec<_>>())
}

/// The graph with numbers for the symbols in the types of its parameters, as `types` has them; the graph itself if it
/// has none there.
///
/// # Errors
/// If `types` do not fit the parameters.
pub fn specialise<'g>(graph: &'g Graph, types: &[TensorType]) -> Result<Cow<'g, Graph>> {
    let parameters = graph.parameter_types();
    if parameters.len() != types.len() {
        return Err(Error::argument(
            "run",
            format!("{} inputs for {} parameters", types.len(), parameters.len()),
            "give one input a parameter",
        ));
    }
    let mut bindings = Bindings::new();
    for (parameter, ty) in parameters.iter().zip(types) {
        for (dim, size) in parameter.shape.iter().zip(ty.shape.iter()) {
            if let (Dim::Symbolic(expr), Dim::Known(size)) = (dim, size)
                && let Expr::Symbol(name) = &**expr
            {
                bindings.entry(name.clone()).or_insert(*size);
            }
        }
    }
    for (number, (parameter, ty)) in parameters.iter().zip(types).enumerate() {
        if parameter.dtype != ty.dtype || parameter.shape.bind(&bindings) != ty.shape {
            return Err(Error::shape(
                "run",
                format!("input {number} is {ty} but parameter {number} is {parameter}"),
                "give inputs of the parameters' types",
            ));
        }
    }
    if bindings.is_empty() { Ok(Cow::Borrowed(graph)) } else { Ok(Cow::Owned(graph.bind(&bindings)?)) }
}

/// The type of an array.
pub(crate) fn type_of(array: &Array) -> TensorType {
    TensorType::new(array.dtype(), array.shape())
}

/// The outputs of a graph without symbols, for inputs of the parameters' types.
pub(crate) fn evaluate(graph: &Graph, inputs: &[&Array]) -> Result<Vec<Array>> {
    let nodes = graph.nodes();
    let mut last_use: Vec<usize> = (0..nodes.len()).collect();
    for (index, node) in nodes.iter().enumerate() {
        for v in &node.inputs {
            last_use[v.node as usize] = index;
        }
    }
    for v in graph.outputs() {
        last_use[v.node as usize] = usize::MAX;
    }
    let mut values: Vec<Vec<Array>> = vec![Vec::new(); nodes.len()];
    let mut inputs = inputs.iter();
    for (index, node) in nodes.iter().enumerate() {
        values[index] = match &node.op {
            Op::Parameter(_) => vec![(*inputs.next().expect("counted by the caller")).clone()],
            op => op.eval(&node.inputs.iter().map(|v| get(&values, *v)).collect::<Vec<_>>())?,
        };
        for v in node.inputs.iter().map(|v| v.node as usize).chain([index]) {
            if last_use[v] == index {
                values[v] = Vec::new();
            }
        }
    }
    Ok(graph.outputs().iter().map(|v| get(&values, *v).clone()).collect())
}

fn get(values: &[Vec<Array>], v: Value) -> &Array {
    &values[v.node as usize][v.output as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::op::{Binary, BinaryKind};

    fn sum_of_symbolic() -> Graph {
        let mut graph = Graph::new();
        let ty = TensorType::new(DType::F32, vec![Dim::symbol("b"), Dim::Known(2)]);
        let (x, y) = (graph.parameter(ty.clone()), graph.parameter(ty));
        let sum = graph.push(Binary { kind: BinaryKind::Add }, &[x, y]).unwrap();
        graph.set_outputs(vec![sum, x]);
        graph
    }

    #[test]
    fn symbols_take_the_sizes_of_the_inputs() {
        let x = Array::new([3, 2], vec![1.0f32; 6]);
        let out = run(&sum_of_symbolic(), &[x.clone(), x.clone()]).unwrap();
        assert_eq!(out, [Array::new([3, 2], vec![2.0f32; 6]), x]);
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let (x, y) = (Array::new([3, 2], vec![1.0f32; 6]), Array::new([1, 2], vec![1.0f32; 2]));
        assert!(matches!(run(&sum_of_symbolic(), &[x.clone(), y]), Err(Error::Shape(_))));
        assert!(matches!(run(&sum_of_symbolic(), &[x.clone(), x.cast(DType::F64)]), Err(Error::Shape(_))));
        assert!(matches!(run(&sum_of_symbolic(), &[x]), Err(Error::Argument(_))));
    }
}
