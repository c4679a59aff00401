//! Functions of integers and `bool`. Arithmetic wraps; division and remainder by 0 give 0.

use rhyton_ir::op::{BinaryKind, UnaryKind};

use super::{Math, map1, map2, per_isa};
use crate::isa::Isa;

/// What the loops below need of an integer.
trait Int: Copy + Ord {
    fn zero() -> Self;
    fn one() -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn rem(self, other: Self) -> Self;
    fn pow(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn not(self) -> Self;
    fn ones(self) -> Self;
    /// Shifts by at least the width give 0 (or, arithmetic ones, the sign).
    fn left(self, by: Self) -> Self;
    fn right_logical(self, by: Self) -> Self;
    fn right_arithmetic(self, by: Self) -> Self;
}

macro_rules! int {
    ($($t:ident, $unsigned:ident, $signed:ident;)*) => {$(
        impl Int for $t {
            #[inline(always)]
            fn zero() -> $t { 0 }
            #[inline(always)]
            fn one() -> $t { 1 }
            #[inline(always)]
            fn add(self, other: $t) -> $t { self.wrapping_add(other) }
            #[inline(always)]
            fn sub(self, other: $t) -> $t { self.wrapping_sub(other) }
            #[inline(always)]
            fn mul(self, other: $t) -> $t { self.wrapping_mul(other) }
            #[inline(always)]
            fn div(self, other: $t) -> $t { if other == 0 { 0 } else { self.wrapping_div(other) } }
            #[inline(always)]
            fn rem(self, other: $t) -> $t { if other == 0 { 0 } else { self.wrapping_rem(other) } }
            fn pow(self, other: $t) -> $t {
                #[allow(unused_comparisons, reason = "the macro is for unsigned types too")]
                if other < 0 {
                    // The reciprocal, truncated: whole only for 1 and -1.
                    return match self { 1 => 1, _ if self.wrapping_add(1) == 0 => if other % 2 == 0 { 1 } else { self }, _ => 0 };
                }
                let (mut result, mut base, mut power): ($t, $t, $t) = (1, self, other);
                while power > 0 {
                    if power & 1 == 1 { result = result.wrapping_mul(base); }
                    base = base.wrapping_mul(base);
                    power >>= 1;
                }
                result
            }
            #[inline(always)]
            fn and(self, other: $t) -> $t { self & other }
            #[inline(always)]
            fn or(self, other: $t) -> $t { self | other }
            #[inline(always)]
            fn xor(self, other: $t) -> $t { self ^ other }
            #[inline(always)]
            fn not(self) -> $t { !self }
            #[inline(always)]
            fn ones(self) -> $t { self.count_ones() as $t }
            #[inline(always)]
            fn left(self, by: $t) -> $t {
                if (by as $unsigned) < $t::BITS as $unsigned { self << by } else { 0 }
            }
            #[inline(always)]
            fn right_logical(self, by: $t) -> $t {
                if (by as $unsigned) < $t::BITS as $unsigned { (self as $unsigned >> by) as $t } else { 0 }
            }
            #[inline(always)]
            fn right_arithmetic(self, by: $t) -> $t {
                if $t::MIN == 0 {
                    // Without a sign it is the quotient by a power of 2.
                    return self.right_logical(by);
                }
                let by = (by as $unsigned).min(($t::BITS - 1) as $unsigned);
                (self as $signed >> by) as $t
            }
        }

        impl Math for $t {
            fn unary(isa: Isa, kind: UnaryKind, x: &[$t], y: &mut [$t]) {
                unary::<$t>(isa, kind, x, y);
            }
            fn binary(isa: Isa, kind: BinaryKind, x: &[$t], y: &[$t], out: &mut [$t]) {
                binary::<$t>(isa, kind, x, y, out);
            }
        }
    )*};
}

int! {
    u8, u8, i8;
    u16, u16, i16;
    u32, u32, i32;
    u64, u64, i64;
    i8, u8, i8;
    i16, u16, i16;
    i32, u32, i32;
    i64, u64, i64;
}

per_isa! {
    fn unary<T: Int>(kind: UnaryKind, x: &[T], y: &mut [T]) = unary_loops
}

per_isa! {
    fn binary<T: Int>(kind: BinaryKind, x: &[T], y: &[T], out: &mut [T]) = binary_loops
}

#[inline(always)]
fn unary_loops<T: Int, const FMA: bool>(kind: UnaryKind, x: &[T], y: &mut [T]) {
    match kind {
        UnaryKind::Abs => map1(x, y, |x| if x < T::zero() { T::zero().sub(x) } else { x }),
        UnaryKind::Neg => map1(x, y, |x| T::zero().sub(x)),
        UnaryKind::Sign => map1(x, y, |x| {
            if x > T::zero() {
                T::one()
            } else if x < T::zero() {
                T::zero().sub(T::one())
            } else {
                x
            }
        }),
        UnaryKind::Not => map1(x, y, T::not),
        UnaryKind::PopulationCount => map1(x, y, T::ones),
        // Integers are whole.
        UnaryKind::Floor | UnaryKind::Ceil | UnaryKind::RoundNearestEven | UnaryKind::Trunc => y.copy_from_slice(x),
        _ => panic!("{kind:?} is not a function of integers"),
    }
}

#[inline(always)]
fn binary_loops<T: Int, const FMA: bool>(kind: BinaryKind, x: &[T], y: &[T], out: &mut [T]) {
    match kind {
        BinaryKind::Add => map2(x, y, out, T::add),
        BinaryKind::Sub => map2(x, y, out, T::sub),
        BinaryKind::Mul => map2(x, y, out, T::mul),
        BinaryKind::Div => map2(x, y, out, T::div),
        BinaryKind::Rem => map2(x, y, out, T::rem),
        BinaryKind::Pow => map2(x, y, out, T::pow),
        BinaryKind::Maximum => map2(x, y, out, |x, y| x.max(y)),
        BinaryKind::Minimum => map2(x, y, out, |x, y| x.min(y)),
        BinaryKind::And => map2(x, y, out, T::and),
        BinaryKind::Or => map2(x, y, out, T::or),
        BinaryKind::Xor => map2(x, y, out, T::xor),
        BinaryKind::ShiftLeft => map2(x, y, out, T::left),
        BinaryKind::ShiftRightArithmetic => map2(x, y, out, T::right_arithmetic),
        BinaryKind::ShiftRightLogical => map2(x, y, out, T::right_logical),
        BinaryKind::Atan2 | BinaryKind::NextAfter => panic!("{kind:?} is not a function of integers"),
    }
}

impl Math for bool {
    fn unary(_: Isa, kind: UnaryKind, x: &[bool], y: &mut [bool]) {
        match kind {
            UnaryKind::Not => map1(x, y, |x| !x),
            _ => panic!("{kind:?} is not a function of bool"),
        }
    }

    fn binary(_: Isa, kind: BinaryKind, x: &[bool], y: &[bool], out: &mut [bool]) {
        match kind {
            BinaryKind::And | BinaryKind::Mul | BinaryKind::Minimum => map2(x, y, out, |x, y| x & y),
            BinaryKind::Or | BinaryKind::Add | BinaryKind::Maximum => map2(x, y, out, |x, y| x | y),
            BinaryKind::Xor => map2(x, y, out, |x, y| x ^ y),
            _ => panic!("{kind:?} is not a function of bool"),
        }
    }
}
