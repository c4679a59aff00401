//! What is done to the gradient of a pool, done to its source instead, which is as short as the pool's result.
//!
//! The gradient of a windowed maximum of `x` has each value of its source where the window's maximum is, and zeros elsewhere.
//! What a rectifier before the pool then asks of each element, whether `x` is above its bound, is as true of the maximum; and the
//! sum of the gradient, which is that of a bias, is the sum of the source.

use super::{Rewrite, inside, rewrite, splat_number};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::{
    Binary, BinaryKind, BroadcastInDim, Compare, Direction, Op, Reduce, ReduceKind, ReduceWindow, Select,
    SelectAndScatter,
};

/// Moves choices between a pool's gradient and 0 that are made by comparisons of its operand to its source, and sums of the
/// gradient, which are reassociated.
///
/// # Errors
/// If the graph is not valid.
pub fn shorten_pool_gradients(graph: &Graph) -> Result<Graph> {
    let mut reads = vec![0; graph.nodes().len()];
    graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs()).for_each(|v| reads[v.node as usize] += 1);
    // For each pool's gradient in order, whether one node alone reads it, which need not be computed twice then.
    let is_gradient = |op: &Op| matches!(op, Op::SelectAndScatter(_));
    let nodes = graph.nodes().iter().zip(reads).filter(|(node, _)| is_gradient(&node.op));
    let mut alone = nodes.map(|(_, reads)| reads == 1).collect::<Vec<_>>().into_iter();
    let mut seen = Seen::default();
    rewrite(graph, |out, op, inputs| {
        let inner = inside(op, shorten_pool_gradients)?;
        let value = match op {
            Op::ReduceWindow(pool) => {
                let pooled = out.push(op.clone(), inputs)?;
                seen.pools.push((inputs[0], pool.clone(), pooled));
                pooled
            }
            Op::SelectAndScatter(_) => {
                let gradient = out.push(op.clone(), inputs)?;
                if alone.next() == Some(true) {
                    seen.alone.push(gradient);
                }
                gradient
            }
            Op::Select(_) => match seen.choice(out, inputs)? {
                Some(value) => value,
                None => return Ok(inner),
            },
            Op::Reduce(reduce @ Reduce { kind: ReduceKind::Sum, .. }) => match summed(out, reduce, inputs[0]) {
                Some(source) => out.push(op.clone(), &[source])?,
                None => return Ok(inner),
            },
            _ => return Ok(inner),
        };
        Ok(Rewrite::Values(vec![value]))
    })
}

/// What the pass has come by.
#[derive(Default)]
struct Seen {
    /// Operand, pool, and result.
    pools: Vec<(Value, ReduceWindow, Value)>,
    /// Gradients of pools that are read once.
    alone: Vec<Value>,
}

impl Seen {
    /// The choice between a pool's gradient and 0 as the gradient of such a choice.
    fn choice(&self, out: &mut Graph, inputs: &[Value]) -> Result<Option<Value>> {
        let &[which, yes, no] = inputs else { return Ok(None) };
        let gradient = if self.alone.contains(&yes) { yes } else { no };
        let other = if gradient == yes { no } else { yes };
        if !self.alone.contains(&gradient) || splat_number(out, other) != Some(0.0) {
            return Ok(None);
        }
        let Op::SelectAndScatter(op) = out.node(gradient).op.clone() else { return Ok(None) };
        let (x, source) = (out.node(gradient).inputs[0], out.node(gradient).inputs[1]);
        // Sizes that are not known may be said in two ways, which operations do not take for the same.
        let same = |(of, pool, pooled): &&(Value, ReduceWindow, Value)| {
            *of == x && is_gradient_of(&op, pool) && out.ty(*pooled) == out.ty(source)
        };
        let Some(&(_, _, pooled)) = self.pools.iter().find(same) else { return Ok(None) };
        let Some((direction, bound, first)) = comparison(out, which, x) else { return Ok(None) };
        let shape = out.ty(source).shape.clone();
        let mut short = |v: Value| {
            let scalar = if out.ty(v).rank() == 0 { v } else { out.node(v).inputs[0] };
            out.push(BroadcastInDim { shape: shape.clone(), axes: Vec::new() }, &[scalar])
        };
        let (bound, zero) = (short(bound)?, short(other)?);
        let which = out.push(Compare { direction }, &if first { [bound, pooled] } else { [pooled, bound] })?;
        let source = out.push(Select, &if gradient == yes { [which, source, zero] } else { [which, zero, source] })?;
        out.push(op, &[x, source]).map(Some)
    }
}

/// Whether `op` is the gradient of `pool`.
fn is_gradient_of(op: &SelectAndScatter, pool: &ReduceWindow) -> bool {
    pool.kind == (if op.max { ReduceKind::Max } else { ReduceKind::Min })
        && pool.base_dilation.iter().all(|&d| d == 1)
        && (&pool.window, &pool.strides, &pool.padding, &pool.window_dilation)
            == (&op.window, &op.strides, &op.padding, &op.window_dilation)
}

/// `which` as a comparison of `x` with what is filled with one number: its direction, that number, and whether it comes first.
fn comparison(graph: &Graph, which: Value, x: Value) -> Option<(Direction, Value, bool)> {
    let Op::Compare(Compare { direction }) = graph.node(which).op else { return None };
    let (a, b) = (graph.node(which).inputs[0], graph.node(which).inputs[1]);
    if a == x || b == x {
        let bound = if a == x { b } else { a };
        return splat_number(graph, bound).map(|_| (direction, bound, b == x));
    }
    // `c ≥ z` says of `z` what it says of the greater of `c` and `z`.
    let Op::Binary(Binary { kind: BinaryKind::Maximum }) = graph.node(x).op else { return None };
    let (c, z) = (graph.node(x).inputs[0], graph.node(x).inputs[1]);
    let bound = splat_number(graph, a)?;
    (direction == Direction::Ge && b == z && splat_number(graph, c) == Some(bound)).then_some((direction, a, true))
}

/// The source of the pool's gradient `v`, if `reduce` sums either to the same: every window has an element, which is summed over.
fn summed(graph: &Graph, reduce: &Reduce, v: Value) -> Option<Value> {
    let node = graph.node(v);
    let Op::SelectAndScatter(op) = &node.op else { return None };
    let (x, source) = (node.inputs[0], node.inputs[1]);
    let axes = graph.ty(x).shape.known()?.into_iter().zip(graph.ty(source).shape.known()?).enumerate();
    let whole = |(axis, (size, windows)): (usize, (usize, usize))| {
        let plain = op.window[axis] == 1 && size == windows;
        let inside = |window: usize| {
            (0..op.window[axis]).any(|tap| {
                let at = (window * op.strides[axis] + tap * op.window_dilation[axis]) as i64 - op.padding[axis].0;
                (0..size as i64).contains(&at)
            })
        };
        (plain || reduce.axes.contains(&axis)) && (0..windows).all(inside)
    };
    axes.into_iter().all(whole).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::build::Builder;
    use crate::dtype::DType;
    use crate::interpret::evaluate;
    use crate::pass::eliminate_dead_code;
    use crate::shape::TensorType;

    /// The gradients, by `z` and by a bias, of a pool of `max(0, z)`, whose windows have `size` elements a side.
    fn gradients(size: usize, padding: i64, axes: &[usize]) -> (Graph, Vec<Array>) {
        let mut graph = Graph::new();
        let z = graph.parameter(TensorType::new(DType::F64, [2, 6, 6, 3]));
        let pool = ReduceWindow {
            kind: ReduceKind::Max,
            window: vec![1, size, size, 1],
            strides: vec![1, 2, 2, 1],
            padding: vec![(0, 0), (padding, padding), (padding, padding), (0, 0)],
            base_dilation: vec![1; 4],
            window_dilation: vec![1; 4],
        };
        let mut b = Builder::new(&mut graph);
        let ty = b.ty(z);
        let zero = b.full(&ty, 0.0);
        let x = b.binary(BinaryKind::Maximum, zero, z);
        let pooled = b.push(pool.clone(), &[x]);
        let source = b.mul(pooled, pooled);
        let scatter = SelectAndScatter {
            max: true,
            window: pool.window,
            strides: pool.strides,
            padding: pool.padding,
            window_dilation: pool.window_dilation,
        };
        let dx = b.push(scatter, &[x, source]);
        let below = b.compare(Direction::Ge, zero, z);
        let dz = b.select(below, zero, dx);
        let sum = b.push(Reduce { kind: ReduceKind::Sum, axes: axes.to_vec() }, &[dz]);
        b.finish().unwrap();
        graph.set_outputs(vec![dz, sum]);
        // Whole numbers: sums are exact in any order. Many ties, and windows without anything above 0.
        let z = (0..2 * 6 * 6 * 3).map(|i: usize| (i * 2_654_435_769 / 977 % 9) as f64 - 5.0).collect::<Vec<_>>();
        (graph, vec![Array::new([2, 6, 6, 3], z)])
    }

    fn summed_op(graph: &Graph) -> &Op {
        &graph.node(graph.node(graph.outputs()[1]).inputs[0]).op
    }

    #[test]
    fn choices_and_sums_move_to_the_source() {
        for (size, padding) in [(2, 0), (3, 0), (3, 1)] {
            let (graph, arguments) = gradients(size, padding, &[0, 1, 2]);
            let arguments: Vec<&Array> = arguments.iter().collect();
            let short = eliminate_dead_code(&shorten_pool_gradients(&graph).unwrap()).unwrap();
            assert_eq!(evaluate(&short, &arguments).unwrap(), evaluate(&graph, &arguments).unwrap());
            assert!(matches!(short.node(short.outputs()[0]).op, Op::SelectAndScatter(_)), "{size} {padding}");
            assert!(matches!(summed_op(&short), Op::Select(_)), "the sum is of the source");
        }
    }

    #[test]
    fn sums_that_are_others_stay() {
        // Over a part of the windows' axes, and with windows that lie in the padding, whose source goes nowhere.
        for (size, padding, axes) in [(2, 0, &[0, 1][..]), (2, 2, &[0, 1, 2])] {
            let (graph, arguments) = gradients(size, padding, axes);
            let arguments: Vec<&Array> = arguments.iter().collect();
            let short = eliminate_dead_code(&shorten_pool_gradients(&graph).unwrap()).unwrap();
            assert_eq!(evaluate(&short, &arguments).unwrap(), evaluate(&graph, &arguments).unwrap());
            assert!(matches!(summed_op(&short), Op::SelectAndScatter(_)));
        }
    }
}
