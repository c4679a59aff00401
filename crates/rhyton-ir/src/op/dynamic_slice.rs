//! `dynamic_slice`: a box whose place is computed.

use serde::{Deserialize, Serialize};

use super::{Applied, DynamicUpdateSlice, Op, Primitive, Sample};
use crate::array::{Array, Element};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::graph::Value;
use crate::shape::{Bindings, Shape, TensorType};

/// Operands: `x`, then one scalar integer start index an axis (all of one dtype), clamped so that the box lies inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynamicSlice {
    /// The sizes of the box.
    pub sizes: Shape,
}

impl DynamicSlice {
    /// Samples for tests.
    pub fn samples() -> Vec<Sample> {
        let x = Array::new([3, 4], (0..12).map(|i| f64::from(i) - 4.5).collect::<Vec<_>>());
        let sample = |sizes: [usize; 2], x: &Array, start: [i32; 2]| {
            let [i, j] = start.map(Array::scalar);
            Sample::new(DynamicSlice { sizes: sizes.into() }, [x.clone(), i, j])
        };
        vec![
            sample([2, 3], &x, [1, 0]),
            sample([2, 2], &x, [-5, 1]),
            sample([1, 3], &x, [9, 9]),
            sample([3, 4], &x, [1, 1]),
            sample([0, 2], &x, [1, 1]),
            sample([0, 1], &Array::new([0, 3], Vec::<f32>::new()), [0, 1]),
            Sample::new(
                DynamicSlice { sizes: [2].into() },
                [Array::new([3], vec![1i8, 2, 3]), Array::scalar(u64::MAX)],
            ),
            Sample::new(DynamicSlice { sizes: Shape::scalar() }, [Array::scalar(1.5f64)]),
        ]
    }
}

impl Primitive for DynamicSlice {
    fn name(&self) -> &'static str {
        "dynamic_slice"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
        let [x, starts @ ..] = inputs else { return Err(without_operand(self)) };
        check_starts(self, x, starts)?;
        check_box(self, x, &self.sizes)?;
        Ok(vec![x.with_shape(self.sizes.clone())])
    }

    fn eval(&self, inputs: &[&Array]) -> Result<Vec<Array>> {
        let [x, starts @ ..] = inputs else { return Err(without_operand(self)) };
        let shape = super::binary::result_shape(self, inputs)?;
        let start = clamped(starts, x.shape(), &shape);
        Ok(vec![super::slice::pick(x, &shape, |index| start.iter().zip(index).map(|(s, i)| s + i).collect())])
    }

    fn vjp(&self, b: &mut Builder, node: &Applied, cotangents: &[Option<Value>]) -> Result<Vec<Option<Value>>> {
        let mut out = vec![None; node.inputs.len()];
        if let Some(dy) = cotangents[0] {
            let mut operands = vec![b.zeros_like(node.inputs[0]), dy];
            operands.extend(&node.inputs[1..]);
            out[0] = Some(b.push(DynamicUpdateSlice, &operands));
        }
        Ok(out)
    }

    fn bind(&self, bindings: &Bindings) -> Result<Op> {
        Ok(DynamicSlice { sizes: self.sizes.bind(bindings) }.into())
    }
}

/// The error for no operands at all.
pub(super) fn without_operand(op: &dyn Primitive) -> Error {
    Error::argument(op.name(), "an operand is missing", "pass the array, then a start index an axis")
}

/// Checks that there is one scalar integer start an axis of `x`, all of one dtype.
pub(super) fn check_starts(op: &dyn Primitive, x: &TensorType, starts: &[&TensorType]) -> Result<()> {
    if starts.len() != x.rank() {
        return Err(Error::argument(
            op.name(),
            format!("{} start indices for {x}", starts.len()),
            format!("give {}, one an axis", x.rank()),
        ));
    }
    match starts.iter().find(|s| !s.dtype.is_int() || s.rank() != 0 || s.dtype != starts[0].dtype) {
        Some(start) => Err(Error::dtype(
            op.name(),
            format!("a start index is {start}, the first one {}", starts[0]),
            "pass integer scalars of one dtype",
        )),
        None => Ok(()),
    }
}

/// Checks that a box of `sizes` can lie inside `x`.
pub(super) fn check_box(op: &dyn Primitive, x: &TensorType, sizes: &Shape) -> Result<()> {
    let fits = |(size, room): (&crate::Dim, &crate::Dim)| match (size.known(), room.known()) {
        (Some(size), Some(room)) => size <= room,
        _ => true,
    };
    if sizes.rank() == x.rank() && sizes.iter().zip(x.shape.iter()).all(fits) {
        return Ok(());
    }
    Err(Error::shape(
        op.name(),
        format!("a box of {sizes} does not lie inside {x}"),
        "give one size an axis, at most that of the operand",
    ))
}

/// The start indices as numbers, moved so that a box of `sizes` lies inside `shape`.
pub(super) fn clamped(starts: &[&Array], shape: &[usize], sizes: &[usize]) -> Vec<usize> {
    let first = |start: &Array| crate::with_data!(start.data(), v => v[0].to_i128());
    let last = shape.iter().zip(sizes).map(|(&d, &size)| (d - size) as i128);
    starts.iter().zip(last).map(|(start, last)| first(start).clamp(0, last) as usize).collect()
}
