//! Elementwise operations of two operands that broadcast: `add`, `subtract`, `multiply`, …

use rhyton_ir::op::{Binary, BinaryKind, BroadcastInDim};
use rhyton_ir::{DType, Dim, Shape};
use serde::{Deserialize, Serialize};

use super::MODULE;
use crate::error::{Error, Result};
use crate::keras_object;
use crate::nest::{Args, Nest};
use crate::ops::{Operand, Operation, apply};
use crate::promotion::result_type;
use crate::tensor::Tensor;

/// The common shape of operands, by NumPy's rules: aligned at the last axis, sizes of 1 repeat.
///
/// # Errors
/// If two sizes differ and neither is 1; the message has all shapes.
pub fn broadcast_shapes(shapes: &[&Shape]) -> Result<Shape> {
    let rank = shapes.iter().map(|s| s.rank()).max().unwrap_or(0);
    let mut out = vec![Dim::Known(1); rank];
    for shape in shapes {
        for (d, o) in shape.iter().rev().zip(out.iter_mut().rev()) {
            if o.is(1) {
                *o = d.clone();
            } else if !d.is(1) && !d.compatible(o) {
                let listed: Vec<String> = shapes.iter().map(|s| s.to_string()).collect();
                return Err(Error::shape(
                    "broadcast",
                    format!("the shapes {} do not broadcast", listed.join(" and ")),
                    "make the sizes equal, or 1 where they shall repeat",
                ));
            } else if d.known().is_some() && !d.is(1) {
                *o = d.clone();
            }
        }
    }
    Ok(Shape::from(out))
}

/// `x` repeated to `shape` by NumPy's rules.
#[track_caller]
pub(crate) fn broadcast(x: &Tensor, shape: &Shape) -> Tensor {
    if x.shape() == shape || x.error().is_some() {
        return x.clone();
    }
    let offset = shape.rank().saturating_sub(x.rank());
    let axes = (offset..shape.rank()).collect();
    Tensor::apply(BroadcastInDim { shape: shape.clone(), axes }, &[x])
}

/// Both operands as tensors of one dtype and shape.
pub(crate) fn align(x: &Operand, y: &Operand, dtype: DType) -> Result<(Tensor, Tensor)> {
    let (x, y) = (x.to_tensor(dtype), y.to_tensor(dtype));
    let shape = broadcast_shapes(&[x.check()?.shape(), y.check()?.shape()])?;
    Ok((broadcast(&x, &shape), broadcast(&y, &shape)))
}

fn binary(kind: BinaryKind, args: &Args, dtype: impl Fn(DType) -> DType) -> Result<Nest> {
    let (x, y) = two(args)?;
    let (x, y) = align(&x, &y, dtype(result_type(&[&x, &y])))?;
    Ok(Tensor::apply(Binary { kind }, &[&x, &y]).check()?.into())
}

/// The two operands of a call.
pub(crate) fn two(args: &Args) -> Result<(Operand, Operand)> {
    let missing = || Error::argument("operation", "an operand is missing", "pass two operands");
    let x = args.get(0, "x1").ok_or_else(missing)?;
    let y = args.get(1, "x2").ok_or_else(missing)?;
    Ok((Operand::from_nest(x)?, Operand::from_nest(y)?))
}

/// The arguments of a call of two operands.
pub(crate) fn pair(x: impl Into<Operand>, y: impl Into<Operand>) -> Args {
    Args::new(x.into().to_nest()).and(y.into().to_nest())
}

fn same(dtype: DType) -> DType {
    dtype
}

/// Integers divide as `float32`.
fn at_least_float(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { DType::F32 }
}

macro_rules! arithmetic {
    ($($(#[$doc:meta])* $function:ident $class:ident $kind:ident $dtype:ident;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $function(x: impl Into<Operand>, y: impl Into<Operand>) -> Tensor {
            apply($class {}, pair(x, y))
        }

        #[doc = concat!("The class of [`", stringify!($function), "`] in configurations.")]
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $class {}
        keras_object!($class);

        impl Operation for $class {
            fn module(&self) -> &'static str {
                MODULE
            }
            fn compute(&self, args: &Args) -> Result<Nest> {
                binary(BinaryKind::$kind, args, $dtype)
            }
        }
    )*};
}

arithmetic! {
    /// `x + y`, elementwise with broadcasting.
    ///
    /// # Examples
    /// ```
    /// use rhyton_core::{Tensor, ops};
    ///
    /// let x = Tensor::new([2, 1], vec![1.0f32, 2.0]);
    /// let y = ops::add(&x, Tensor::new([3], vec![10.0f32, 20.0, 30.0]));
    /// assert_eq!(y.to_vec::<f32>()?, [11.0, 21.0, 31.0, 12.0, 22.0, 32.0]);
    /// # Ok::<(), rhyton_core::Error>(())
    /// ```
    add Add Add same;
    /// `x − y`, elementwise with broadcasting.
    subtract Subtract Sub same;
    /// `x · y`, elementwise with broadcasting.
    multiply Multiply Mul same;
    /// `x / y`, elementwise with broadcasting; integers give `float32`.
    true_divide TrueDivide Div at_least_float;
    /// The larger of each two elements; NaN if either is. The gradient at a tie goes to `x`.
    maximum Maximum Maximum same;
    /// The smaller of each two elements; NaN if either is. The gradient at a tie goes to `x`.
    minimum Minimum Minimum same;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_do_not_broadcast_are_both_named() {
        let error = add(Tensor::new([2], vec![1.0f32; 2]), Tensor::new([3], vec![1.0f32; 3])).eval().unwrap_err();
        assert!(error.to_string().contains("[2] and [3]"), "{error}");
    }

    #[test]
    fn plain_numbers_take_on_the_dtype() {
        let x = Tensor::new([1], vec![rhyton_ir::bf16::from_f32(1.5)]);
        assert_eq!(multiply(&x, 2.0).dtype(), DType::BF16);
        assert_eq!(multiply(Tensor::from(3i32), 2.0).dtype(), DType::F32);
        assert_eq!(true_divide(Tensor::from(3i32), 2).item().unwrap(), 1.5);
    }
}
