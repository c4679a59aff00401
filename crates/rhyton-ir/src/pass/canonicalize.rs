//! Simplification by local rules.
//!
//! Rules for floats keep NaN and infinities, and round as the original does; like TensorFlow's grappler they take
//! `x + 0` for `x` (which differs for `x = −0`). Nothing is reassociated.

mod arithmetic;
mod layout;

use super::{Rewrite, inside, rewrite, splat, splat_number};
use crate::array::Array;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::Op;
use crate::shape::TensorType;

/// Replaces nodes by simpler ones: neutral elements, inverses of inverses, chains of one kind of shape operation,
/// operations that change nothing, choices that are decided.
///
/// # Errors
/// If the graph is not valid.
pub fn canonicalize(graph: &Graph) -> Result<Graph> {
    let mut uses = vec![0u32; graph.nodes().len()];
    let reads = graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs());
    reads.for_each(|v| uses[v.node as usize] += 1);
    let mut uses_of_new: Vec<u32> = Vec::new();
    let mut index = 0;
    rewrite(graph, |out, op, inputs| {
        // `rewrite` does not show parameters.
        while matches!(graph.nodes()[index].op, Op::Parameter(_)) {
            index += 1;
        }
        let node = index;
        index += 1;
        let op = match inside(op, canonicalize)? {
            Rewrite::Op(op) => op,
            _ => op.clone(),
        };
        let simplified = simplest(out, op, inputs.to_vec(), &uses_of_new)?;
        let mut count = |v: Value, uses: u32| {
            let v = v.node as usize;
            uses_of_new.resize(uses_of_new.len().max(v + 1), 0);
            uses_of_new[v] += uses;
        };
        let (op, operands) = match simplified {
            Simplified::Values(values) => {
                // What takes the place of several nodes has the uses of all.
                values.iter().for_each(|&v| count(v, uses[node]));
                return Ok(Rewrite::Values(values));
            }
            Simplified::Node(op, operands) => (op, operands),
        };
        operands.iter().filter(|v| !inputs.contains(v)).for_each(|&v| count(v, 1));
        let first = out.push(op, &operands)?;
        count(first, uses[node]);
        Ok(Rewrite::Values(out.outputs_of(first)))
    })
}

/// What a rule makes of a node.
#[allow(clippy::large_enum_variant, reason = "there is one at a time, soon taken apart")]
enum Simplified {
    /// Values that are there already, or that the rule has added.
    Values(Vec<Value>),
    /// Another node.
    Node(Op, Vec<Value>),
}

impl Simplified {
    fn value(value: Value) -> Option<Simplified> {
        Some(Simplified::Values(vec![value]))
    }

    fn node(op: impl Into<Op>, inputs: &[Value]) -> Option<Simplified> {
        Some(Simplified::Node(op.into(), inputs.to_vec()))
    }
}

/// Applies rules until none fits. Each rule takes something away, so there is an end; the bound is for one that errs.
fn simplest(out: &mut Graph, mut op: Op, mut inputs: Vec<Value>, mut uses: &[u32]) -> Result<Simplified> {
    const MOST_STEPS: usize = 32;
    let types = op.infer(&inputs.iter().map(|&v| out.ty(v)).collect::<Vec<_>>())?;
    for _ in 0..MOST_STEPS {
        let view = View { graph: out, uses };
        let simplified = match arithmetic::simplify(&view, &op, &inputs, &types) {
            Some(simplified) => simplified,
            None => match layout::simplify(&view, &op, &inputs, &types) {
                Some(simplified) => simplified,
                None => match inline_choice(out, &op, &inputs)? {
                    Some(simplified) => simplified,
                    None => break,
                },
            },
        };
        match simplified {
            // A value of a type that is known less well, as `[b]` for `[4]`, cannot take the place.
            Simplified::Values(values) => {
                let same = values.len() == types.len() && values.iter().zip(&types).all(|(&v, ty)| out.ty(v) == ty);
                if !same {
                    break;
                }
                return Ok(Simplified::Values(values));
            }
            Simplified::Node(new, operands) => {
                if new.infer(&operands.iter().map(|&v| out.ty(v)).collect::<Vec<_>>())? != types {
                    break;
                }
                (op, inputs) = (new, operands);
                // The operands of operands may be read by those too.
                uses = &[];
            }
        }
    }
    Ok(Simplified::Node(op, inputs))
}

/// A `cond` on a constant is its branch.
fn inline_choice(out: &mut Graph, op: &Op, inputs: &[Value]) -> Result<Option<Simplified>> {
    let Op::Cond(cond) = op else { return Ok(None) };
    let Some(index) = (View { graph: out, uses: &[] }).number(inputs[0]) else { return Ok(None) };
    let index = (index.max(0.0) as usize).min(cond.branches.len() - 1);
    Ok(Some(Simplified::Values(out.inline(&cond.branches[index], &inputs[1..])?)))
}

/// The new graph as rules see it.
struct View<'g> {
    graph: &'g Graph,
    uses: &'g [u32],
}

impl View<'_> {
    fn op(&self, v: Value) -> &Op {
        &self.graph.node(v).op
    }

    /// Operand `i` of the node of `v`.
    fn operand(&self, v: Value, i: usize) -> Value {
        self.graph.node(v).inputs[i]
    }

    fn ty(&self, v: Value) -> &TensorType {
        self.graph.ty(v)
    }

    /// Whether one node or output reads `v` and nothing else does.
    fn is_read_once(&self, v: Value) -> bool {
        self.uses.get(v.node as usize) == Some(&1)
    }

    /// The constant scalar that fills `v`.
    fn splat(&self, v: Value) -> Option<Value> {
        splat(self.graph, v)
    }

    /// The number that fills `v`.
    fn number(&self, v: Value) -> Option<f64> {
        splat_number(self.graph, v)
    }

    /// A scalar constant's array.
    fn scalar(&self, v: Value) -> Option<&Array> {
        match self.op(v) {
            Op::Constant(constant) if constant.value.rank() == 0 => Some(&constant.value),
            _ => None,
        }
    }
}
