//! Passes: pure functions from graph to graph, one file each.
//!
//! Each keeps what the graph computes and its parameters, works on the graphs inside operations too, and takes time
//! about linear in the number of nodes. [`optimize`] runs them in the order in which they help each other.

mod canonicalize;
mod composites;
mod constants;
mod dead_code;
mod flatten;
mod fold_scales;
mod pool_gradients;
mod prune;
mod scan_sums;
mod split_steady;
mod subexpressions;

use std::sync::{Arc, OnceLock};

pub use canonicalize::canonicalize;
pub use composites::{Capabilities, inline_composites};
pub use constants::fold_constants;
pub use dead_code::eliminate_dead_code;
pub use flatten::{flatten, open_remat};
pub use fold_scales::fold_scales;
pub use pool_gradients::shorten_pool_gradients;
pub use scan_sums::hoist_sums;
pub use split_steady::{Split, split_steady};
pub use subexpressions::eliminate_common_subexpressions;

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::Op;

/// A pass with its name.
pub type Pass = (&'static str, fn(&Graph) -> Result<Graph>);

/// The passes that take nothing but the graph, each correct at any place of a pipeline (but see [`open_remat`]).
pub const PASSES: [Pass; 8] = [
    ("flatten", flatten),
    ("canonicalize", canonicalize),
    ("fold_constants", fold_constants),
    ("hoist_sums", hoist_sums),
    ("eliminate_common_subexpressions", eliminate_common_subexpressions),
    ("eliminate_dead_code", eliminate_dead_code),
    ("shorten_pool_gradients", shorten_pool_gradients),
    ("open_remat", open_remat),
];

/// The graph as a back end should compile it: composites that it lacks decomposed, constants folded, everything
/// computed once and only what is needed. Differentiate before: the result has no custom gradients any more.
///
/// With the environment variable `RHYTON_PRINT_PASSES=1`, the graph is printed to standard error before the first pass
/// and after each that changes it.
///
/// # Errors
/// If the graph is not valid, which cannot happen to one made by [`Graph::push`].
pub fn optimize(graph: &Graph, capabilities: &Capabilities) -> Result<Graph> {
    print("before", None, graph);
    let inlined = inline_composites(graph, capabilities)?;
    print("after inline_composites", Some(graph), &inlined);
    // Folding makes new special cases for canonicalize, and leaves copies and dead nodes for those after it. What
    // remat computes again must not be merged with the first time: it is opened when no more is merged.
    let pipeline: [Pass; 10] = [
        ("flatten", flatten),
        ("eliminate_dead_code", eliminate_dead_code),
        ("canonicalize", canonicalize),
        ("fold_constants", fold_constants),
        ("canonicalize", canonicalize),
        ("hoist_sums", hoist_sums),
        ("eliminate_common_subexpressions", eliminate_common_subexpressions),
        ("shorten_pool_gradients", shorten_pool_gradients),
        ("open_remat", open_remat),
        ("eliminate_dead_code", eliminate_dead_code),
    ];
    pipeline.iter().try_fold(inlined, |graph, (name, pass)| {
        let next = pass(&graph)?;
        print(&format!("after {name}"), Some(&graph), &next);
        Ok(next)
    })
}

fn print(when: &str, before: Option<&Graph>, graph: &Graph) {
    static WANTED: OnceLock<bool> = OnceLock::new();
    if *WANTED.get_or_init(|| std::env::var("RHYTON_PRINT_PASSES").is_ok_and(|v| v == "1")) && before != Some(graph) {
        eprintln!("// {when}\n{}", crate::text::to_text(graph));
    }
}

/// What becomes of a node in [`rewrite`].
#[allow(clippy::large_enum_variant, reason = "there is one at a time, soon taken apart")]
pub(crate) enum Rewrite {
    /// It stays as it is.
    Keep,
    /// It is this operation on the same operands.
    Op(Op),
    /// Its outputs are these values of the new graph.
    Values(Vec<Value>),
}

/// Builds a graph anew, node by node. `f` sees the new graph so far, each operation but parameters, and its operands
/// in the new graph.
pub(crate) fn rewrite(graph: &Graph, mut f: impl FnMut(&mut Graph, &Op, &[Value]) -> Result<Rewrite>) -> Result<Graph> {
    let mut out = Graph::new();
    let mut renamed = Renamed::new(graph);
    for (index, node) in graph.nodes().iter().enumerate() {
        let inputs: Vec<Value> = node.inputs.iter().map(|&v| renamed.get(v)).collect();
        let first = match &node.op {
            Op::Parameter(p) => out.parameter(p.ty.clone()),
            op => match f(&mut out, op, &inputs)? {
                Rewrite::Keep => out.push(op.clone(), &inputs)?,
                Rewrite::Op(op) => out.push(op, &inputs)?,
                Rewrite::Values(values) => {
                    renamed.set(index, &values);
                    continue;
                }
            },
        };
        let outputs = out.outputs_of(first);
        renamed.set(index, &outputs);
    }
    out.set_outputs(graph.outputs().iter().map(|&v| renamed.get(v)).collect());
    Ok(out)
}

/// The values of an old graph in a new one.
pub(crate) struct Renamed {
    /// Where the outputs of each node begin.
    starts: Vec<usize>,
    values: Vec<Option<Value>>,
}

impl Renamed {
    pub(crate) fn new(graph: &Graph) -> Renamed {
        let mut count = 0;
        let mut starts = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            starts.push(count);
            count += node.types.len();
        }
        Renamed { starts, values: vec![None; count] }
    }

    pub(crate) fn set(&mut self, node: usize, values: &[Value]) {
        let start = self.starts[node];
        for (slot, &value) in self.values[start..].iter_mut().zip(values) {
            *slot = Some(value);
        }
    }

    pub(crate) fn set_one(&mut self, old: Value, new: Value) {
        self.values[self.starts[old.node as usize] + old.output as usize] = Some(new);
    }

    /// The new value; operands come before their users, so there is one.
    pub(crate) fn get(&self, old: Value) -> Value {
        self.values[self.starts[old.node as usize] + old.output as usize].expect("operands are renamed before users")
    }
}

/// The constant scalar that fills `v`.
pub(crate) fn splat(graph: &Graph, v: Value) -> Option<Value> {
    match &graph.node(v).op {
        Op::Constant(_) if graph.ty(v).rank() == 0 => Some(v),
        Op::BroadcastInDim(_) => {
            let x = graph.node(v).inputs[0];
            (matches!(graph.node(x).op, Op::Constant(_)) && graph.ty(x).rank() == 0).then_some(x)
        }
        _ => None,
    }
}

/// The number that fills `v`.
pub(crate) fn splat_number(graph: &Graph, v: Value) -> Option<f64> {
    match &graph.node(splat(graph, v)?).op {
        Op::Constant(constant) => Some(constant.value.data().get_f64(0)),
        _ => None,
    }
}

/// The operation with `pass` applied to the graphs inside it; `Keep` if it has none.
pub(crate) fn inside(op: &Op, pass: impl Fn(&Graph) -> Result<Graph>) -> Result<Rewrite> {
    let graphs = op.subgraphs();
    if graphs.is_empty() {
        return Ok(Rewrite::Keep);
    }
    let graphs = graphs.into_iter().map(|(_, g)| Ok(Arc::new(pass(g)?))).collect::<Result<Vec<_>>>()?;
    Ok(Rewrite::Op(op.with_subgraphs(graphs)?))
}
