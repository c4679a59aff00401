//! Rules for elementwise operations.

use super::{Simplified, View};
use crate::dtype::DType;
use crate::graph::Value;
use crate::op::{Binary, BinaryKind, Convert, Op, Select, Unary, UnaryKind};
use crate::shape::TensorType;

pub(super) fn simplify(g: &View, op: &Op, inputs: &[Value], types: &[TensorType]) -> Option<Simplified> {
    match op {
        Op::Unary(unary) => simplify_unary(g, unary.kind, inputs[0]),
        Op::Binary(binary) => simplify_binary(g, binary.kind, inputs[0], inputs[1], types[0].dtype),
        Op::Select(_) => simplify_select(g, inputs),
        Op::Convert(convert) => simplify_convert(g, convert.dtype, inputs[0]),
        _ => None,
    }
}

/// The operand of `v` if it is `kind` of it.
fn argument(g: &View, v: Value, kind: UnaryKind) -> Option<Value> {
    matches!(g.op(v), Op::Unary(unary) if unary.kind == kind).then(|| g.operand(v, 0))
}

fn simplify_unary(g: &View, kind: UnaryKind, x: Value) -> Option<Simplified> {
    match kind {
        UnaryKind::Neg | UnaryKind::Not => Simplified::value(argument(g, x, kind)?),
        UnaryKind::Abs => match argument(g, x, UnaryKind::Neg) {
            Some(x) if g.ty(x).dtype.is_float() => Simplified::node(Unary { kind }, &[x]),
            _ => argument(g, x, kind).and(Simplified::value(x)),
        },
        _ => None,
    }
}

fn simplify_binary(g: &View, kind: BinaryKind, x: Value, y: Value, dtype: DType) -> Option<Simplified> {
    use BinaryKind::*;
    let (left, right) = (g.number(x), g.number(y));
    let negated = |v: Value| argument(g, v, UnaryKind::Neg);
    let node = |kind: BinaryKind, x: Value, y: Value| Simplified::node(Binary { kind }, &[x, y]);
    let negate = |x: Value| Simplified::node(Unary { kind: UnaryKind::Neg }, &[x]);
    let signed = dtype.is_float() || dtype.is_signed_int();
    match kind {
        // Addition and multiplication of `bool` are not arithmetic.
        Add | Sub | Mul | Div | Pow if dtype == DType::Bool => None,
        Add if right == Some(0.0) => Simplified::value(x),
        Add if left == Some(0.0) => Simplified::value(y),
        Add => match (negated(x), negated(y)) {
            (_, Some(y)) => node(Sub, x, y),
            (Some(x), _) => node(Sub, y, x),
            _ => None,
        },
        Sub if right == Some(0.0) => Simplified::value(x),
        Sub if left == Some(0.0) && signed => negate(y),
        Sub => node(Add, x, negated(y)?),
        Mul if right == Some(1.0) => Simplified::value(x),
        Mul if left == Some(1.0) => Simplified::value(y),
        Mul if right == Some(-1.0) && signed => negate(x),
        Mul if left == Some(-1.0) && signed => negate(y),
        Mul if right == Some(0.0) && dtype.is_int() => Simplified::value(y),
        Mul if left == Some(0.0) && dtype.is_int() => Simplified::value(x),
        Mul => node(Mul, negated(x)?, negated(y)?),
        Div if right == Some(1.0) => Simplified::value(x),
        Div if right == Some(-1.0) && dtype.is_float() => negate(x),
        Div if dtype.is_float() => node(Div, negated(x)?, negated(y)?),
        Pow if right == Some(1.0) => Simplified::value(x),
        Pow if right == Some(2.0) => node(Mul, x, x),
        Pow if right == Some(0.5) && dtype.is_float() => Simplified::node(Unary { kind: UnaryKind::Sqrt }, &[x]),
        Maximum | Minimum if x == y => Simplified::value(x),
        And | Or if x == y => Simplified::value(x),
        And | Or if dtype == DType::Bool => {
            let (value, other) = left.map(|n| (n, y)).or_else(|| right.map(|n| (n, x)))?;
            let is_neutral = (value != 0.0) == (kind == And);
            Simplified::value(if is_neutral {
                other
            } else if other == y {
                x
            } else {
                y
            })
        }
        Div | Rem | Pow | Maximum | Minimum | Atan2 | And | Or | Xor | NextAfter => None,
        ShiftLeft | ShiftRightArithmetic | ShiftRightLogical if right == Some(0.0) => Simplified::value(x),
        ShiftLeft | ShiftRightArithmetic | ShiftRightLogical => None,
    }
}

fn simplify_select(g: &View, inputs: &[Value]) -> Option<Simplified> {
    let &[p, x, y] = inputs else { return None };
    if x == y {
        return Simplified::value(x);
    }
    if let Some(p) = g.number(p) {
        return Simplified::value(if p != 0.0 { x } else { y });
    }
    Simplified::node(Select, &[argument(g, p, UnaryKind::Not)?, y, x])
}

fn simplify_convert(g: &View, dtype: DType, x: Value) -> Option<Simplified> {
    let middle = g.ty(x).dtype;
    if middle == dtype {
        return Simplified::value(x);
    }
    if !matches!(g.op(x), Op::Convert(_)) {
        return None;
    }
    let x = g.operand(x, 0);
    holds(middle, g.ty(x).dtype).then(|| Simplified::Node(Convert { dtype }.into(), vec![x]))
}

/// Whether `wide` holds every value of `narrow` and converts further as `narrow` does: within floats, within integers.
fn holds(wide: DType, narrow: DType) -> bool {
    let floats = |n: DType, w: DType| n.is_float() && w.is_float() && (n.size() < w.size() || n == w);
    let integers = |n: DType, w: DType| {
        let grows = n.size() < w.size() && (n.is_unsigned_int() || w.is_signed_int());
        n.is_int() && w.is_int() && (grows || n == w)
    };
    narrow == DType::Bool || floats(narrow, wide) || integers(narrow, wide)
}
