//! Rules for operations that move elements.

use super::{Simplified, View};
use crate::graph::Value;
use crate::op::{
    BinaryKind, BroadcastInDim, Concatenate, Convolution, DotGeneral, DynamicSlice, Op, Pad, ReduceKind, ReduceWindow,
    Reshape, Slice, Transpose,
};
use crate::shape::{Dim, Shape, TensorType};

pub(super) fn simplify(g: &View, op: &Op, inputs: &[Value], types: &[TensorType]) -> Option<Simplified> {
    let moves = matches!(
        op,
        Op::BroadcastInDim(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Reverse(_) | Op::DynamicSlice(_)
    );
    if moves {
        let [x, ty] = [g.ty(inputs[0]), &types[0]];
        // Moving copies of one number gives copies of it.
        if let Some(scalar) = g.splat(inputs[0])
            && (inputs[0] != scalar || !matches!(op, Op::BroadcastInDim(_)))
        {
            let op = BroadcastInDim { shape: ty.shape.clone(), axes: Vec::new() };
            return if ty.rank() == 0 { Simplified::value(scalar) } else { Simplified::node(op, &[scalar]) };
        }
        if ty == x && keeps_all(op, &x.shape) {
            return Simplified::value(inputs[0]);
        }
    }
    match op {
        Op::BroadcastInDim(op) => simplify_broadcast(g, op, inputs[0]),
        Op::Reshape(op) => match g.op(inputs[0]) {
            Op::Reshape(_) => Simplified::node(op.clone(), &[g.operand(inputs[0], 0)]),
            _ => None,
        },
        Op::Transpose(op) => simplify_transpose(g, op, inputs[0]),
        Op::Reverse(op) => match g.op(inputs[0]) {
            Op::Reverse(inner) if inner == op => Simplified::value(g.operand(inputs[0], 0)),
            _ => None,
        },
        Op::Pad(op) => {
            let nothing = op.low.iter().chain(&op.high).all(|&n| n == 0) && op.interior.iter().all(|&n| n == 0);
            if nothing { Simplified::value(inputs[0]) } else { None }
        }
        Op::Concatenate(_) if inputs.len() == 1 => Simplified::value(inputs[0]),
        Op::Reduce(op) => {
            let [x, ty] = [g.ty(inputs[0]), &types[0]];
            match op.axes.is_empty() {
                true => Simplified::value(inputs[0]),
                false if op.axes.iter().all(|&a| x.shape[a].is(1)) => {
                    Simplified::node(Reshape { shape: ty.shape.clone() }, inputs)
                }
                false => None,
            }
        }
        Op::DynamicSlice(op) => simplify_dynamic_slice(g, op, inputs),
        Op::DotGeneral(op) => simplify_dot(g, op, inputs),
        Op::Convolution(op) => match g.op(inputs[0]) {
            Op::Pad(pad) => pad_in_convolution(g, op, pad, inputs),
            _ => None,
        },
        Op::ReduceWindow(op) => match g.op(inputs[0]) {
            Op::Pad(pad) => pad_in_window(g, op, pad, inputs[0]),
            _ => None,
        },
        Op::Binary(op) if op.kind == BinaryKind::Add => joined(g, inputs, &types[0]),
        _ => None,
    }
}

/// Most parts that [`joined`] looks for.
const MOST_PARTS: usize = 64;

/// The sum of parts that zeros around them keep apart, as the gradient of a tensor is that was cut into slices, is the parts one
/// after the other.
fn joined(g: &View, inputs: &[Value], ty: &TensorType) -> Option<Simplified> {
    let mut parts: Vec<(i64, i64, Value)> = Vec::new();
    let mut along = None;
    let mut left = inputs.to_vec();
    while let Some(v) = left.pop() {
        match g.op(v) {
            Op::Binary(op) if op.kind == BinaryKind::Add => left.extend(&g.graph.node(v).inputs),
            Op::Pad(pad) if pad.interior.iter().all(|&n| n == 0) && g.number(g.operand(v, 1)) == Some(0.0) => {
                let mut padded = (0..pad.low.len()).filter(|&a| pad.low[a] != 0 || pad.high[a] != 0);
                let (axis, None) = (padded.next()?, padded.next()) else { return None };
                let part = g.operand(v, 0);
                if *along.get_or_insert(axis) != axis {
                    return None;
                }
                parts.push((pad.low[axis], g.ty(part).shape[axis].known()? as i64, part));
            }
            _ => return None,
        }
        if left.len() + parts.len() > MOST_PARTS {
            return None;
        }
    }
    parts.sort_by_key(|part| (part.0, part.1));
    let axis = along?;
    let end = parts.iter().try_fold(0, |end, &(low, len, _)| (low == end).then_some(end + len))?;
    let whole = ty.shape[axis].known() == usize::try_from(end).ok();
    let parts: Vec<Value> = parts.into_iter().map(|part| part.2).collect();
    if whole { Simplified::node(Concatenate { axis }, &parts) } else { None }
}

/// What lies around an image is the windows' own padding if it is nowhere the largest of a window, as zeros around what a `relu`
/// gives.
fn pad_in_window(g: &View, op: &ReduceWindow, pad: &Pad, padded: Value) -> Option<Simplified> {
    let image = g.operand(padded, 0);
    let least = g.number(g.operand(padded, 1))?;
    let plain = pad.interior.iter().all(|&n| n == 0)
        && [&op.base_dilation, &op.window_dilation].iter().all(|dilation| dilation.iter().all(|&n| n == 1));
    let padding = op.padding.iter().zip(pad.low.iter().zip(&pad.high));
    let padding: Vec<(i64, i64)> = padding.map(|(&(low, high), (l, h))| (low + l, high + h)).collect();
    // Each window has some of the image.
    let meets = padding.iter().zip(&op.window).zip(g.ty(image).shape.iter()).all(|((&(low, high), &window), dim)| {
        (0..window as i64).contains(&low) && (0..window as i64).contains(&high) && dim.known().is_some_and(|n| n > 0)
    });
    let grows =
        pad.low.iter().chain(&pad.high).all(|&n| n >= 0) && op.padding.iter().all(|&(low, high)| low >= 0 && high >= 0);
    if !(op.kind == ReduceKind::Max && plain && grows && meets && is_at_least(g, image, least)) {
        return None;
    }
    Simplified::node(ReduceWindow { padding, ..op.clone() }, &[image])
}

/// Whether no element is less than `least`: of what is limited below, and perhaps above.
fn is_at_least(g: &View, mut x: Value, least: f64) -> bool {
    while let Op::Binary(op) = g.op(x) {
        let sides = [g.operand(x, 0), g.operand(x, 1)];
        let bound = sides.iter().position(|&v| g.number(v).is_some_and(|n| n >= least));
        match (op.kind, bound) {
            (BinaryKind::Maximum, Some(_)) => return true,
            (BinaryKind::Minimum, Some(bound)) => x = sides[1 - bound],
            _ => return false,
        }
    }
    false
}

/// Zeros around an image are the convolution's own padding: then nothing is copied.
fn pad_in_convolution(g: &View, op: &Convolution, pad: &Pad, inputs: &[Value]) -> Option<Simplified> {
    let dims = &op.dims;
    let grows = pad.low.iter().chain(&pad.high).all(|&n| n >= 0) && pad.interior.iter().all(|&n| n == 0);
    let in_space = [dims.lhs_batch, dims.lhs_feature].iter().all(|&a| pad.low[a] == 0 && pad.high[a] == 0);
    let zeros = g.number(g.operand(inputs[0], 1)) == Some(0.0);
    // Holes between elements, or padding that removes some, would move the zeros.
    let plain = op.lhs_dilation.iter().all(|&l| l == 1) && op.padding.iter().all(|&(low, high)| low >= 0 && high >= 0);
    if !(grows && in_space && zeros && plain) {
        return None;
    }
    let padding = op.padding.iter().zip(&dims.lhs_spatial);
    let padding = padding.map(|(&(low, high), &axis)| (low + pad.low[axis], high + pad.high[axis])).collect();
    Simplified::node(Convolution { padding, ..op.clone() }, &[g.operand(inputs[0], 0), inputs[1]])
}

/// Whether an operation whose operand and result are of one type changes nothing.
fn keeps_all(op: &Op, shape: &[Dim]) -> bool {
    match op {
        // Equal shapes place the axes in order; of equal type, nothing is repeated.
        Op::BroadcastInDim(_) | Op::Reshape(_) => true,
        // A step over an axis of size 1 takes all of it.
        Op::Slice(op) => {
            op.start.iter().all(|&s| s == 0) && op.stride.iter().zip(shape).all(|(&s, d)| s == 1 || d.is(1))
        }
        Op::Transpose(op) => op.permutation.iter().enumerate().all(|(i, &p)| i == p),
        Op::Reverse(op) => op.axes.iter().all(|&a| shape[a].is(1)),
        Op::DynamicSlice(_) => shape.iter().all(|d| d.known().is_some()),
        _ => false,
    }
}

fn simplify_broadcast(g: &View, op: &BroadcastInDim, x: Value) -> Option<Simplified> {
    let inner = match g.op(x) {
        Op::BroadcastInDim(inner) => inner.axes.clone(),
        // A reshape that inserts axes of size 1 places the others.
        Op::Reshape(inner) => placement(&g.ty(g.operand(x, 0)).shape, &inner.shape)?,
        _ => return None,
    };
    let axes = inner.iter().map(|&axis| op.axes[axis]).collect();
    Simplified::node(BroadcastInDim { shape: op.shape.clone(), axes }, &[g.operand(x, 0)])
}

/// Where the axes of `from` are in `to`, if that has but further axes of size 1.
fn placement(from: &Shape, to: &Shape) -> Option<Vec<usize>> {
    let mut axes = Vec::with_capacity(from.rank());
    for (axis, d) in to.iter().enumerate() {
        if from.get(axes.len()) == Some(d) {
            axes.push(axis);
        } else if !d.is(1) {
            return None;
        }
    }
    (axes.len() == from.rank()).then_some(axes)
}

fn simplify_transpose(g: &View, op: &Transpose, x: Value) -> Option<Simplified> {
    if let Op::Transpose(inner) = g.op(x) {
        let permutation = op.permutation.iter().map(|&p| inner.permutation[p]).collect();
        return Simplified::node(Transpose { permutation }, &[g.operand(x, 0)]);
    }
    // Only axes of size 1 move: a reshape.
    let shape = g.ty(x).shape.clone();
    let long: Vec<usize> = op.permutation.iter().copied().filter(|&p| !shape[p].is(1)).collect();
    if long.is_sorted() && !op.permutation.is_sorted() {
        let shape: Shape = op.permutation.iter().map(|&p| shape[p].clone()).collect();
        return Simplified::node(Reshape { shape }, &[x]);
    }
    // The product of the operands in the other order; not if the product is read elsewhere, as it would be done twice.
    if let Op::DotGeneral(dot) = g.op(x)
        && g.is_read_once(x)
    {
        let (lhs, rhs) = (g.operand(x, 0), g.operand(x, 1));
        let batch = dot.lhs_batch.len();
        let lhs_free = g.ty(lhs).rank() - batch - dot.lhs_contract.len();
        let rank = op.permutation.len();
        let swapped = (0..batch).chain(batch + lhs_free..rank).chain(batch..batch + lhs_free);
        if op.permutation.iter().copied().eq(swapped) {
            let dot = DotGeneral {
                lhs_batch: dot.rhs_batch.clone(),
                rhs_batch: dot.lhs_batch.clone(),
                lhs_contract: dot.rhs_contract.clone(),
                rhs_contract: dot.lhs_contract.clone(),
            };
            return Simplified::node(dot, &[rhs, lhs]);
        }
    }
    None
}

fn simplify_dynamic_slice(g: &View, op: &DynamicSlice, inputs: &[Value]) -> Option<Simplified> {
    let shape = g.ty(inputs[0]).shape.known()?;
    let sizes = op.sizes.known()?;
    let starts: Vec<f64> = inputs[1..].iter().map(|&v| Some(g.scalar(v)?.data().get_f64(0))).collect::<Option<_>>()?;
    let start: Vec<usize> = (0..shape.len()).map(|a| (starts[a].max(0.0) as usize).min(shape[a] - sizes[a])).collect();
    let limit = start.iter().zip(&sizes).map(|(s, n)| Dim::Known(s + n)).collect();
    Simplified::node(Slice { stride: vec![1; start.len()], start, limit }, &inputs[..1])
}

/// Takes transposed operands as they are, if their free axes stay in order.
fn simplify_dot(g: &View, op: &DotGeneral, inputs: &[Value]) -> Option<Simplified> {
    let untransposed = |v: Value, batch: &[usize], contract: &[usize]| {
        let Op::Transpose(transpose) = g.op(v) else { return None };
        let p = &transpose.permutation;
        let free = (0..p.len()).filter(|a| !batch.contains(a) && !contract.contains(a)).map(|a| p[a]);
        let at = |axes: &[usize]| axes.iter().map(|&a| p[a]).collect::<Vec<_>>();
        free.is_sorted().then(|| (g.operand(v, 0), at(batch), at(contract)))
    };
    let (lhs, rhs) = (inputs[0], inputs[1]);
    if let Some((lhs, lhs_batch, lhs_contract)) = untransposed(lhs, &op.lhs_batch, &op.lhs_contract) {
        return Simplified::node(DotGeneral { lhs_batch, lhs_contract, ..op.clone() }, &[lhs, rhs]);
    }
    let (rhs, rhs_batch, rhs_contract) = untransposed(rhs, &op.rhs_batch, &op.rhs_contract)?;
    Simplified::node(DotGeneral { rhs_batch, rhs_contract, ..op.clone() }, &[lhs, rhs])
}
