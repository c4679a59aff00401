//! Conversions between all dtypes, as `Data::cast` of the graph: floats to integers truncate and saturate (NaN is 0),
//! integers wrap, floats round to nearest, ties to even; anything but 0 is true.

use half::{bf16, f16};

use super::{map1, per_isa};
use crate::isa::Isa;

/// An element that can become a `D`.
pub trait CastTo<D>: Copy {
    /// The converted value.
    fn cast(self) -> D;

    /// Converts all of `x`, of the same length as `y`.
    #[doc(hidden)]
    fn cast_all(isa: Isa, x: &[Self], y: &mut [D])
    where
        Self: Sized,
    {
        loops::<Pair<Self, D>>(isa, x, y);
    }
}

/// Converts `x` into `y`.
///
/// # Panics
/// If the lengths differ or the machine lacks `isa`.
pub fn convert<S: CastTo<D>, D>(isa: Isa, x: &[S], y: &mut [D]) {
    assert_eq!(x.len(), y.len(), "operand and result");
    S::cast_all(isa, x, y);
}

/// The two types of a conversion.
trait Types {
    type S: CastTo<Self::D>;
    type D;
}

struct Pair<S, D>(std::marker::PhantomData<(S, D)>);

impl<S: CastTo<D>, D> Types for Pair<S, D> {
    type S = S;
    type D = D;
}

per_isa! {
    fn loops<P: Types>(x: &[P::S], y: &mut [P::D]) = cast_loop
}

#[inline(always)]
fn cast_loop<P: Types, const FMA: bool>(x: &[P::S], y: &mut [P::D]) {
    map1(x, y, P::S::cast);
}

macro_rules! numeric {
    ($($s:ty),*) => {$(
        numeric!(@ $s => u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);
        impl CastTo<bool> for $s {
            #[inline(always)]
            fn cast(self) -> bool { self != (0 as $s) }
        }
        impl CastTo<$s> for bool {
            #[inline(always)]
            fn cast(self) -> $s { u8::from(self) as $s }
        }
    )*};
    (@ $s:ty => $($d:ty),*) => {$(
        impl CastTo<$d> for $s {
            #[inline(always)]
            fn cast(self) -> $d { self as $d }
        }
    )*};
}

numeric!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

impl CastTo<bool> for bool {
    #[inline(always)]
    fn cast(self) -> bool {
        self
    }
}

/// From and to a 16-bit float: through `f32`, which holds all its values, and from `f64` for what `f32` would round.
macro_rules! half {
    ($t:ty, $read:expr, $($n:ty),*) => {
        $(
            impl CastTo<$n> for $t {
                #[inline(always)]
                fn cast(self) -> $n { $read(self) as $n }
            }
            impl CastTo<$t> for $n {
                #[inline(always)]
                fn cast(self) -> $t { <$t>::from_f64(self as f64) }
            }
        )*
        impl CastTo<bool> for $t {
            #[inline(always)]
            fn cast(self) -> bool { $read(self) != 0.0 }
        }
        impl CastTo<$t> for bool {
            #[inline(always)]
            fn cast(self) -> $t { <$t>::from_f32(f32::from(u8::from(self))) }
        }
        impl CastTo<$t> for $t {
            #[inline(always)]
            fn cast(self) -> $t { self }
        }
        impl CastTo<f64> for $t {
            #[inline(always)]
            fn cast(self) -> f64 { f64::from($read(self)) }
        }
        impl CastTo<$t> for f64 {
            #[inline(always)]
            fn cast(self) -> $t { <$t>::from_f64(self) }
        }
    };
}

half!(f16, f16::to_f32, u8, u16, u32, u64, i8, i16, i32, i64);
half!(bf16, bf16_to_f32, u8, u16, u32, u64, i8, i16, i32, i64);

#[inline(always)]
fn bf16_to_f32(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

impl CastTo<f32> for bf16 {
    #[inline(always)]
    fn cast(self) -> f32 {
        bf16_to_f32(self)
    }
}

impl CastTo<bf16> for f32 {
    #[inline(always)]
    fn cast(self) -> bf16 {
        let bits = self.to_bits();
        // To nearest, ties to even; a NaN keeps its upper bits and stays one.
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        let kept = bits >> 16 | 0x40;
        bf16::from_bits(if self.is_nan() { kept } else { rounded } as u16)
    }
}

impl CastTo<bf16> for f16 {
    #[inline(always)]
    fn cast(self) -> bf16 {
        self.to_f32().cast()
    }
}

impl CastTo<f16> for bf16 {
    #[inline(always)]
    fn cast(self) -> f16 {
        f16::from_f32(bf16_to_f32(self))
    }
}

impl CastTo<f32> for f16 {
    #[inline(always)]
    fn cast(self) -> f32 {
        self.to_f32()
    }

    fn cast_all(isa: Isa, x: &[f16], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "operand and result");
        #[cfg(target_arch = "x86_64")]
        if matches!(isa, Isa::Avx2 | Isa::Avx512) {
            assert!(isa.is_available(), "this machine lacks {isa}");
            // SAFETY: both instruction sets include F16C.
            return unsafe { f16_to_f32_f16c(x, y) };
        }
        loops::<Pair<f16, f32>>(isa, x, y);
    }
}

impl CastTo<f16> for f32 {
    #[inline(always)]
    fn cast(self) -> f16 {
        f16::from_f32(self)
    }

    fn cast_all(isa: Isa, x: &[f32], y: &mut [f16]) {
        assert_eq!(x.len(), y.len(), "operand and result");
        #[cfg(target_arch = "x86_64")]
        if matches!(isa, Isa::Avx2 | Isa::Avx512) {
            assert!(isa.is_available(), "this machine lacks {isa}");
            // SAFETY: both instruction sets include F16C.
            return unsafe { f32_to_f16_f16c(x, y) };
        }
        loops::<Pair<f32, f16>>(isa, x, y);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,f16c")]
fn f16_to_f32_f16c(x: &[f16], y: &mut [f32]) {
    use std::arch::x86_64::*;
    let (x8, x1) = x.as_chunks::<8>();
    let (y8, y1) = y.as_chunks_mut::<8>();
    for (x, y) in x8.iter().zip(y8) {
        // SAFETY: eight elements each.
        unsafe { _mm256_storeu_ps(y.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast()))) };
    }
    map1(x1, y1, f16::to_f32);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,f16c")]
fn f32_to_f16_f16c(x: &[f32], y: &mut [f16]) {
    use std::arch::x86_64::*;
    let (x8, x1) = x.as_chunks::<8>();
    let (y8, y1) = y.as_chunks_mut::<8>();
    for (x, y) in x8.iter().zip(y8) {
        // SAFETY: eight elements each.
        unsafe {
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(x.as_ptr()));
            _mm_storeu_si128(y.as_mut_ptr().cast(), halves);
        }
    }
    map1(x1, y1, f16::from_f32);
}
