//! What operations take: tensors and plain numbers, and axes.

use rhyton_ir::DType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::nest::Nest;
use crate::tensor::Tensor;

/// A tensor, or a number that takes on the dtype of the tensors it meets.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A tensor.
    Tensor(Tensor),
    /// A floating-point number.
    Float(f64),
    /// An integer.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

impl Operand {
    /// As a tensor of `dtype`.
    #[track_caller]
    pub fn to_tensor(&self, dtype: DType) -> Tensor {
        let scalar = |v: f64| Tensor::from(rhyton_ir::Array::scalar_of(dtype, v));
        match self {
            Operand::Tensor(t) => t.cast(dtype).without_mask(),
            Operand::Float(v) => scalar(*v),
            // Through i128 so that large integers stay exact.
            Operand::Int(v) => Tensor::from(rhyton_ir::Array::scalar(*v).cast(dtype)),
            Operand::Bool(v) => scalar(f64::from(u8::from(*v))),
        }
    }

    /// As an argument of a recorded call.
    pub fn to_nest(&self) -> Nest {
        match self {
            Operand::Tensor(t) => Nest::Tensor(t.clone()),
            // JSON has no word for these.
            Operand::Float(v) if !v.is_finite() => Nest::Plain(Value::from(v.to_string())),
            Operand::Float(v) => Nest::Plain(Value::from(*v)),
            Operand::Int(v) => Nest::Plain(Value::from(*v)),
            Operand::Bool(v) => Nest::Plain(Value::from(*v)),
        }
    }

    /// From an argument of a recorded call.
    ///
    /// # Errors
    /// If it is neither a tensor nor a number.
    pub fn from_nest(nest: &Nest) -> Result<Operand> {
        Ok(match nest {
            Nest::Tensor(t) => Operand::Tensor(t.clone()),
            Nest::Plain(Value::Bool(v)) => Operand::Bool(*v),
            Nest::Plain(Value::Number(n)) => match n.as_i64() {
                Some(v) => Operand::Int(v),
                None => Operand::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Nest::Plain(Value::String(word)) if word.parse::<f64>().is_ok_and(|v| !v.is_finite()) => {
                Operand::Float(word.parse().unwrap_or(f64::NAN))
            }
            other => match plain(other) {
                Some(list @ Value::Array(_)) => Operand::Tensor(array_of(&list)?),
                _ => {
                    return Err(Error::argument(
                        "operation",
                        format!("{other:?} is no operand"),
                        "pass a tensor, a number or a list of numbers",
                    ));
                }
            },
        })
    }
}

/// A (nested) list without tensors.
fn plain(nest: &Nest) -> Option<Value> {
    match nest {
        Nest::Plain(value) => Some(value.clone()),
        Nest::List(items) => items.iter().map(plain).collect::<Option<Vec<_>>>().map(Value::Array),
        _ => None,
    }
}

/// A (nested) list of numbers as a tensor: `float32` if one is not whole, else `int32`.
fn array_of(value: &Value) -> Result<Tensor> {
    fn flatten(value: &Value, depth: usize, shape: &mut Vec<usize>, out: &mut Vec<f64>) -> Option<()> {
        match value {
            Value::Array(items) => {
                match shape.get(depth) {
                    None => shape.push(items.len()),
                    Some(&n) if n == items.len() => {}
                    Some(_) => return None,
                }
                items.iter().try_for_each(|i| flatten(i, depth + 1, shape, out))
            }
            number => {
                out.push(number.as_f64()?);
                (depth == shape.len()).then_some(())
            }
        }
    }
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    flatten(value, 0, &mut shape, &mut values).ok_or_else(|| {
        Error::content(
            "operation",
            "an argument is a ragged or non-numeric list",
            "write a rectangular list of numbers",
        )
    })?;
    let whole = !value.to_string().contains(['.', 'e', 'E']);
    let array = rhyton_ir::Array::new(shape, values);
    Ok(Tensor::from(array.cast(if whole { DType::I32 } else { crate::config::floatx() })))
}

impl From<Tensor> for Operand {
    fn from(t: Tensor) -> Operand {
        Operand::Tensor(t)
    }
}

impl From<&Tensor> for Operand {
    fn from(t: &Tensor) -> Operand {
        Operand::Tensor(t.clone())
    }
}

macro_rules! from_number {
    ($($t:ty => $variant:ident),*) => {$(
        impl From<$t> for Operand {
            fn from(value: $t) -> Operand {
                Operand::$variant(value.into())
            }
        }
    )*};
}
from_number!(f32 => Float, f64 => Float, i32 => Int, i64 => Int, bool => Bool);

/// A number as a configuration holds it: whole numbers stay whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
}

impl Number {
    /// The value.
    pub fn value(self) -> f64 {
        match self {
            Number::Int(v) => v as f64,
            Number::Float(v) => v,
        }
    }
}

impl From<Number> for Operand {
    fn from(number: Number) -> Operand {
        match number {
            Number::Int(v) => Operand::Int(v),
            Number::Float(v) => Operand::Float(v),
        }
    }
}

macro_rules! number_from {
    ($($t:ty => $variant:ident),*) => {$(
        impl From<$t> for Number {
            fn from(value: $t) -> Number {
                Number::$variant(value.into())
            }
        }
    )*};
}
number_from!(f32 => Float, f64 => Float, i32 => Int, i64 => Int);

/// One whole number for all axes, or one for each: strides, repetitions, the sizes of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sizes {
    /// The same for all.
    One(usize),
    /// One for each.
    Many(Vec<usize>),
}

impl Sizes {
    /// One for each of `count` axes.
    ///
    /// # Errors
    /// If there is another number of them; the message names `what` they are.
    pub fn resolve(&self, count: usize, what: &str) -> Result<Vec<usize>> {
        match self {
            Sizes::One(size) => Ok(vec![*size; count]),
            Sizes::Many(sizes) if sizes.len() == count => Ok(sizes.clone()),
            Sizes::Many(sizes) => Err(Error::argument(
                what,
                format!("{sizes:?} has {} entries for {count} axes", sizes.len()),
                "give one number, or one for each axis",
            )),
        }
    }
}

impl From<usize> for Sizes {
    fn from(size: usize) -> Sizes {
        Sizes::One(size)
    }
}

impl<const N: usize> From<[usize; N]> for Sizes {
    fn from(sizes: [usize; N]) -> Sizes {
        Sizes::Many(sizes.to_vec())
    }
}

impl From<&[usize]> for Sizes {
    fn from(sizes: &[usize]) -> Sizes {
        Sizes::Many(sizes.to_vec())
    }
}

impl From<Vec<usize>> for Sizes {
    fn from(sizes: Vec<usize>) -> Sizes {
        Sizes::Many(sizes)
    }
}

/// Over which axes an operation goes: all (`Axes::All`, `None`), one (`-1`) or several (`[0, 1]`); negative from the end.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Axes {
    /// All of them; `null` in configurations.
    #[default]
    All,
    /// One.
    One(i64),
    /// Several.
    Many(Vec<i64>),
}

impl Axes {
    /// As ascending axes of a tensor of `rank`.
    ///
    /// # Errors
    /// If an axis is out of range or named twice.
    pub fn resolve(&self, rank: usize) -> Result<Vec<usize>> {
        let named = match self {
            Axes::All => return Ok((0..rank).collect()),
            Axes::One(axis) => vec![*axis],
            Axes::Many(axes) => axes.clone(),
        };
        let mut axes = named.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<usize>>>()?;
        axes.sort_unstable();
        if axes.windows(2).any(|w| w[0] == w[1]) {
            return Err(Error::argument("axes", format!("{named:?} names an axis twice"), "name each axis once"));
        }
        Ok(axes)
    }
}

/// `axis`, counted from the end if negative, of a tensor of `rank`.
///
/// # Errors
/// If there is no such axis.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|&a| a < rank).ok_or_else(|| {
        Error::argument(
            "axis",
            format!("axis {axis} of a tensor of rank {rank}"),
            format!("use -{rank} to {}", rank.max(1) - 1),
        )
    })
}

impl From<i64> for Axes {
    fn from(axis: i64) -> Axes {
        Axes::One(axis)
    }
}

impl From<i32> for Axes {
    fn from(axis: i32) -> Axes {
        Axes::One(axis.into())
    }
}

impl<const N: usize> From<[i64; N]> for Axes {
    fn from(axes: [i64; N]) -> Axes {
        Axes::Many(axes.to_vec())
    }
}

impl From<&[i64]> for Axes {
    fn from(axes: &[i64]) -> Axes {
        Axes::Many(axes.to_vec())
    }
}

impl From<Vec<i64>> for Axes {
    fn from(axes: Vec<i64>) -> Axes {
        Axes::Many(axes)
    }
}

impl<A: Into<Axes>> From<Option<A>> for Axes {
    fn from(axes: Option<A>) -> Axes {
        axes.map_or(Axes::All, Into::into)
    }
}
