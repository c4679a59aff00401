//! Batch normalisation of inference, folded into what comes before it.
//!
//! With weights that stay as they are, `(x ⋆ w + b) · s + t` is `x ⋆ (w · s) + (b · s + t)`: the products on the right are
//! of weights alone, and can be kept (see [`split_steady`](super::split_steady)). Sums are reassociated, so results differ
//! in the last places.

use super::{Renamed, inside};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::{Binary, BinaryKind, BroadcastInDim, Op, Reshape};
use crate::shape::{Dim, Shape};

/// Moves multiplications by what depends on constants and the parameters that `steady` names alone into the kernels of
/// convolutions and products that depend on nothing else either, and joins such summands.
///
/// # Errors
/// If the graph is not valid.
pub fn fold_scales(graph: &Graph, steady: &[bool]) -> Result<Graph> {
    let mut uses = vec![0; graph.nodes().len()];
    graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs()).for_each(|v| uses[v.node as usize] += 1);
    let mut fold = Fold { out: Graph::new(), steady: Vec::new(), uses: Vec::new() };
    let mut renamed = Renamed::new(graph);
    let mut parameter = 0;
    for (index, node) in graph.nodes().iter().enumerate() {
        if let Op::Parameter(p) = &node.op {
            let value = fold.out.parameter(p.ty.clone());
            fold.note(value, steady[parameter], uses[index]);
            renamed.set(index, &[value]);
            parameter += 1;
            continue;
        }
        let inputs: Vec<Value> = node.inputs.iter().map(|&v| renamed.get(v)).collect();
        let folded = match (&node.op, &inputs[..]) {
            (Op::Binary(Binary { kind }), &[a, b]) => match (fold.is_steady(a), fold.is_steady(b)) {
                (false, true) => fold.fold(*kind, a, b)?,
                (true, false) => fold.fold(*kind, b, a)?,
                _ => None,
            },
            _ => None,
        };
        let first = match folded {
            Some(value) => value,
            None => {
                let op = match inside(&node.op, |g| fold_scales(g, &vec![false; g.parameters().len()]))? {
                    super::Rewrite::Op(op) => op,
                    _ => node.op.clone(),
                };
                fold.push(op, &inputs)?
            }
        };
        fold.uses[first.node as usize] = uses[index];
        let outputs = if folded.is_some() { vec![first] } else { fold.out.outputs_of(first) };
        renamed.set(index, &outputs);
    }
    fold.out.set_outputs(graph.outputs().iter().map(|&v| renamed.get(v)).collect());
    Ok(fold.out)
}

struct Fold {
    out: Graph,
    /// Whether each node of `out` depends on steady parameters and constants alone.
    steady: Vec<bool>,
    /// How often each is read.
    uses: Vec<u32>,
}

impl Fold {
    fn is_steady(&self, v: Value) -> bool {
        self.steady[v.node as usize]
    }

    fn note(&mut self, v: Value, steady: bool, uses: u32) {
        self.steady.resize(v.node as usize + 1, false);
        self.uses.resize(v.node as usize + 1, 0);
        self.steady[v.node as usize] = steady;
        self.uses[v.node as usize] = uses;
    }

    fn push(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Value> {
        let op = op.into();
        let steady = !matches!(op, Op::CustomCall(_)) && inputs.iter().all(|&v| self.is_steady(v));
        let first = self.out.push(op, inputs)?;
        self.note(first, steady, 1);
        Ok(first)
    }

    fn binary(&mut self, kind: BinaryKind, a: Value, b: Value) -> Result<Value> {
        self.push(Binary { kind }, &[a, b])
    }

    /// `u ∘ s` of an unsteady `u` and a steady `s`, if something can be joined.
    fn fold(&mut self, kind: BinaryKind, u: Value, s: Value) -> Result<Option<Value>> {
        match kind {
            BinaryKind::Mul => self.scale(u, s),
            BinaryKind::Add => self.shift(u, s),
            _ => Ok(None),
        }
    }

    /// An unsteady and a steady operand of a node that is an operation `kind` and read once.
    fn operands(&self, u: Value, kind: BinaryKind) -> Option<(Value, Value)> {
        let node = self.out.node(u);
        if self.uses[u.node as usize] != 1 || node.op != Op::from(Binary { kind }) {
            return None;
        }
        match (self.is_steady(node.inputs[0]), self.is_steady(node.inputs[1])) {
            (false, true) => Some((node.inputs[0], node.inputs[1])),
            (true, false) => Some((node.inputs[1], node.inputs[0])),
            _ => None,
        }
    }

    /// `u + t`.
    fn shift(&mut self, u: Value, t: Value) -> Result<Option<Value>> {
        let Some((v, f)) = self.operands(u, BinaryKind::Add) else { return Ok(None) };
        let sum = self.join(BinaryKind::Add, f, t)?;
        self.binary(BinaryKind::Add, v, sum).map(Some)
    }

    /// `u · s`.
    fn scale(&mut self, u: Value, s: Value) -> Result<Option<Value>> {
        if !self.out.ty(u).dtype.is_float() {
            return Ok(None);
        }
        if let Some((v, f)) = self.operands(u, BinaryKind::Add) {
            let Some(scaled) = self.scale(v, s)? else { return Ok(None) };
            let shift = self.join(BinaryKind::Mul, f, s)?;
            return self.binary(BinaryKind::Add, scaled, shift).map(Some);
        }
        let node = self.out.node(u).clone();
        // The axis of the kernel that the axis of the result comes from.
        let (kernel_axis, axis) = match &node.op {
            Op::Convolution(op) => (op.dims.rhs_output, op.dims.out_feature),
            Op::DotGeneral(op) if op.rhs_batch.is_empty() => {
                let rank = self.out.ty(node.inputs[1]).rank();
                let mut free = (0..rank).filter(|a| !op.rhs_contract.contains(a));
                let (Some(axis), None) = (free.next(), free.next()) else { return Ok(None) };
                (axis, node.types[0].rank() - 1)
            }
            _ => return Ok(None),
        };
        let kernel = node.inputs[1];
        if self.uses[u.node as usize] != 1 || !self.is_steady(kernel) || self.is_steady(node.inputs[0]) {
            return Ok(None);
        }
        let Some(vector) = self.along(s, axis)? else { return Ok(None) };
        let shape = self.out.ty(kernel).shape.clone();
        let spread = self.push(BroadcastInDim { shape, axes: vec![kernel_axis] }, &[vector])?;
        let kernel = self.binary(BinaryKind::Mul, kernel, spread)?;
        self.push(node.op, &[node.inputs[0], kernel]).map(Some)
    }

    /// The vector, or the vector of one element, of which `s` repeats the elements along all axes but `axis`.
    fn along(&mut self, s: Value, axis: usize) -> Result<Option<Value>> {
        let core = self.core(s)?;
        let shape = &self.out.ty(core).shape;
        if shape.iter().enumerate().any(|(a, d)| a != axis && !d.is(1)) {
            return Ok(None);
        }
        let size = shape[axis].clone();
        self.push(Reshape { shape: [size].into_iter().collect() }, &[core]).map(Some)
    }

    /// `s` with size 1 along the axes along which it only repeats.
    fn core(&mut self, s: Value) -> Result<Value> {
        let node = self.out.node(s).clone();
        let Op::BroadcastInDim(op) = &node.op else { return Ok(s) };
        let from = self.out.ty(node.inputs[0]).shape.clone();
        let mut dims = vec![Dim::Known(1); op.shape.rank()];
        for (size, &axis) in from.iter().zip(&op.axes) {
            dims[axis] = size.clone();
        }
        let shape: Shape = dims.into_iter().collect();
        if from == shape { Ok(node.inputs[0]) } else { self.push(Reshape { shape }, &[node.inputs[0]]) }
    }

    /// `a ∘ b` of steady operands of one shape, computed before they are repeated.
    fn join(&mut self, kind: BinaryKind, a: Value, b: Value) -> Result<Value> {
        let full = self.out.ty(a).shape.clone();
        let cores = [self.core(a)?, self.core(b)?];
        let shapes = cores.map(|v| self.out.ty(v).shape.clone());
        let size = |axis: usize| if shapes[0][axis].is(1) { shapes[1][axis].clone() } else { shapes[0][axis].clone() };
        let joint: Shape = (0..full.rank()).map(size).collect();
        let [a, b] = [self.spread(cores[0], &joint)?, self.spread(cores[1], &joint)?];
        let joined = self.binary(kind, a, b)?;
        self.spread(joined, &full)
    }

    fn spread(&mut self, v: Value, shape: &Shape) -> Result<Value> {
        if self.out.ty(v).shape == *shape {
            return Ok(v);
        }
        self.push(BroadcastInDim { shape: shape.clone(), axes: (0..shape.rank()).collect() }, &[v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::build::Builder;
    use crate::interpret;
    use crate::op::{ConvDims, Convolution, DotGeneral};
    use crate::shape::TensorType;
    use crate::{DType, pass};

    fn numbers(shape: &[usize], seed: usize) -> Array {
        let n = shape.iter().product::<usize>();
        Array::new(shape.to_vec(), (0..n).map(|i| ((i * 37 + seed * 11) % 23) as f64 / 8.0 - 1.0).collect::<Vec<_>>())
    }

    /// `(x ⋆ w + b) · s + t` with every vector along the features, and its arguments.
    fn normalized(groups: usize) -> (Graph, Vec<Array>) {
        let mut graph = Graph::new();
        let types: [&[usize]; 5] = [&[2, 5, 5, 4], &[3, 3, 4 / groups, 8], &[8], &[8], &[8]];
        let values: Vec<Value> = types.iter().map(|&s| graph.parameter(TensorType::new(DType::F64, s))).collect();
        let conv = Convolution {
            dims: ConvDims::channels_last(2),
            strides: vec![1; 2],
            padding: vec![(0, 0); 2],
            lhs_dilation: vec![1; 2],
            rhs_dilation: vec![1; 2],
            feature_groups: groups,
            batch_groups: 1,
        };
        let mut b = Builder::new(&mut graph);
        let y = b.push(conv, &values[..2]);
        let shape: Shape = [2, 3, 3, 8].into();
        let spread = |b: &mut Builder, v: Value| b.push(BroadcastInDim { shape: shape.clone(), axes: vec![3] }, &[v]);
        let [bias, scale, shift] = [2, 3, 4].map(|i| spread(&mut b, values[i]));
        let y = b.add(y, bias);
        let y = b.push(Binary { kind: BinaryKind::Mul }, &[scale, y]);
        let y = b.add(y, shift);
        b.finish().unwrap();
        graph.set_outputs(vec![y]);
        (graph, types.iter().enumerate().map(|(i, s)| numbers(s, i)).collect())
    }

    fn assert_same(before: &Graph, after: &Graph, arguments: &[Array]) {
        let [expected, actual] = [before, after].map(|g| interpret::run(g, arguments).unwrap().remove(0));
        for (a, e) in actual.to_f64_vec().iter().zip(expected.to_f64_vec()) {
            assert!((a - e).abs() <= 1e-12 * (1.0 + e.abs()), "{a} for {e}");
        }
    }

    #[test]
    fn a_normalisation_moves_into_the_kernel() {
        for groups in [1, 2, 4] {
            let (graph, arguments) = normalized(groups);
            let folded = fold_scales(&graph, &[false, true, true, true, true]).unwrap();
            assert_same(&graph, &folded, &arguments);
            // Of the result only a sum is left to compute after the convolution.
            let Op::Binary(Binary { kind: BinaryKind::Add }) = folded.node(folded.outputs()[0]).op else { panic!() };
            let product = folded.node(folded.outputs()[0]).inputs[0];
            assert!(matches!(folded.node(product).op, Op::Convolution(_)));
        }
    }

    #[test]
    fn what_changes_is_left_alone() {
        let (graph, _) = normalized(1);
        let kept =
            |steady: [bool; 5]| pass::eliminate_dead_code(&fold_scales(&graph, &steady).unwrap()).unwrap() == graph;
        assert!(kept([false; 5]));
        assert!(kept([false, false, true, true, false]));
    }

    #[test]
    fn products_take_scales_along_their_columns_only() {
        for (axes, folds) in [(vec![1], true), (vec![0], false)] {
            let mut graph = Graph::new();
            let types: [&[usize]; 3] = [&[6, 3], &[3, 6], &[6]];
            let values: Vec<Value> = types.iter().map(|&s| graph.parameter(TensorType::new(DType::F64, s))).collect();
            let mut b = Builder::new(&mut graph);
            let y = b.push(DotGeneral::matmul(2), &values[..2]);
            let scale = b.push(BroadcastInDim { shape: [6, 6].into(), axes }, &[values[2]]);
            let y = b.push(Binary { kind: BinaryKind::Mul }, &[y, scale]);
            b.finish().unwrap();
            graph.set_outputs(vec![y]);
            let folded = fold_scales(&graph, &[false, true, true]).unwrap();
            let arguments: Vec<Array> = types.iter().enumerate().map(|(i, s)| numbers(s, i)).collect();
            assert_same(&graph, &folded, &arguments);
            assert_eq!(matches!(folded.node(folded.outputs()[0]).op, Op::DotGeneral(_)), folds);
        }
    }
}
