//! The operations that reductions, over axes or windows, fold with.

use half::{bf16, f16};
use rhyton_ir::Element;

/// An associative operation on elements of type `X`, computed in `T`.
pub trait Fold {
    /// The element.
    type X: Element;
    /// What it is computed in: `f32` for 16-bit floats, else the same.
    type T: Copy + Send + Sync + PartialOrd + 'static;
    /// The reduction of nothing.
    fn identity() -> Self::T;
    /// The operation.
    fn apply(a: Self::T, b: Self::T) -> Self::T;
    /// Widens.
    fn load(x: Self::X) -> Self::T;
    /// Rounds.
    fn store(x: Self::T) -> Self::X;
}

/// The element types and their operations.
pub trait Foldable: Element {
    /// Addition, of 0. For `bool`: or.
    type Sum: Fold<X = Self>;
    /// Multiplication, of 1. For `bool`: and.
    type Prod: Fold<X = Self>;
    /// The larger; NaN wins. For `bool`: or.
    type Max: Fold<X = Self>;
    /// The smaller; NaN wins. For `bool`: and.
    type Min: Fold<X = Self>;
}

/// Whether `x` is NaN, for any type; the compiler makes vectors of it.
#[inline(always)]
#[expect(clippy::eq_op, reason = "NaN alone differs from itself")]
pub(crate) fn is_nan<T: Copy + PartialEq>(x: T) -> bool {
    x != x
}

/// Addition.
pub struct Sum<X>(std::marker::PhantomData<X>);
/// Multiplication.
pub struct Prod<X>(std::marker::PhantomData<X>);
/// The larger.
pub struct Max<X>(std::marker::PhantomData<X>);
/// The smaller.
pub struct Min<X>(std::marker::PhantomData<X>);

macro_rules! fold {
    ($op:ident, $x:ty, $t:ty, $identity:expr, $apply:expr, $load:expr, $store:expr) => {
        impl Fold for $op<$x> {
            type X = $x;
            type T = $t;
            #[inline(always)]
            fn identity() -> $t {
                $identity
            }
            #[inline(always)]
            fn apply(a: $t, b: $t) -> $t {
                $apply(a, b)
            }
            #[inline(always)]
            fn load(x: $x) -> $t {
                $load(x)
            }
            #[inline(always)]
            fn store(x: $t) -> $x {
                $store(x)
            }
        }
    };
}

macro_rules! foldable {
    ($x:ty) => {
        impl Foldable for $x {
            type Sum = Sum<$x>;
            type Prod = Prod<$x>;
            type Max = Max<$x>;
            type Min = Min<$x>;
        }
    };
}

macro_rules! float {
    ($x:ty, $t:ident, $load:expr, $store:expr) => {
        fold!(Sum, $x, $t, 0.0, |a: $t, b: $t| a + b, $load, $store);
        fold!(Prod, $x, $t, 1.0, |a: $t, b: $t| a * b, $load, $store);
        fold!(Max, $x, $t, $t::NEG_INFINITY, |a: $t, b: $t| if a > b || a.is_nan() { a } else { b }, $load, $store);
        fold!(Min, $x, $t, $t::INFINITY, |a: $t, b: $t| if a < b || a.is_nan() { a } else { b }, $load, $store);
        foldable!($x);
    };
}

float!(f32, f32, |x| x, |x| x);
float!(f64, f64, |x| x, |x| x);
float!(f16, f32, f16::to_f32, f16::from_f32);
float!(bf16, f32, |x: bf16| f32::from_bits(u32::from(x.to_bits()) << 16), bf16::from_f32);

macro_rules! integer {
    ($($x:ident),*) => {$(
        fold!(Sum, $x, $x, 0, $x::wrapping_add, |x| x, |x| x);
        fold!(Prod, $x, $x, 1, $x::wrapping_mul, |x| x, |x| x);
        fold!(Max, $x, $x, $x::MIN, |a: $x, b: $x| a.max(b), |x| x, |x| x);
        fold!(Min, $x, $x, $x::MAX, |a: $x, b: $x| a.min(b), |x| x, |x| x);
        foldable!($x);
    )*};
}

integer!(u8, u16, u32, u64, i8, i16, i32, i64);

fold!(Sum, bool, bool, false, |a: bool, b: bool| a | b, |x| x, |x| x);
fold!(Prod, bool, bool, true, |a: bool, b: bool| a & b, |x| x, |x| x);
fold!(Max, bool, bool, false, |a: bool, b: bool| a | b, |x| x, |x| x);
fold!(Min, bool, bool, true, |a: bool, b: bool| a & b, |x| x, |x| x);
foldable!(bool);
