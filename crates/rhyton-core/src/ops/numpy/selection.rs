//! Choosing between values: `where`, `clip`, `select`.

use rhyton_ir::DType;
use rhyton_ir::op::BinaryKind;

use super::MODULE;
use super::arithmetic::{broadcast, broadcast_shapes};
use crate::error::{Error, Result};
use crate::nest::{Args, Nest};
use crate::ops::class::{operations, strong};
use crate::ops::primitives::{binary, filled, select as choose};
use crate::ops::{Number, Operand, apply};
use crate::promotion::result_type;
use crate::tensor::Tensor;

operations! { MODULE;
    Where {} (condition, x1, x2) compute_where;
    Clip { x_min: Number, x_max: Number } (x) compute_clip;
    Select {} (condlist, choicelist, default) compute_select;
}

/// `x1` where `condition` is true (not 0), else `x2`; all broadcast together.
///
/// No gradient flows to what is not chosen; but if *its* computation has an infinite derivative there, the product of that
/// and 0 is NaN: choose the operands of that computation instead.
#[track_caller]
pub fn r#where(condition: impl Into<Operand>, x1: impl Into<Operand>, x2: impl Into<Operand>) -> Tensor {
    let args = Args::new(condition.into().to_nest()).and(x1.into().to_nest()).and(x2.into().to_nest());
    apply(Where {}, args)
}

fn compute_where(_: &Where, condition: Operand, x1: Option<Operand>, x2: Option<Operand>) -> Result<Tensor> {
    let (Some(x1), Some(x2)) = (x1, x2) else {
        return Err(Error::unsupported(
            "where",
            "without x1 and x2 the size of the result would depend on the values",
            "give both",
        ));
    };
    let dtype = result_type(&[&x1, &x2]);
    where_of(&strong(&condition).cast(DType::Bool), &x1.to_tensor(dtype), &x2.to_tensor(dtype))
}

fn where_of(condition: &Tensor, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let shape = broadcast_shapes(&[condition.check()?.shape(), x.check()?.shape(), y.check()?.shape()])?;
    Ok(choose(&broadcast(condition, &shape), &broadcast(x, &shape), &broadcast(y, &shape)))
}

/// `x` raised to at least `x_min` and lowered to at most `x_max`. The gradient is 0 outside of these.
#[track_caller]
pub fn clip(x: &Tensor, x_min: impl Into<Number>, x_max: impl Into<Number>) -> Tensor {
    apply(Clip { x_min: x_min.into(), x_max: x_max.into() }, Args::new(x))
}

fn compute_clip(op: &Clip, x: Tensor) -> Tensor {
    let x = if x.dtype() == DType::Bool { x.cast(DType::I32) } else { x };
    let bound = |n: Number| filled(x.dtype(), x.shape(), n.value());
    // x first: at a bound the gradient goes to it, as TensorFlow has it.
    let low = binary(BinaryKind::Minimum, &x, &bound(op.x_max));
    binary(BinaryKind::Maximum, &low, &bound(op.x_min))
}

/// Of `choicelist` the first whose condition in `condlist` is true, elementwise; `default` (Keras's is 0) if none is.
#[track_caller]
pub fn select(condlist: &[Tensor], choicelist: &[Tensor], default: impl Into<Operand>) -> Tensor {
    apply(Select {}, Args::new(Nest::from(condlist)).and(Nest::from(choicelist)).and(default.into().to_nest()))
}

fn compute_select(
    _: &Select,
    conditions: Vec<Tensor>,
    choices: Vec<Tensor>,
    default: Option<Operand>,
) -> Result<Tensor> {
    if conditions.is_empty() || conditions.len() != choices.len() {
        return Err(Error::argument(
            "select",
            format!("{} conditions for {} choices", conditions.len(), choices.len()),
            "give at least one, and as many of one as of the other",
        ));
    }
    let choices = super::joining::promoted(&choices);
    let default = default.unwrap_or(Operand::Int(0)).to_tensor(choices[0].dtype());
    conditions.iter().zip(&choices).rev().try_fold(default, |rest, (condition, choice)| {
        where_of(&condition.cast(DType::Bool), choice, &rest)?.check().cloned()
    })
}
