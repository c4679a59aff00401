//! Sums that a scan carries but does not read, taken out of it.
//!
//! The gradient of a recurrent kernel is a sum of products, one a step: `s ← s + xᵀ·y`. As a carry it is read and
//! written whole in every step, and each product is small. All products at once are a single one, of the operands
//! stacked over the steps, whose contraction goes over the steps as well.

use std::sync::Arc;

use super::{Rewrite, inside, rewrite};
use crate::build::Builder;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::{Binary, BinaryKind, DotGeneral, Op, Reduce, ReduceKind, Scan};

/// Replaces carries that only sum products (or sums) of a step's values by one product of all steps, unless keeping
/// the operands of every step would take more memory than the sum in every step.
///
/// # Errors
/// If the graph is not valid.
pub fn hoist_sums(graph: &Graph) -> Result<Graph> {
    rewrite(graph, |out, op, inputs| {
        let inner = inside(op, hoist_sums)?;
        let op = if let Rewrite::Op(op) = &inner { op } else { op };
        let Op::Scan(scan) = op else { return Ok(inner) };
        let sums: Vec<Sum> = (0..scan.carries).filter_map(|carry| Sum::of(scan, carry)).collect();
        if sums.is_empty() { Ok(inner) } else { hoist(out, scan, inputs, &sums).map(Rewrite::Values) }
    })
}

/// `carry + shape(term)`, with a term of values that each step makes.
struct Sum {
    carry: usize,
    term: Value,
    /// What is done to the term before it is added, the last first: operations that only move elements.
    moves: Vec<Op>,
}

impl Sum {
    fn of(scan: &Scan, carry: usize) -> Option<Sum> {
        let body = &*scan.body;
        let (sum, before) = (body.outputs()[carry], body.parameters()[scan.consts + carry]);
        let (Op::Binary(Binary { kind: BinaryKind::Add }), &[a, b]) = (&body.node(sum).op, &body.node(sum).inputs[..])
        else {
            return None;
        };
        let mut term = if a == before { b } else { a };
        let uses =
            |v: Value| body.nodes().iter().flat_map(|n| &n.inputs).chain(body.outputs()).filter(move |&&u| u == v);
        let alone = (a == before) != (b == before) && uses(before).count() == 1 && uses(sum).count() == 1;
        let mut moves = Vec::new();
        while let op @ (Op::Transpose(_) | Op::Reshape(_)) = &body.node(term).op {
            moves.push(op.clone());
            term = body.node(term).inputs[0];
        }
        let node = body.node(term);
        let summed = matches!(node.op, Op::DotGeneral(_) | Op::Reduce(Reduce { kind: ReduceKind::Sum, .. }));
        if !alone || !summed {
            return None;
        }
        let consts = &body.parameters()[..scan.consts];
        let elements = |v: Value| body.ty(v).shape.known().map(|dims| dims.iter().product::<usize>());
        let mut kept = 0;
        for &operand in &node.inputs {
            if consts.contains(&operand) {
                return None;
            }
            kept += if stacked(scan, operand).is_some() { 0 } else { elements(operand)? };
        }
        (kept == 0 || kept <= elements(term)?).then_some(Sum { carry, term, moves })
    }
}

/// Where all steps' values of `v` are found outside of the scan.
enum Stacked {
    Operand(usize),
    Output(usize),
}

fn stacked(scan: &Scan, v: Value) -> Option<Stacked> {
    let place = |values: &[Value], first: usize| {
        values.iter().skip(first).position(|&other| other == v).map(|position| position + first)
    };
    place(scan.body.parameters(), scan.consts + scan.carries)
        .map(Stacked::Operand)
        .or_else(|| place(scan.body.outputs(), scan.carries).map(Stacked::Output))
}

fn hoist(out: &mut Graph, scan: &Scan, inputs: &[Value], sums: &[Sum]) -> Result<Vec<Value>> {
    let mut body = (*scan.body).clone();
    let mut outputs = body.outputs().to_vec();
    for &operand in sums.iter().flat_map(|sum| &scan.body.node(sum.term).inputs) {
        if stacked(scan, operand).is_none() && !outputs[scan.carries..].contains(&operand) {
            outputs.push(operand);
        }
    }
    body.set_outputs(outputs);
    let extended = Scan { body: Arc::new(body), ..scan.clone() };
    let first = out.push(extended.clone(), inputs)?;
    let mut results = out.outputs_of(first);
    let mut b = Builder::new(out);
    for sum in sums {
        let node = scan.body.node(sum.term);
        let operands: Vec<Value> = (node.inputs.iter())
            .map(|&v| match stacked(&extended, v) {
                Some(Stacked::Operand(place)) => inputs[place],
                Some(Stacked::Output(place)) => results[place],
                None => unreachable!("operands that were not stacked have become outputs"),
            })
            .collect();
        let term = b.push(over_steps(&node.op), &operands);
        let term = sum.moves.iter().rev().fold(term, |term, op| b.push(op.clone(), &[term]));
        results[sum.carry] = b.add(inputs[scan.consts + sum.carry], term);
    }
    b.finish()?;
    Ok(results[..scan.body.outputs().len()].to_vec())
}

/// The operation on operands with a further first axis, which it sums over.
fn over_steps(op: &Op) -> Op {
    let later = |axes: &[usize]| axes.iter().map(|a| a + 1).collect::<Vec<_>>();
    let and_first = |axes: &[usize]| std::iter::once(0).chain(later(axes)).collect::<Vec<_>>();
    match op {
        Op::DotGeneral(dot) => DotGeneral {
            lhs_batch: later(&dot.lhs_batch),
            rhs_batch: later(&dot.rhs_batch),
            lhs_contract: and_first(&dot.lhs_contract),
            rhs_contract: and_first(&dot.rhs_contract),
        }
        .into(),
        Op::Reduce(reduce) => Reduce { kind: reduce.kind, axes: and_first(&reduce.axes) }.into(),
        _ => unreachable!("sums are of products and of sums"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::dtype::DType;
    use crate::interpret::evaluate;
    use crate::pass::eliminate_dead_code;
    use crate::shape::TensorType;

    /// `s ← s + (xᵀ·y)ᵀ` and `n ← n + Σ x`, which is read as well.
    fn sums() -> Graph {
        let mut body = Graph::new();
        let ty = |shape: &[usize]| TensorType::new(DType::F64, shape.to_vec());
        let (s, n) = (body.parameter(ty(&[4, 3])), body.parameter(ty(&[])));
        let (x, y) = (body.parameter(ty(&[2, 3])), body.parameter(ty(&[2, 4])));
        let mut b = Builder::new(&mut body);
        let dot = DotGeneral { lhs_batch: vec![], rhs_batch: vec![], lhs_contract: vec![0], rhs_contract: vec![0] };
        let doubled = b.add(y, y);
        let product = b.dot_general(dot, x, doubled);
        let product = b.transpose(product, &[1, 0]);
        let next = b.add(s, product);
        let sum = b.push(Reduce { kind: ReduceKind::Sum, axes: vec![0, 1] }, &[x]);
        let count = b.add(sum, n);
        b.finish().unwrap();
        body.set_outputs(vec![next, count, count]);
        let scan = Scan { body: Arc::new(body), consts: 0, carries: 2, length: 3.into(), reverse: true };
        let mut graph = Graph::new();
        let operands: Vec<Value> =
            [&[4, 3][..], &[], &[3, 2, 3], &[3, 2, 4]].iter().map(|shape| graph.parameter(ty(shape))).collect();
        let first = graph.push(scan, &operands).unwrap();
        graph.set_outputs(graph.outputs_of(first));
        graph
    }

    #[test]
    fn a_sum_of_products_becomes_one_product() {
        let graph = sums();
        let hoisted = eliminate_dead_code(&hoist_sums(&graph).unwrap()).unwrap();
        let carries: Vec<usize> = hoisted
            .nodes()
            .iter()
            .filter_map(|n| if let Op::Scan(s) = &n.op { Some(s.carries) } else { None })
            .collect();
        assert_eq!(carries, [1], "what is read in every step stays a carry");
        let counted = |shape: &[usize]| {
            let n: usize = shape.iter().product();
            Array::new(shape, (0..n).map(|i| (i % 7) as f64 - 2.5).collect::<Vec<_>>())
        };
        let arrays = [counted(&[4, 3]), counted(&[]), counted(&[3, 2, 3]), counted(&[3, 2, 4])];
        let arrays: Vec<&Array> = arrays.iter().collect();
        assert_eq!(evaluate(&hoisted, &arrays).unwrap(), evaluate(&graph, &arrays).unwrap());
    }
}
