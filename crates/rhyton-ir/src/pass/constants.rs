//! Folding of constants.

use std::collections::BTreeMap;

use super::{Rewrite, inside, rewrite};
use crate::array::{Array, Element};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::op::{BroadcastInDim, Constant, Op};
use crate::shape::TensorType;

/// Evaluates nodes of constant operands, up to 1024 elements a value: more would cost memory, and time in the
/// interpreter that evaluates them. Elementwise functions of repeated scalars are folded at any size. A result whose
/// elements are all the same becomes a repeated scalar.
///
/// # Errors
/// If the graph is not valid.
pub fn fold_constants(graph: &Graph) -> Result<Graph> {
    let mut known: BTreeMap<Value, Known> = BTreeMap::new();
    rewrite(graph, |out, op, inputs| {
        if !op.subgraphs().is_empty() {
            return inside(op, fold_constants);
        }
        let operands: Option<Vec<&Known>> = inputs.iter().map(|v| known.get(v)).collect();
        let types = op.infer(&inputs.iter().map(|&v| out.ty(v)).collect::<Vec<_>>())?;
        let Some(values) = operands.and_then(|operands| evaluate(op, &operands, &types)) else {
            return Ok(Rewrite::Keep);
        };
        // Leaves and repetitions are as short as they can be.
        let replaced = if matches!(op, Op::Constant(_) | Op::Iota(_) | Op::BroadcastInDim(_)) {
            let first = out.push(op.clone(), inputs)?;
            out.outputs_of(first)
        } else {
            values.iter().zip(&types).map(|(value, ty)| value.emit(out, ty)).collect::<Result<Vec<_>>>()?
        };
        known.extend(replaced.iter().copied().zip(values));
        Ok(Rewrite::Values(replaced))
    })
}

const MOST_ELEMENTS: usize = 1024;

/// A value that is known when the graph is built.
#[derive(Clone)]
enum Known {
    /// All of it, not more than [`MOST_ELEMENTS`].
    Array(Array),
    /// This scalar in every element of the type.
    Splat(Array, TensorType),
}

impl Known {
    fn of(array: Array) -> Known {
        let ty = crate::interpret::type_of(&array);
        match uniform(&array) {
            Some(scalar) => Known::Splat(scalar, ty),
            None => Known::Array(array),
        }
    }

    fn scalar(&self) -> Option<&Array> {
        if let Known::Splat(scalar, _) = self { Some(scalar) } else { None }
    }

    /// All of it, if it is small.
    fn array(&self) -> Option<Array> {
        match self {
            Known::Array(array) => Some(array.clone()),
            Known::Splat(scalar, ty) => {
                let shape = ty.shape.known().filter(|_| is_small(ty))?;
                crate::with_data!(scalar.data(), v => Some(Array::new(shape.clone(), vec![v[0]; shape.iter().product()])))
            }
        }
    }

    fn emit(&self, out: &mut Graph, ty: &TensorType) -> Result<Value> {
        match self {
            Known::Array(value) => out.push(Constant { value: value.clone() }, &[]),
            Known::Splat(value, _) => {
                let scalar = out.push(Constant { value: value.clone() }, &[])?;
                if ty.rank() == 0 {
                    return Ok(scalar);
                }
                out.push(BroadcastInDim { shape: ty.shape.clone(), axes: Vec::new() }, &[scalar])
            }
        }
    }
}

fn is_small(ty: &TensorType) -> bool {
    ty.shape.elements().known().is_some_and(|n| n <= MOST_ELEMENTS)
}

/// The scalar that fills the array, to the bit.
fn uniform(array: &Array) -> Option<Array> {
    fn first<T: Element>(values: &[T]) -> Option<Array> {
        let bits = |v: &T| bytemuck::bytes_of(v).to_vec();
        let (head, rest) = values.split_first()?;
        let head_bits = bits(head);
        rest.iter().all(|v| bits(v) == head_bits).then(|| Array::scalar(*head))
    }
    crate::with_data!(array.data(), v => first(v))
}

/// The outputs of an operation on known operands, if they can be had cheaply.
fn evaluate(op: &Op, operands: &[&Known], types: &[TensorType]) -> Option<Vec<Known>> {
    let scalars: Option<Vec<&Array>> = operands.iter().map(|k| k.scalar()).collect();
    match (op, scalars.as_deref()) {
        (Op::Parameter(_) | Op::CustomCall(_), _) => return None,
        (Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) | Op::Convert(_), Some(scalars)) => {
            let values = op.eval(scalars).ok()?;
            return Some(values.into_iter().zip(types).map(|(v, ty)| Known::Splat(v, ty.clone())).collect());
        }
        (
            Op::BroadcastInDim(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Reverse(_),
            Some(&[scalar]),
        ) => return Some(vec![Known::Splat(scalar.clone(), types[0].clone())]),
        _ => {}
    }
    if !types.iter().all(is_small) {
        return None;
    }
    let operands: Vec<Array> = operands.iter().map(|k| k.array()).collect::<Option<_>>()?;
    Some(op.eval(&operands.iter().collect::<Vec<_>>()).ok()?.into_iter().map(Known::of).collect())
}
