//! Operations with graphs inside, without the outputs that nobody reads.

use std::sync::Arc;

use super::Renamed;
use super::dead_code::eliminate_dead_code;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::{Cond, Op, Remat, Scan};

/// A smaller operation that gives the live outputs.
pub(super) struct Pruned {
    pub(super) op: Op,
    /// Which operands it takes, by number.
    pub(super) operands: Vec<usize>,
    /// Which outputs it gives.
    pub(super) outputs: Vec<usize>,
}

/// `None` for operations that keep all their operands and outputs.
pub(super) fn prune(op: &Op, operands: usize, live: &[bool]) -> Result<Option<Pruned>> {
    match op {
        Op::Scan(scan) => prune_scan(scan, live).map(Some),
        Op::Cond(cond) => prune_cond(cond, operands, live).map(Some),
        Op::Remat(remat) => {
            let outputs = positions(live);
            let body = with_outputs(&remat.body, &outputs)?;
            let operands = positions(&used(&body));
            let body = Arc::new(with_parameters(&body, &operands)?);
            Ok(Some(Pruned { op: Remat { body }.into(), operands, outputs }))
        }
        _ => Ok(None),
    }
}

fn prune_scan(scan: &Scan, live: &[bool]) -> Result<Pruned> {
    // A carry is needed if it is read after the last step, or by a needed output of a step.
    let mut needed = live.to_vec();
    let (body, outputs, read) = loop {
        let outputs = positions(&needed);
        let body = with_outputs(&scan.body, &outputs)?;
        let read = used(&body);
        let before = outputs.len();
        for k in 0..scan.carries {
            needed[k] |= read[scan.consts + k];
        }
        if positions(&needed).len() == before {
            break (body, outputs, read);
        }
    };
    let whole = scan.consts + scan.carries;
    let keeps = |i: usize| if (scan.consts..whole).contains(&i) { needed[i - scan.consts] } else { read[i] };
    let operands: Vec<usize> = (0..read.len()).filter(|&i| keeps(i)).collect();
    let count = |range: std::ops::Range<usize>| operands.iter().filter(|i| range.contains(i)).count();
    let (consts, carries) = (count(0..scan.consts), count(scan.consts..whole));
    let body = Arc::new(with_parameters(&body, &operands)?);
    Ok(Pruned { op: Scan { body, consts, carries, ..scan.clone() }.into(), operands, outputs })
}

fn prune_cond(cond: &Cond, operands: usize, live: &[bool]) -> Result<Pruned> {
    let outputs = positions(live);
    let branches = cond.branches.iter().map(|g| with_outputs(g, &outputs)).collect::<Result<Vec<_>>>()?;
    let mut read = vec![false; operands - 1];
    for branch in &branches {
        read.iter_mut().zip(used(branch)).for_each(|(read, used)| *read |= used);
    }
    let kept = positions(&read);
    let branches = branches.iter().map(|g| Ok(Arc::new(with_parameters(g, &kept)?))).collect::<Result<_>>()?;
    let operands = std::iter::once(0).chain(kept.iter().map(|i| i + 1)).collect();
    Ok(Pruned { op: Cond { branches }.into(), operands, outputs })
}

fn positions(flags: &[bool]) -> Vec<usize> {
    (0..flags.len()).filter(|&i| flags[i]).collect()
}

/// The graph with some of its outputs, without what only the others needed.
fn with_outputs(graph: &Graph, outputs: &[usize]) -> Result<Graph> {
    let mut graph = graph.clone();
    graph.set_outputs(outputs.iter().map(|&o| graph.outputs()[o]).collect());
    eliminate_dead_code(&graph)
}

/// For each parameter, whether a node or an output reads it.
fn used(graph: &Graph) -> Vec<bool> {
    let mut used = vec![false; graph.nodes().len()];
    let reads = graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs());
    reads.for_each(|v| used[v.node as usize] = true);
    graph.parameters().iter().map(|p| used[p.node as usize]).collect()
}

/// The graph without the parameters that are not in `kept`, which nothing reads.
fn with_parameters(graph: &Graph, kept: &[usize]) -> Result<Graph> {
    if kept.len() == graph.parameters().len() {
        return Ok(graph.clone());
    }
    let keeps: std::collections::BTreeSet<Value> = kept.iter().map(|&i| graph.parameters()[i]).collect();
    let mut out = Graph::new();
    let mut renamed = Renamed::new(graph);
    for (index, node) in graph.nodes().iter().enumerate() {
        let value = Value { node: index as u32, output: 0 };
        if matches!(node.op, Op::Parameter(_)) && !keeps.contains(&value) {
            continue;
        }
        let inputs: Vec<Value> = node.inputs.iter().map(|&v| renamed.get(v)).collect();
        let first = out.push(node.op.clone(), &inputs)?;
        renamed.set(index, &out.outputs_of(first));
    }
    out.set_outputs(graph.outputs().iter().map(|&v| renamed.get(v)).collect());
    Ok(out)
}
