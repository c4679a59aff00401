//! The part of a graph that need not be computed in every run.
//!
//! Weights that a program reads and does not assign are the same in run after run, and so is what is computed of them
//! alone: folded kernels, reciprocal roots of variances, conversions to half precision. That part becomes a graph of its
//! own, whose results are further parameters of what is left.

use std::collections::HashMap;

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::Op;

/// A graph in two parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What depends on steady parameters alone. It has all parameters of the graph.
    pub steady: Graph,
    /// The rest. Its parameters are those of the graph, then the outputs of `steady`.
    pub rest: Graph,
}

/// The most elements of one result that is kept.
const MOST_KEPT: usize = 1 << 24;

/// Splits off what depends on the parameters that `steady` names, and on constants, alone. Operations that only show
/// elements otherwise stay where their results are read, and so does what depends on constants only.
///
/// # Errors
/// If the graph is not valid.
pub fn split_steady(graph: &Graph, steady: &[bool]) -> Result<Split> {
    let mut kinds: Vec<Kind> = Vec::with_capacity(graph.nodes().len());
    let mut parameter = 0;
    for node in graph.nodes() {
        let of_inputs = || node.inputs.iter().map(|v| kinds[v.node as usize]).max().unwrap_or(Kind::Constant);
        kinds.push(match &node.op {
            Op::Parameter(_) => {
                parameter += 1;
                if steady[parameter - 1] { Kind::Steady } else { Kind::Changing }
            }
            Op::CustomCall(_) => Kind::Changing,
            _ if node
                .types
                .iter()
                .any(|ty| ty.shape.known().is_none_or(|d| d.iter().product::<usize>() > MOST_KEPT)) =>
            {
                of_inputs().max(if is_view(&node.op) { Kind::Constant } else { Kind::Changing })
            }
            _ => of_inputs(),
        });
    }
    let parameters = copy_of_parameters(graph);
    let renamed: HashMap<Value, Value> =
        graph.parameters().iter().copied().zip(parameters.parameters().iter().copied()).collect();
    let mut split = Splitting {
        graph,
        kinds: &kinds,
        steady: parameters.clone(),
        rest: parameters,
        in_steady: renamed.clone(),
        in_rest: renamed,
        kept: Vec::new(),
    };
    for (index, node) in graph.nodes().iter().enumerate() {
        if kinds[index] == Kind::Changing && !matches!(node.op, Op::Parameter(_)) {
            let inputs = node.inputs.iter().map(|&v| split.read(v)).collect::<Result<Vec<_>>>()?;
            let first = split.rest.push(node.op.clone(), &inputs)?;
            for (output, new) in split.rest.outputs_of(first).into_iter().enumerate() {
                split.in_rest.insert(Value { node: index as u32, output: output as u32 }, new);
            }
        }
    }
    let outputs = graph.outputs().iter().map(|&v| split.read(v)).collect::<Result<Vec<_>>>()?;
    split.rest.set_outputs(outputs);
    split.steady.set_outputs(split.kept);
    Ok(Split { steady: split.steady, rest: split.rest })
}

/// What a value depends on, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Constant,
    Steady,
    Changing,
}

/// Whether the operation computes nothing: back ends read its operand through strides.
fn is_view(op: &Op) -> bool {
    matches!(op, Op::BroadcastInDim(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Reverse(_))
}

fn copy_of_parameters(graph: &Graph) -> Graph {
    let mut out = Graph::new();
    graph.parameter_types().into_iter().for_each(|ty| {
        out.parameter(ty);
    });
    out
}

struct Splitting<'g> {
    graph: &'g Graph,
    kinds: &'g [Kind],
    steady: Graph,
    rest: Graph,
    in_steady: HashMap<Value, Value>,
    in_rest: HashMap<Value, Value>,
    /// The outputs of `steady`.
    kept: Vec<Value>,
}

impl Splitting<'_> {
    /// The value in `rest`, made if it is not there yet.
    fn read(&mut self, v: Value) -> Result<Value> {
        if let Some(&known) = self.in_rest.get(&v) {
            return Ok(known);
        }
        let node = self.graph.node(v);
        let new = if self.kinds[v.node as usize] == Kind::Constant || is_view(&node.op) {
            let inputs = node.inputs.iter().map(|&v| self.read(v)).collect::<Result<Vec<_>>>()?;
            let first = self.rest.push(node.op.clone(), &inputs)?;
            Value { output: v.output, ..first }
        } else {
            let kept = self.compute(v)?;
            self.kept.push(kept);
            self.rest.parameter(self.graph.ty(v).clone())
        };
        self.in_rest.insert(v, new);
        Ok(new)
    }

    /// The value in `steady`, made if it is not there yet.
    fn compute(&mut self, v: Value) -> Result<Value> {
        if let Some(&known) = self.in_steady.get(&v) {
            return Ok(known);
        }
        let node = self.graph.node(v);
        let inputs = node.inputs.iter().map(|&v| self.compute(v)).collect::<Result<Vec<_>>>()?;
        let first = self.steady.push(node.op.clone(), &inputs)?;
        for (output, new) in self.steady.outputs_of(first).into_iter().enumerate() {
            self.in_steady.insert(Value { node: v.node, output: output as u32 }, new);
        }
        Ok(self.in_steady[&v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::array::Array;
    use crate::build::Builder;
    use crate::interpret;
    use crate::op::{Binary, BinaryKind, BroadcastInDim, Unary, UnaryKind};
    use crate::shape::TensorType;

    #[test]
    fn what_depends_on_weights_alone_is_computed_apart() {
        let mut graph = Graph::new();
        let x = graph.parameter(TensorType::new(DType::F64, [2, 3]));
        let w = graph.parameter(TensorType::new(DType::F64, [3]));
        let mut b = Builder::new(&mut graph);
        let root = b.push(Unary { kind: UnaryKind::Sqrt }, &[w]);
        let spread = b.push(BroadcastInDim { shape: [2, 3].into(), axes: vec![1] }, &[root]);
        let y = b.push(Binary { kind: BinaryKind::Mul }, &[x, spread]);
        b.finish().unwrap();
        graph.set_outputs(vec![y, root, w]);
        let arguments = [Array::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), Array::new([3], vec![4.0, 9.0, 16.0])];
        let expected = interpret::run(&graph, &arguments).unwrap();
        let split = split_steady(&graph, &[false, true]).unwrap();
        let kept = interpret::run(&split.steady, &arguments).unwrap();
        assert_eq!(kept, [Array::new([3], vec![2.0, 3.0, 4.0])], "the root, and not what repeats it");
        assert_eq!(interpret::run(&split.rest, &[&arguments[..], &kept].concat()).unwrap(), expected);
        assert!(!split.rest.nodes().iter().any(|n| matches!(n.op, Op::Unary(_))));
    }
}
