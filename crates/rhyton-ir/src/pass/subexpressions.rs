//! Elimination of common subexpressions.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Rewrite, inside, rewrite};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::Op;

/// Computes what is the same once: nodes of one operation on the same operands are merged into the first.
///
/// Constants are the same if their bits are. Calls of host functions are never merged, as they may have effects.
///
/// # Errors
/// If the graph is not valid.
pub fn eliminate_common_subexpressions(graph: &Graph) -> Result<Graph> {
    // By hash, the nodes of the new graph; only looked up, never walked, so that its order does not matter.
    let mut seen: HashMap<u64, Vec<Value>> = HashMap::new();
    rewrite(graph, |out, op, inputs| {
        let op = match inside(op, eliminate_common_subexpressions)? {
            Rewrite::Op(op) => op,
            _ => op.clone(),
        };
        if matches!(op, Op::CustomCall(_)) {
            return Ok(Rewrite::Keep);
        }
        let bucket = seen.entry(hash(&op, inputs)).or_default();
        let same = |&&v: &&Value| out.node(v).inputs == inputs && identical(&out.node(v).op, &op);
        let found = bucket.iter().find(same).copied();
        let value = match found {
            Some(value) => value,
            None => out.push(op, inputs)?,
        };
        if found.is_none() {
            bucket.push(value);
        }
        Ok(Rewrite::Values(out.outputs_of(value)))
    })
}

fn hash(op: &Op, inputs: &[Value]) -> u64 {
    struct Text(DefaultHasher);
    impl Write for Text {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut text = Text(DefaultHasher::new());
    inputs.hash(&mut text.0);
    match op {
        // Printed in part only.
        Op::Constant(constant) => {
            constant.value.shape().hash(&mut text.0);
            text.0.write(constant.value.data().bytes());
        }
        op => write!(text, "{op:?}").expect("hashing cannot fail"),
    }
    text.0.finish()
}

/// Whether two operations are the same to the bit (`==` calls `0.0` and `-0.0` equal, and NaN different from itself).
fn identical(a: &Op, b: &Op) -> bool {
    if let (Op::Constant(a), Op::Constant(b)) = (a, b) {
        let (a, b) = (&a.value, &b.value);
        return a.dtype() == b.dtype() && a.shape() == b.shape() && a.data().bytes() == b.data().bytes();
    }
    let (inner_a, inner_b) = (a.subgraphs(), b.subgraphs());
    if inner_a.is_empty() || inner_a.len() != inner_b.len() {
        return a == b;
    }
    let bare = |op: &Op, count: usize| op.with_subgraphs(std::iter::repeat_n(Arc::default(), count).collect());
    let attributes = match (bare(a, inner_a.len()), bare(b, inner_b.len())) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    attributes && inner_a.iter().zip(&inner_b).all(|((_, a), (_, b))| Arc::ptr_eq(a, b) || identical_graphs(a, b))
}

fn identical_graphs(a: &Graph, b: &Graph) -> bool {
    a.parameters() == b.parameters()
        && a.outputs() == b.outputs()
        && a.nodes().len() == b.nodes().len()
        && (a.nodes().iter().zip(b.nodes()))
            .all(|(a, b)| a.inputs == b.inputs && a.types == b.types && identical(&a.op, &b.op))
}
