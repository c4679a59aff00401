//! Changing shapes and making new tensors: `reshape`, `zeros_like`, …

use rhyton_ir::op::{BroadcastInDim, Reshape as Primitive};
use rhyton_ir::{Array, Dim, Shape};
use serde::{Deserialize, Serialize};

use super::MODULE;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::nest::{Args, Nest};
use crate::ops::{Operation, apply};
use crate::tensor::Tensor;

/// The same elements in another shape; one size may be −1, which is computed.
#[track_caller]
pub fn reshape(x: &Tensor, shape: &[i64]) -> Tensor {
    apply(Reshape { newshape: shape.iter().map(|&d| (d != -1).then_some(d)).collect() }, Args::new(x))
}

/// The same elements in a shape whose sizes may be symbols.
#[track_caller]
pub fn reshape_to(x: &Tensor, shape: impl Into<Shape>) -> Tensor {
    Tensor::apply(Primitive { shape: shape.into() }, &[x])
}

/// The class of [`reshape`] in configurations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    newshape: Vec<Option<i64>>,
}
keras_object!(Reshape);

impl Operation for Reshape {
    fn module(&self) -> &'static str {
        MODULE
    }

    fn compute(&self, args: &Args) -> Result<Nest> {
        let x = args.tensor()?;
        Ok(reshape_to(x, resolve(x.shape(), &self.newshape)?).check()?.into())
    }
}

/// A target shape with the open size (`None` or −1) computed from what `from` has.
///
/// # Errors
/// If more than one size is open, or the element counts cannot be equal.
pub(crate) fn resolve(from: &Shape, target: &[Option<i64>]) -> Result<Shape> {
    let wrong = |what: &str| {
        Error::shape(
            "reshape",
            format!("{from} cannot become {target:?}: {what}"),
            "keep the number of elements; at most one size may be -1",
        )
    };
    let mut known = 1usize;
    let mut open = None;
    for (i, d) in target.iter().enumerate() {
        match d {
            None | Some(-1) if open.is_none() => open = Some(i),
            None | Some(-1) => return Err(wrong("more than one size is open")),
            Some(d) => {
                let d = usize::try_from(*d).map_err(|_| wrong("a size is negative"))?;
                known = known.checked_mul(d).ok_or_else(|| wrong("it is too large"))?;
            }
        }
    }
    let total = from.elements();
    let missing = match (open, total.known()) {
        (Some(_), Some(n)) if known == 0 || n % known != 0 => {
            return Err(wrong("the counts of elements do not divide"));
        }
        (None, Some(n)) if n != known => return Err(wrong("the counts of elements differ")),
        _ => total / Dim::Known(known),
    };
    Ok(target
        .iter()
        .enumerate()
        .map(
            |(i, d)| {
                if Some(i) == open { missing.clone() } else { Dim::Known(d.map_or(0, |d| d.unsigned_abs() as usize)) }
            },
        )
        .collect())
}

/// Zeros of the dtype and shape of `x`.
#[track_caller]
pub fn zeros_like(x: &Tensor) -> Tensor {
    full_like(x, 0.0)
}

/// Ones of the dtype and shape of `x`.
#[track_caller]
pub fn ones_like(x: &Tensor) -> Tensor {
    full_like(x, 1.0)
}

/// `value` in every element of the dtype and shape of `x`.
#[track_caller]
pub fn full_like(x: &Tensor, value: f64) -> Tensor {
    let scalar = Tensor::from(Array::scalar_of(x.dtype(), value));
    Tensor::apply(BroadcastInDim { shape: x.shape().clone(), axes: vec![] }, &[&scalar])
}
