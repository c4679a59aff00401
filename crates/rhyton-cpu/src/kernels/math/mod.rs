//! Elementwise kernels on blocks: functions of one and two operands, comparisons, choices and conversions.
//!
//! Every function is written once, as a branch-free scalar function without calls; it is used in a plain loop, the loop in
//! a `#[target_feature]` function an instruction set, and the compiler makes vectors of it. What is too rare for that is
//! computed element by element in `f64`. 16-bit floats are computed in `f32` and rounded once.

mod brain;
pub mod convert;
mod double;
mod integer;
pub(crate) mod single;
#[cfg(test)]
mod tests;

use half::{bf16, f16};
use rhyton_ir::Element;
use rhyton_ir::op::{BinaryKind, Direction, UnaryKind};

use super::fold;
use crate::isa::Isa;

/// Compiles `$body` once an instruction set, with fused multiplication and addition or without, and picks one of them.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$g:ident: $bound:path>)? ($($arg:ident: $ty:ty),*) = $body:ident) => {
        $(#[$meta])*
        $vis fn $name $(<$g: $bound>)? (isa: $crate::isa::Isa, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c")]
            fn avx512 $(<$g: $bound>)? ($($arg: $ty),*) {
                $body::<$($g,)? true>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2 $(<$g: $bound>)? ($($arg: $ty),*) {
                $body::<$($g,)? true>($($arg),*)
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            fn neon $(<$g: $bound>)? ($($arg: $ty),*) {
                $body::<$($g,)? true>($($arg),*)
            }
            assert!(isa.is_available(), "this machine lacks {isa}");
            match isa {
                // SAFETY: the line above.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 => unsafe { avx512 $(::<$g>)? ($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 => unsafe { avx2 $(::<$g>)? ($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "aarch64")]
                $crate::isa::Isa::Neon => unsafe { neon $(::<$g>)? ($($arg),*) },
                _ => $body::<$($g,)? false>($($arg),*),
            }
        }
    };
}
pub(crate) use per_isa;

/// Elements on which the functions of the graph are computed: all dtypes.
pub trait Math: Element {
    /// See [`apply_unary`].
    #[doc(hidden)]
    fn unary(isa: Isa, kind: UnaryKind, x: &[Self], y: &mut [Self]);
    /// See [`apply_binary`].
    #[doc(hidden)]
    fn binary(isa: Isa, kind: BinaryKind, x: &[Self], y: &[Self], out: &mut [Self]);
}

/// `y = f(x)`, elementwise. [`is_finite`] and [`is_nan`] are functions of their own, as they give `bool`.
///
/// # Accuracy
/// `f32`: at most 2 units in the last place for `exp`, `expm1`, `log`, `log1p`, `tanh`, `logistic`, `erf`, `rsqrt`, 1 for
/// the others; infinities, NaN, signed zeros and denormals as in C.
///
/// # Panics
/// If the lengths differ, the machine lacks `isa`, or the dtype does not have the function (shape inference refuses
/// those).
pub fn apply_unary<T: Math>(isa: Isa, kind: UnaryKind, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "operand and result");
    T::unary(isa, kind, x, y);
}

/// `out = f(x, y)`, elementwise.
///
/// # Accuracy
/// `f32`: `pow` and `atan2` at most 1 unit in the last place, the others are exact.
///
/// # Panics
/// As [`apply_unary`].
pub fn apply_binary<T: Math>(isa: Isa, kind: BinaryKind, x: &[T], y: &[T], out: &mut [T]) {
    assert!(x.len() == out.len() && y.len() == out.len(), "operands and result");
    T::binary(isa, kind, x, y, out);
}

/// `out = x <relation> y`, elementwise.
///
/// # Panics
/// If the lengths differ or the machine lacks `isa`.
pub fn compare<T: Element>(isa: Isa, direction: Direction, x: &[T], y: &[T], out: &mut [bool]) {
    assert!(x.len() == out.len() && y.len() == out.len(), "operands and result");
    compare_isa(isa, direction, x, y, out);
}

per_isa! {
    fn compare_isa<T: Element>(direction: Direction, x: &[T], y: &[T], out: &mut [bool]) = compare_loops
}

#[inline(always)]
fn compare_loops<T: Element, const FMA: bool>(direction: Direction, x: &[T], y: &[T], out: &mut [bool]) {
    match direction {
        Direction::Eq => map2(x, y, out, |x, y| x == y),
        Direction::Ne => map2(x, y, out, |x, y| x != y),
        Direction::Lt => map2(x, y, out, |x, y| x < y),
        Direction::Le => map2(x, y, out, |x, y| x <= y),
        Direction::Gt => map2(x, y, out, |x, y| x > y),
        Direction::Ge => map2(x, y, out, |x, y| x >= y),
    }
}

/// The bits of an element.
pub(crate) trait Bits: Copy {
    /// All of them if `p`, else none.
    fn mask(p: bool) -> Self;
    /// Those of `x` where the mask has ones, else those of `y`.
    fn merge(mask: Self, x: Self, y: Self) -> Self;
}

macro_rules! bits {
    ($($t:ty),*) => {$(
        impl Bits for $t {
            #[inline(always)]
            fn mask(p: bool) -> $t {
                <$t>::from(p).wrapping_neg()
            }
            #[inline(always)]
            fn merge(mask: $t, x: $t, y: $t) -> $t {
                x & mask | y & !mask
            }
        }
    )*};
}

bits!(u8, u16, u32, u64);

/// `out = p ? x : y`, elementwise, of elements as their bits.
///
/// # Panics
/// As [`compare`].
pub(crate) fn select<T: Bits>(isa: Isa, p: &[bool], x: &[T], y: &[T], out: &mut [T]) {
    assert!(p.len() == out.len() && x.len() == out.len() && y.len() == out.len(), "operands and result");
    select_isa(isa, p, x, y, out);
}

per_isa! {
    fn select_isa<T: Bits>(p: &[bool], x: &[T], y: &[T], out: &mut [T]) = select_loop
}

/// Through masks: of a choice between two loads the compiler makes one load of a chosen address, element by element.
#[inline(always)]
fn select_loop<T: Bits, const FMA: bool>(p: &[bool], x: &[T], y: &[T], out: &mut [T]) {
    for (((&p, &x), &y), out) in p.iter().zip(x).zip(y).zip(out) {
        *out = T::merge(T::mask(p), x, y);
    }
}

/// Whether each element is neither infinite nor NaN; integers and `bool` are.
///
/// # Panics
/// If the lengths differ.
pub fn is_finite<T: Element>(x: &[T], out: &mut [bool]) {
    assert_eq!(x.len(), out.len(), "operand and result");
    map1(x, out, |x| x.to_f64().is_finite());
}

/// Whether each element is NaN; integers and `bool` are not.
///
/// # Panics
/// If the lengths differ.
pub fn is_nan<T: Element>(x: &[T], out: &mut [bool]) {
    assert_eq!(x.len(), out.len(), "operand and result");
    map1(x, out, fold::is_nan);
}

/// `y[i] = f(x[i])`.
#[inline(always)]
fn map1<X: Copy, Y>(x: &[X], y: &mut [Y], f: impl Fn(X) -> Y) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

/// `out[i] = f(x[i], y[i])`.
#[inline(always)]
fn map2<X: Copy, Y>(x: &[X], y: &[X], out: &mut [Y], f: impl Fn(X, X) -> Y) {
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out = f(x, y);
    }
}

impl Math for f32 {
    fn unary(isa: Isa, kind: UnaryKind, x: &[f32], y: &mut [f32]) {
        single::unary(isa, kind, x, y);
    }
    fn binary(isa: Isa, kind: BinaryKind, x: &[f32], y: &[f32], out: &mut [f32]) {
        single::binary(isa, kind, x, y, out);
    }
}

impl Math for f64 {
    fn unary(_: Isa, kind: UnaryKind, x: &[f64], y: &mut [f64]) {
        double::unary(kind, x, y);
    }
    fn binary(_: Isa, kind: BinaryKind, x: &[f64], y: &[f64], out: &mut [f64]) {
        double::binary(kind, x, y, out);
    }
}

/// 16-bit floats through blocks of `f32`, but for what a function does in one pass.
macro_rules! half_math {
    ($t:ty $(, $one_pass:path)?) => {
        impl Math for $t {
            fn unary(isa: Isa, kind: UnaryKind, x: &[$t], y: &mut [$t]) {
                let (mut a, mut b) = ([0f32; 256], [0f32; 256]);
                for (x, y) in x.chunks(256).zip(y.chunks_mut(256)) {
                    convert::convert(isa, x, &mut a[..x.len()]);
                    single::unary(isa, kind, &a[..x.len()], &mut b[..x.len()]);
                    convert::convert(isa, &b[..x.len()], y);
                }
            }
            fn binary(isa: Isa, kind: BinaryKind, x: &[$t], y: &[$t], out: &mut [$t]) {
                if kind == BinaryKind::NextAfter {
                    return map2(x, y, out, |x, y| {
                        next_after(x, y, <$t>::from_bits, |x| x.to_bits(), |bits| bits ^ (1 << 15))
                    });
                }
                $(if $one_pass(isa, kind, x, y, out) {
                    return;
                })?
                let (mut a, mut b, mut c) = ([0f32; 256], [0f32; 256], [0f32; 256]);
                for ((x, y), out) in x.chunks(256).zip(y.chunks(256)).zip(out.chunks_mut(256)) {
                    let len = x.len();
                    convert::convert(isa, x, &mut a[..len]);
                    convert::convert(isa, y, &mut b[..len]);
                    single::binary(isa, kind, &a[..len], &b[..len], &mut c[..len]);
                    convert::convert(isa, &c[..len], out);
                }
            }
        }
    };
}

half_math!(f16);
half_math!(bf16, brain::arithmetic);

/// The neighbour of `x` in the direction of `y`, through the bits: those of one sign are ordered as their values.
#[inline(always)]
fn next_after<T: PartialOrd + Copy + Element, B>(
    x: T,
    y: T,
    from_bits: impl Fn(B) -> T,
    to_bits: impl Fn(T) -> B,
    negate: impl Fn(B) -> B,
) -> T
where
    B: Copy + From<u8> + std::ops::Add<Output = B> + std::ops::Sub<Output = B>,
{
    let zero = T::from_f64(0.0);
    if fold::is_nan(x) || fold::is_nan(y) {
        return T::from_f64(f64::NAN);
    }
    if x == y {
        return y;
    }
    let one = B::from(1);
    if x == zero {
        let least = one;
        return from_bits(if y > zero { least } else { negate(least) });
    }
    let away = (y > x) == (x > zero);
    from_bits(if away { to_bits(x) + one } else { to_bits(x) - one })
}
