//! Arithmetic of bf16 numbers in one pass; other functions go through blocks of `f32`.

use rhyton_ir::op::BinaryKind;

use super::convert::CastTo;
use super::{bf16, map2, per_isa};
use crate::isa::Isa;

/// `out[i] = kind(x[i], y[i])`, computed in `f32` and rounded, if `kind` is one of those that are here; else nothing.
pub(super) fn arithmetic(isa: Isa, kind: BinaryKind, x: &[bf16], y: &[bf16], out: &mut [bf16]) -> bool {
    use BinaryKind::{Add, Div, Maximum, Minimum, Mul, Sub};
    let here = matches!(kind, Add | Sub | Mul | Div | Maximum | Minimum);
    if here {
        arithmetic_isa(isa, kind, x, y, out);
    }
    here
}

per_isa! {
    fn arithmetic_isa(kind: BinaryKind, x: &[bf16], y: &[bf16], out: &mut [bf16]) = arithmetic_loops
}

#[inline(always)]
fn arithmetic_loops<const FMA: bool>(kind: BinaryKind, x: &[bf16], y: &[bf16], out: &mut [bf16]) {
    match kind {
        BinaryKind::Add => rounded(x, y, out, |x, y| x + y),
        BinaryKind::Sub => rounded(x, y, out, |x, y| x - y),
        BinaryKind::Mul => rounded(x, y, out, |x, y| x * y),
        BinaryKind::Div => rounded(x, y, out, |x, y| x / y),
        BinaryKind::Maximum => rounded(x, y, out, |x, y| if x > y || x.is_nan() { x } else { y }),
        BinaryKind::Minimum => rounded(x, y, out, |x, y| if x < y || x.is_nan() { x } else { y }),
        _ => unreachable!("`arithmetic` lets no other through"),
    }
}

#[inline(always)]
fn rounded(x: &[bf16], y: &[bf16], out: &mut [bf16], f: impl Fn(f32, f32) -> f32) {
    map2(x, y, out, |x, y| f(x.cast(), y.cast()).cast());
}
