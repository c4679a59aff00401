//! Elimination of dead code.

use super::prune::{Pruned, prune};
use super::{Renamed, Rewrite, inside};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::Op;

/// Removes the nodes that no output needs; parameters stay. Operations with graphs inside also lose the outputs that
/// nobody reads and the operands that they then do not need.
///
/// # Errors
/// If the graph is not valid.
pub fn eliminate_dead_code(graph: &Graph) -> Result<Graph> {
    let mut live: Vec<Vec<bool>> = graph.nodes().iter().map(|n| vec![false; n.types.len()]).collect();
    let mark = |live: &mut [Vec<bool>], v: Value| live[v.node as usize][v.output as usize] = true;
    graph.outputs().iter().for_each(|&v| mark(&mut live, v));
    let mut pruned: Vec<Option<Pruned>> = Vec::new();
    pruned.resize_with(graph.nodes().len(), || None);
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if !live[index].contains(&true) {
            continue;
        }
        pruned[index] = prune(&node.op, node.inputs.len(), &live[index])?;
        match &pruned[index] {
            Some(p) => p.operands.iter().for_each(|&i| mark(&mut live, node.inputs[i])),
            None => node.inputs.iter().for_each(|&v| mark(&mut live, v)),
        }
    }

    let mut out = Graph::new();
    let mut renamed = Renamed::new(graph);
    for (index, node) in graph.nodes().iter().enumerate() {
        if let Op::Parameter(p) = &node.op {
            renamed.set(index, &[out.parameter(p.ty.clone())]);
        } else if let Some(p) = pruned[index].take() {
            let inputs: Vec<Value> = p.operands.iter().map(|&i| renamed.get(node.inputs[i])).collect();
            let first = out.push(p.op, &inputs)?;
            for (new, &old) in out.outputs_of(first).into_iter().zip(&p.outputs) {
                renamed.set_one(Value { node: index as u32, output: old as u32 }, new);
            }
        } else if live[index].contains(&true) {
            let inputs: Vec<Value> = node.inputs.iter().map(|&v| renamed.get(v)).collect();
            let op = match inside(&node.op, eliminate_dead_code)? {
                Rewrite::Op(op) => op,
                _ => node.op.clone(),
            };
            let first = out.push(op, &inputs)?;
            renamed.set(index, &out.outputs_of(first));
        }
    }
    out.set_outputs(graph.outputs().iter().map(|&v| renamed.get(v)).collect());
    Ok(out)
}
