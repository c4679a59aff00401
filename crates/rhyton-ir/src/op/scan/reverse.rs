//! The gradient of `scan`: a scan in the other direction.
//!
//! The body is differentiated once. What its gradient reads of the forward computation is not computed again: constants
//! and slices are operands of the scan already, and every other value becomes a further `y` of the forward scan
//! (which is extended in place), stacked step by step and read back in reverse. Only constants, counters, repetitions
//! and changes of shape are made anew, being cheaper to make than to keep. The reverse scan carries the cotangents of
//! the carries, and sums those of the constants. All of it is nodes with gradients of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Scan;
use crate::build::Builder;
use crate::error::Result;
use crate::grad::{self, depends_on};
use crate::graph::{Graph, Value};
use crate::op::{Applied, Binary, BinaryKind, Op};

pub(super) fn vjp(
    scan: &Scan,
    b: &mut Builder,
    node: &Applied,
    cotangents: &[Option<Value>],
) -> Result<Vec<Option<Value>>> {
    let given: Vec<bool> = cotangents.iter().map(Option::is_some).collect();
    let step = Step::new(scan, &node.wanted, &given)?;
    let mut results = vec![None; node.inputs.len()];
    if step.outputs.is_empty() {
        return Ok(results);
    }
    let (body, reads) = step.split()?;

    // The forward scan hands over what the reverse one reads.
    let mut kept = scan.body.outputs()[scan.carries..].to_vec();
    for &residual in &reads.residuals {
        if !kept.contains(&residual) {
            kept.push(residual);
        }
    }
    let place = |v: Value| kept.iter().position(|&k| k == v).expect("each residual is kept") + scan.carries;
    if kept.len() + scan.carries > scan.body.outputs().len() {
        let mut forward = step.graph.prefix(step.forward);
        forward.set_outputs(scan.body.outputs()[..scan.carries].iter().chain(&kept).copied().collect());
        b.extend(node.outputs[0], Scan { body: Arc::new(forward), ..scan.clone() }.into());
    }

    let whole = scan.consts + scan.carries;
    let consts = reads.consts.iter().map(|&c| node.inputs[c]);
    let mut operands: Vec<Value> = consts.collect();
    for &k in &step.carried {
        operands.push(cotangents[k].unwrap_or_else(|| b.zeros_like(node.outputs[k])));
    }
    for &c in &step.summed {
        operands.push(b.zeros_like(node.inputs[c]));
    }
    let at = node.outputs[0].node;
    operands.extend(reads.residuals.iter().map(|&v| Value { node: at, output: place(v) as u32 }));
    operands.extend(reads.xs.iter().map(|&x| node.inputs[whole + x]));
    operands.extend(step.ys.iter().filter_map(|&y| cotangents[scan.carries + y]));
    let reverse = Scan {
        body: Arc::new(body),
        consts: reads.consts.len(),
        carries: step.carried.len() + step.summed.len(),
        length: scan.length.clone(),
        reverse: !scan.reverse,
    };
    let outputs = b.push_all(reverse, &operands);
    let places = step.carried.iter().map(|&k| scan.consts + k).chain(step.summed.iter().copied());
    for (place, &output) in places.chain(step.sliced.iter().map(|&x| whole + x)).zip(&outputs) {
        results[place] = Some(output);
    }
    for (result, wanted) in results.iter_mut().zip(&node.wanted) {
        *result = result.filter(|_| *wanted);
    }
    Ok(results)
}

/// The body with its gradient appended.
struct Step {
    graph: Graph,
    /// How many of its nodes are the body's.
    forward: usize,
    /// How many of its parameters are constants.
    consts: usize,
    /// The number of the first slice among its parameters.
    first_x: usize,
    /// What the reverse step gives: next cotangents of carries, sums for constants, cotangents of slices.
    outputs: Vec<Value>,
    /// The carries, by number, that have cotangents.
    carried: Vec<usize>,
    /// The constants that have.
    summed: Vec<usize>,
    /// The slices that have.
    sliced: Vec<usize>,
    /// The `ys` whose cotangents are read.
    ys: Vec<usize>,
    /// The parameters that hold the cotangents of `carried`, the sums of `summed`, the cotangents of `ys`.
    carried_in: Vec<Value>,
    summed_in: Vec<Value>,
    ys_in: Vec<Value>,
}

impl Step {
    /// `wanted` tells of the scan's operands, `given` of its outputs.
    fn new(scan: &Scan, wanted: &[bool], given: &[bool]) -> Result<Step> {
        let body = &*scan.body;
        let whole = scan.consts + scan.carries;
        let active = active_carries(scan, wanted);
        let of_parameter =
            |i: usize| if (scan.consts..whole).contains(&i) { active[i - scan.consts] } else { wanted[i] };
        let operands: Vec<usize> = (0..wanted.len()).filter(|&i| of_parameter(i)).collect();
        let wrt: Vec<Value> = operands.iter().map(|&i| body.parameters()[i]).collect();
        let ys: Vec<usize> = (0..body.outputs().len() - scan.carries).filter(|&y| given[scan.carries + y]).collect();
        let mut carried: Vec<usize> = (0..scan.carries).filter(|&k| given[k] && active[k]).collect();
        // A carry has a cotangent as soon as a later step or output reads it: found by repetition, as it spreads from
        // carry to carry.
        loop {
            let mut graph = body.clone();
            let forward = graph.nodes().len();
            let mut cotangents = vec![None; body.outputs().len()];
            for output in carried.iter().copied().chain(ys.iter().map(|y| scan.carries + y)) {
                cotangents[output] = Some(graph.parameter(body.ty(body.outputs()[output]).clone()));
            }
            let found = grad::vjp(&mut graph, body.outputs(), &cotangents, &wrt)?;
            let found: BTreeMap<usize, Value> =
                operands.iter().zip(found).filter_map(|(&i, c)| Some((i, c?))).collect();
            let spread: Vec<usize> =
                (0..scan.carries).filter(|k| carried.contains(k) || found.contains_key(&(scan.consts + k))).collect();
            if spread != carried {
                carried = spread;
                continue;
            }
            let carried_in = carried.iter().filter_map(|&k| cotangents[k]).collect();
            let ys_in = ys.iter().filter_map(|&y| cotangents[scan.carries + y]).collect();
            let step = Step {
                graph,
                forward,
                consts: scan.consts,
                first_x: whole,
                outputs: Vec::new(),
                summed: found.keys().copied().filter(|&i| i < scan.consts).collect(),
                sliced: found.keys().filter_map(|&i| i.checked_sub(whole)).collect(),
                carried,
                ys,
                carried_in,
                summed_in: Vec::new(),
                ys_in,
            };
            return step.with_outputs(scan, &found);
        }
    }

    fn with_outputs(mut self, scan: &Scan, found: &BTreeMap<usize, Value>) -> Result<Step> {
        for &k in &self.carried {
            let operand = scan.consts + k;
            self.outputs.push(match found.get(&operand) {
                Some(&cotangent) => cotangent,
                None => {
                    let mut b = Builder::new(&mut self.graph);
                    let zeros = b.zeros_like(scan.body.parameters()[operand]);
                    b.finish()?;
                    zeros
                }
            });
        }
        for c in &self.summed {
            let sum = self.graph.parameter(self.graph.ty(found[c]).clone());
            self.summed_in.push(sum);
            self.outputs.push(self.graph.push(Binary { kind: BinaryKind::Add }, &[sum, found[c]])?);
        }
        let whole = scan.consts + scan.carries;
        self.outputs.extend(self.sliced.iter().map(|x| found[&(whole + x)]));
        Ok(self)
    }

    /// The gradient as a graph of its own, and what it reads of the forward step.
    fn split(&self) -> Result<(Graph, Reads)> {
        let graph = &self.graph;
        let parameters: BTreeMap<Value, usize> = graph.parameters().iter().copied().zip(0..).collect();
        let mut copied = vec![false; graph.nodes().len()];
        let mut read = BTreeSet::new();
        let mut visit = |v: Value, copied: &mut [bool]| {
            let made_anew = v.node as usize >= self.forward || is_cheap(&graph.node(v).op);
            if made_anew && !parameters.contains_key(&v) { copied[v.node as usize] = true } else { _ = read.insert(v) }
        };
        self.outputs.iter().for_each(|&v| visit(v, &mut copied));
        for (index, node) in graph.nodes().iter().enumerate().rev() {
            if copied[index] {
                node.inputs.iter().for_each(|&v| visit(v, &mut copied));
            }
        }
        let reads = Reads::new(self, &parameters, read);

        let mut body = Graph::new();
        let forward = |i: usize| graph.parameters()[i];
        let boundary = (reads.consts.iter().map(|&c| forward(c)))
            .chain(self.carried_in.iter().chain(&self.summed_in).copied())
            .chain(reads.residuals.iter().copied())
            .chain(reads.xs.iter().map(|&x| forward(self.first_x + x)))
            .chain(self.ys_in.iter().copied());
        let mut renamed: BTreeMap<Value, Value> = BTreeMap::new();
        for v in boundary {
            let parameter = body.parameter(graph.ty(v).clone());
            renamed.insert(v, parameter);
        }
        let mut nodes = vec![0; graph.nodes().len()];
        let rename = |v: Value, nodes: &[u32]| {
            renamed.get(&v).copied().unwrap_or(Value { node: nodes[v.node as usize], output: v.output })
        };
        for (index, node) in graph.nodes().iter().enumerate() {
            if copied[index] {
                let inputs: Vec<Value> = node.inputs.iter().map(|&v| rename(v, &nodes)).collect();
                nodes[index] = body.push(node.op.clone(), &inputs)?.node;
            }
        }
        body.set_outputs(self.outputs.iter().map(|&v| rename(v, &nodes)).collect());
        Ok((body, reads))
    }
}

/// What the reverse step reads of the forward one.
struct Reads {
    /// Constants, by number.
    consts: Vec<usize>,
    /// Slices, by number.
    xs: Vec<usize>,
    /// Everything else: values of the body.
    residuals: Vec<Value>,
}

impl Reads {
    fn new(step: &Step, parameters: &BTreeMap<Value, usize>, read: BTreeSet<Value>) -> Reads {
        let mut reads = Reads { consts: Vec::new(), xs: Vec::new(), residuals: Vec::new() };
        for v in read.into_iter().filter(|v| (v.node as usize) < step.forward) {
            match parameters.get(&v) {
                Some(&i) if i < step.consts => reads.consts.push(i),
                Some(&i) if i >= step.first_x => reads.xs.push(i - step.first_x),
                _ => reads.residuals.push(v),
            }
        }
        reads
    }
}

/// The carries that depend on wanted operands in some step.
fn active_carries(scan: &Scan, wanted: &[bool]) -> Vec<bool> {
    let body = &*scan.body;
    let range = scan.consts..scan.consts + scan.carries;
    let float = |v: Value| body.ty(v).dtype.is_float();
    let mut active: Vec<bool> = range.clone().map(|i| wanted[i] && float(body.parameters()[i])).collect();
    loop {
        let is_source = |i: usize| if range.contains(&i) { active[i - range.start] } else { wanted[i] };
        let sources: Vec<Value> =
            body.parameters().iter().enumerate().filter(|(i, _)| is_source(*i)).map(|(_, &v)| v).collect();
        let depends = depends_on(body, &sources);
        let reached = |k: usize| depends[body.outputs()[k].node as usize] && float(body.outputs()[k]);
        let next: Vec<bool> = (0..scan.carries).map(|k| active[k] || reached(k)).collect();
        if next == active {
            return active;
        }
        active = next;
    }
}

/// Whether making a value again costs less than keeping it for every step.
fn is_cheap(op: &Op) -> bool {
    matches!(op, Op::Constant(_) | Op::Iota(_) | Op::BroadcastInDim(_) | Op::Reshape(_))
}
