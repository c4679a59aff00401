//! Elementwise functions of one operand: `absolute`, `exp`, `sin`, …

use std::sync::Arc;

use rhyton_ir::DType;
use rhyton_ir::op::{Unary, UnaryKind};
use serde_json::{Value, json};

use super::MODULE;
use crate::error::Result;
use crate::nest::{Args, Nest};
use crate::ops::{Operand, Operation, OperationClass, apply};
use crate::saving::KerasObject;
use crate::tensor::Tensor;

/// An elementwise function as an operation.
#[derive(Clone, Copy)]
struct Elementwise {
    class: &'static str,
    compute: fn(&Tensor) -> Tensor,
}

impl std::fmt::Debug for Elementwise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.class)
    }
}

impl KerasObject for Elementwise {
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn config(&self) -> Value {
        json!({})
    }
}

impl Operation for Elementwise {
    fn module(&self) -> &'static str {
        MODULE
    }
    fn compute(&self, args: &Args) -> Result<Nest> {
        let x = match Operand::from_nest(args.first()?)? {
            Operand::Tensor(t) => t,
            number => number.to_tensor(DType::F32),
        };
        Ok((self.compute)(&x).check()?.without_mask().into())
    }
}

/// The function in at least `float32` or the operand's floating-point dtype.
fn float(kind: UnaryKind, x: &Tensor) -> Tensor {
    let x = if x.dtype().is_float() { x.clone() } else { x.cast(DType::F32) };
    Tensor::apply(Unary { kind }, &[&x])
}

/// The function in the operand's own dtype.
fn same(kind: UnaryKind, x: &Tensor) -> Tensor {
    Tensor::apply(Unary { kind }, &[x])
}

macro_rules! elementwise {
    ($($(#[$doc:meta])* $function:ident $class:ident $compute:expr;)*) => {
        $(
            $(#[$doc])*
            #[track_caller]
            pub fn $function(x: &Tensor) -> Tensor {
                apply(Elementwise { class: stringify!($class), compute: $compute }, Args::new(x))
            }
        )*

        /// These functions as configurations name them.
        pub(crate) const ELEMENTWISE: &[OperationClass] = &[
            $(OperationClass {
                name: stringify!($class),
                from_config: |_| Ok(Arc::new(Elementwise { class: stringify!($class), compute: $compute })),
            },)*
        ];
    };
}

elementwise! {
    /// `|x|`.
    absolute Absolute |x| if x.dtype() == DType::Bool { x.clone() } else { same(UnaryKind::Abs, x) };
    /// `−x`.
    negative Negative |x| same(UnaryKind::Neg, x);
    /// `x²`.
    square Square |x| super::multiply(x, x);
    /// `√x`; NaN below 0.
    sqrt Sqrt |x| float(UnaryKind::Sqrt, x);
    /// `eˣ`.
    exp Exp |x| float(UnaryKind::Exp, x);
    /// `ln x`; −∞ at 0, NaN below.
    log Log |x| float(UnaryKind::Log, x);
    /// `tanh x`.
    tanh Tanh |x| float(UnaryKind::Tanh, x);
    /// −1, 0 or 1 by the sign; NaN of NaN.
    sign Sign |x| same(UnaryKind::Sign, x);
}
