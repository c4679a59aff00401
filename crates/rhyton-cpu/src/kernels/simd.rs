//! The few vector instructions that the matrix kernels are written in, and one type an instruction set that has them.
//!
//! The kernels are generic over [`Simd`] and `#[inline(always)]`; what calls them is a `#[target_feature]` function, so
//! that the intrinsics become instructions. Other kernels are plain loops that the compiler vectorises.

use super::gemm::Pair;
use super::math::single::logistic;

/// Vectors of `LANES` elements.
///
/// # Safety
/// Whoever calls a method has made sure that the processor has the instruction set of the type.
pub unsafe trait Simd: Copy {
    /// The element.
    type T: Copy + Default;
    /// The vector.
    type V: Copy;
    /// Elements of a vector.
    const LANES: usize;

    /// All zeros.
    ///
    /// # Safety
    /// See [`Simd`].
    unsafe fn zero() -> Self::V;
    /// All `x`.
    ///
    /// # Safety
    /// See [`Simd`].
    unsafe fn splat(x: Self::T) -> Self::V;
    /// The `LANES` elements at `p`.
    ///
    /// # Safety
    /// See [`Simd`]; they can be read. No alignment is needed beyond that of the element.
    unsafe fn load(p: *const Self::T) -> Self::V;
    /// Writes `LANES` elements at `p`.
    ///
    /// # Safety
    /// See [`Simd`]; they can be written. No alignment is needed beyond that of the element.
    unsafe fn store(p: *mut Self::T, v: Self::V);
    /// `a + b`.
    ///
    /// # Safety
    /// See [`Simd`].
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once where the instruction set can.
    ///
    /// # Safety
    /// See [`Simd`].
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `x` where it is more than `low` or NaN, else `low`.
    ///
    /// # Safety
    /// See [`Simd`].
    unsafe fn at_least(low: Self::V, x: Self::V) -> Self::V;
    /// `x` where it is less than `high` or NaN, else `high`.
    ///
    /// # Safety
    /// See [`Simd`].
    unsafe fn at_most(high: Self::V, x: Self::V) -> Self::V;
    /// `x · logistic(x)`, of `f32`s only: of others `x`.
    ///
    /// # Safety
    /// See [`Simd`].
    #[inline(always)]
    unsafe fn swish(x: Self::V) -> Self::V {
        x
    }
    /// The `len` ≤ `LANES` elements at `p`, then anything.
    ///
    /// # Safety
    /// See [`Simd`]; they can be read.
    #[inline(always)]
    unsafe fn load_part(p: *const Self::T, len: usize) -> Self::V {
        let mut all = [Self::T::default(); MOST_LANES];
        // SAFETY: the caller's promise; no vector is longer than `all`.
        unsafe {
            std::ptr::copy_nonoverlapping(p, all.as_mut_ptr(), len);
            Self::load(all.as_ptr())
        }
    }
    /// Writes the first `len` ≤ `LANES` elements at `p`.
    ///
    /// # Safety
    /// See [`Simd`]; they can be written.
    #[inline(always)]
    unsafe fn store_part(p: *mut Self::T, v: Self::V, len: usize) {
        let mut all = [Self::T::default(); MOST_LANES];
        // SAFETY: as above.
        unsafe {
            Self::store(all.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(all.as_ptr(), p, len);
        }
    }
}

/// Elements of the longest vector.
const MOST_LANES: usize = 16;

/// Four elements, without any intrinsics.
#[derive(Clone, Copy)]
pub struct Plain<T>(std::marker::PhantomData<T>);

macro_rules! plain {
    ($t:ty $(, $swish:item)?) => {
        // SAFETY: no instruction set is needed.
        unsafe impl Simd for Plain<$t> {
            type T = $t;
            type V = [$t; 4];
            const LANES: usize = 4;
            #[inline(always)]
            unsafe fn zero() -> [$t; 4] {
                [0.0; 4]
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> [$t; 4] {
                [x; 4]
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> [$t; 4] {
                // SAFETY: the caller's promise.
                unsafe { p.cast::<[$t; 4]>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn store(p: *mut $t, v: [$t; 4]) {
                // SAFETY: the caller's promise.
                unsafe { p.cast::<[$t; 4]>().write_unaligned(v) }
            }
            #[inline(always)]
            unsafe fn add(a: [$t; 4], b: [$t; 4]) -> [$t; 4] {
                [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
            }
            #[inline(always)]
            unsafe fn mul_add(a: [$t; 4], b: [$t; 4], c: [$t; 4]) -> [$t; 4] {
                [a[0] * b[0] + c[0], a[1] * b[1] + c[1], a[2] * b[2] + c[2], a[3] * b[3] + c[3]]
            }
            #[inline(always)]
            unsafe fn at_least(low: [$t; 4], x: [$t; 4]) -> [$t; 4] {
                std::array::from_fn(|i| if low[i] > x[i] { low[i] } else { x[i] })
            }
            #[inline(always)]
            unsafe fn at_most(high: [$t; 4], x: [$t; 4]) -> [$t; 4] {
                std::array::from_fn(|i| if high[i] < x[i] { high[i] } else { x[i] })
            }
            $(
                #[inline(always)]
                $swish
            )?
        }
    };
}

plain!(
    f32,
    unsafe fn swish(x: [f32; 4]) -> [f32; 4] {
        x.map(|x| x * logistic::<false>(x))
    }
);
plain!(f64);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! intrinsics {
    ($(#[$doc:meta])* $name:ident, $t:ty, $v:ty, $lanes:literal, $zero:expr, $splat:ident, $load:ident, $store:ident,
     $add:ident, $mul_add:expr, $max:ident, $min:ident $(, $($more:item)*)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name;

        // SAFETY: the methods only call intrinsics of the type's instruction set, which the caller has made sure of,
        // and pass pointers on as the caller gave them.
        unsafe impl Simd for $name {
            type T = $t;
            type V = $v;
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn zero() -> $v {
                // SAFETY: see the impl.
                unsafe { $zero }
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> $v {
                // SAFETY: see the impl.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> $v {
                // SAFETY: see the impl.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut $t, v: $v) {
                // SAFETY: see the impl.
                unsafe { $store(p, v) }
            }
            #[inline(always)]
            unsafe fn add(a: $v, b: $v) -> $v {
                // SAFETY: see the impl.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            unsafe fn mul_add(a: $v, b: $v, c: $v) -> $v {
                // SAFETY: see the impl.
                unsafe { $mul_add(a, b, c) }
            }
            #[inline(always)]
            unsafe fn at_least(low: $v, x: $v) -> $v {
                // SAFETY: see the impl. Of NaN and a number x86 gives the second operand, NEON gives NaN.
                unsafe { $max(low, x) }
            }
            #[inline(always)]
            unsafe fn at_most(high: $v, x: $v) -> $v {
                // SAFETY: as above.
                unsafe { $min(high, x) }
            }
            $($($more)*)?
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::math::single::{EXP, LN_2_HIGH, LN_2_REST};
    use super::{Pair, Simd};

    /// The mask of the first `len` of 16.
    #[inline(always)]
    fn first_16(len: usize) -> __mmask16 {
        ((1u32 << len) - 1) as __mmask16
    }

    /// The mask of the first `len` of 8.
    #[inline(always)]
    fn first_8(len: usize) -> __mmask8 {
        ((1u32 << len) - 1) as __mmask8
    }

    /// `x · logistic(x)`, as [`swish_512`].
    ///
    /// # Safety
    /// The processor has AVX2 and FMA.
    #[inline(always)]
    unsafe fn swish_256(x: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe {
            let one = _mm256_set1_ps(1.0);
            // Below that e is 0.
            let t = _mm256_max_ps(_mm256_set1_ps(-110.0), _mm256_or_ps(x, _mm256_set1_ps(-0.0)));
            let n = _mm256_round_ps::<8>(_mm256_mul_ps(t, _mm256_set1_ps(std::f32::consts::LOG2_E)));
            let r = _mm256_fmadd_ps(n, _mm256_set1_ps(-LN_2_HIGH), t);
            let r = _mm256_fmadd_ps(n, _mm256_set1_ps(LN_2_REST), r);
            let mut p = _mm256_set1_ps(EXP[0]);
            for term in &EXP[1..] {
                p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(*term));
            }
            let e = _mm256_add_ps(one, _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r));
            // In two factors: 2^n may not be a normal number.
            let n = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(n);
            let power = |n| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n, _mm256_set1_epi32(127))));
            let e = _mm256_mul_ps(_mm256_mul_ps(e, power(half)), power(_mm256_sub_epi32(n, half)));
            let smaller = _mm256_div_ps(e, _mm256_add_ps(one, e));
            // The sign bit chooses.
            _mm256_mul_ps(x, _mm256_blendv_ps(_mm256_sub_ps(one, smaller), smaller, x))
        }
    }

    /// `x · logistic(x)`, to two units in the last place. With `e = exp(-|x|)`, `logistic(-|x|) = e / (1 + e)`.
    ///
    /// # Safety
    /// The processor has AVX-512.
    #[inline(always)]
    unsafe fn swish_512(x: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe {
            let one = _mm512_set1_ps(1.0);
            let sign = _mm512_castps_si512(_mm512_set1_ps(-0.0));
            let negative = _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(x), sign));
            // Below that e is 0.
            let t = _mm512_max_ps(_mm512_set1_ps(-110.0), negative);
            let n = _mm512_roundscale_ps::<8>(_mm512_mul_ps(t, _mm512_set1_ps(std::f32::consts::LOG2_E)));
            let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN_2_HIGH), t);
            let r = _mm512_fmadd_ps(n, _mm512_set1_ps(LN_2_REST), r);
            let mut p = _mm512_set1_ps(EXP[0]);
            for term in &EXP[1..] {
                p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(*term));
            }
            let e = _mm512_add_ps(one, _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r));
            let e = _mm512_scalef_ps(e, n);
            let sum = _mm512_add_ps(one, e);
            // 14 bits, doubled by a step of Newton's method.
            let guess = _mm512_rcp14_ps(sum);
            let inverse = _mm512_fmadd_ps(guess, _mm512_fnmadd_ps(sum, guess, one), guess);
            let smaller = _mm512_mul_ps(e, inverse);
            let positive = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(x, _mm512_setzero_ps());
            _mm512_mul_ps(x, _mm512_mask_sub_ps(smaller, positive, one, smaller))
        }
    }

    intrinsics! {
        /// AVX-512, `f32`.
        Avx512F32, f32, __m512, 16, _mm512_setzero_ps(), _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps,
        _mm512_add_ps, _mm512_fmadd_ps, _mm512_max_ps, _mm512_min_ps,
        #[inline(always)]
        unsafe fn load_part(p: *const f32, len: usize) -> __m512 {
            // SAFETY: the caller's promise; elements that are masked out are not touched.
            unsafe { _mm512_maskz_loadu_ps(first_16(len), p) }
        }
        #[inline(always)]
        unsafe fn store_part(p: *mut f32, v: __m512, len: usize) {
            // SAFETY: as above.
            unsafe { _mm512_mask_storeu_ps(p, first_16(len), v) }
        }
        #[inline(always)]
        unsafe fn swish(x: __m512) -> __m512 {
            // SAFETY: the caller's promise.
            unsafe { swish_512(x) }
        }
    }
    intrinsics! {
        /// AVX-512, `f64`.
        Avx512F64, f64, __m512d, 8, _mm512_setzero_pd(), _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd,
        _mm512_add_pd, _mm512_fmadd_pd, _mm512_max_pd, _mm512_min_pd,
        #[inline(always)]
        unsafe fn load_part(p: *const f64, len: usize) -> __m512d {
            // SAFETY: the caller's promise; elements that are masked out are not touched.
            unsafe { _mm512_maskz_loadu_pd(first_8(len), p) }
        }
        #[inline(always)]
        unsafe fn store_part(p: *mut f64, v: __m512d, len: usize) {
            // SAFETY: as above.
            unsafe { _mm512_mask_storeu_pd(p, first_8(len), v) }
        }
    }

    /// AVX512-BF16: [`Pair`]s, whose products are added up in `f32`.
    #[derive(Clone, Copy)]
    pub struct Avx512Pairs;

    // SAFETY: the caller of a method vouches for the instruction set.
    unsafe impl Simd for Avx512Pairs {
        type T = Pair;
        type V = __m512;
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn zero() -> __m512 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: Pair) -> __m512 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(x.bits().cast_signed())) }
        }
        #[inline(always)]
        unsafe fn load(p: *const Pair) -> __m512 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_loadu_ps(p.cast()) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut Pair, v: __m512) {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(p.cast(), v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: the caller's promise; the types differ in what the bits are said to be.
            unsafe {
                _mm512_dpbf16_ps(
                    c,
                    std::mem::transmute::<__m512, __m512bh>(a),
                    std::mem::transmute::<__m512, __m512bh>(b),
                )
            }
        }
        #[inline(always)]
        unsafe fn at_least(low: __m512, x: __m512) -> __m512 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_max_ps(low, x) }
        }
        #[inline(always)]
        unsafe fn at_most(high: __m512, x: __m512) -> __m512 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_min_ps(high, x) }
        }
        #[inline(always)]
        unsafe fn load_part(p: *const Pair, len: usize) -> __m512 {
            // SAFETY: the caller's promise; elements that are masked out are not touched.
            unsafe { _mm512_maskz_loadu_ps(first_16(len), p.cast()) }
        }
        #[inline(always)]
        unsafe fn store_part(p: *mut Pair, v: __m512, len: usize) {
            // SAFETY: as above.
            unsafe { _mm512_mask_storeu_ps(p.cast(), first_16(len), v) }
        }
    }
    intrinsics! {
        /// AVX2 and FMA, `f32`.
        Avx2F32, f32, __m256, 8, _mm256_setzero_ps(), _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
        _mm256_add_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_min_ps,
        #[inline(always)]
        unsafe fn swish(x: __m256) -> __m256 {
            // SAFETY: the caller's promise.
            unsafe { swish_256(x) }
        }
    }
    intrinsics! {
        /// AVX2 and FMA, `f64`.
        Avx2F64, f64, __m256d, 4, _mm256_setzero_pd(), _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd,
        _mm256_add_pd, _mm256_fmadd_pd, _mm256_max_pd, _mm256_min_pd
    }
}
#[cfg(target_arch = "x86_64")]
pub use x86::*;

/// Four pairs of bf16 numbers, without any intrinsics.
#[derive(Clone, Copy)]
pub struct PlainPairs;

// SAFETY: no instruction set is needed.
unsafe impl Simd for PlainPairs {
    type T = Pair;
    type V = [Pair; 4];
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn zero() -> [Pair; 4] {
        [Pair::default(); 4]
    }
    #[inline(always)]
    unsafe fn splat(x: Pair) -> [Pair; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const Pair) -> [Pair; 4] {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[Pair; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut Pair, v: [Pair; 4]) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[Pair; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: [Pair; 4], b: [Pair; 4]) -> [Pair; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn mul_add(a: [Pair; 4], b: [Pair; 4], c: [Pair; 4]) -> [Pair; 4] {
        std::array::from_fn(|i| a[i].dot_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn at_least(low: [Pair; 4], x: [Pair; 4]) -> [Pair; 4] {
        std::array::from_fn(|i| if low[i].sum() > x[i].sum() { low[i] } else { x[i] })
    }
    #[inline(always)]
    unsafe fn at_most(high: [Pair; 4], x: [Pair; 4]) -> [Pair; 4] {
        std::array::from_fn(|i| if high[i].sum() < x[i].sum() { high[i] } else { x[i] })
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::{Simd, logistic};

    intrinsics! {
        /// NEON, `f32`.
        NeonF32, f32, float32x4_t, 4, vdupq_n_f32(0.0), vdupq_n_f32, vld1q_f32, vst1q_f32, vaddq_f32,
        (|a, b, c| vfmaq_f32(c, a, b)), vmaxq_f32, vminq_f32,
        #[inline(always)]
        unsafe fn swish(x: float32x4_t) -> float32x4_t {
            let mut all = [0.0; 4];
            // SAFETY: the caller's promise.
            unsafe {
                vst1q_f32(all.as_mut_ptr(), x);
                vld1q_f32(all.map(|x| x * logistic::<true>(x)).as_ptr())
            }
        }
    }
    intrinsics! {
        /// NEON, `f64`.
        NeonF64, f64, float64x2_t, 2, vdupq_n_f64(0.0), vdupq_n_f64, vld1q_f64, vst1q_f64, vaddq_f64,
        (|a, b, c| vfmaq_f64(c, a, b)), vmaxq_f64, vminq_f64
    }
}
#[cfg(target_arch = "aarch64")]
pub use arm::*;

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn swish_is_what_it_is_in_double_precision() {
        for isa in Isa::available() {
            check_swish(isa);
        }
    }

    fn check_swish(isa: Isa) {
        let swish = |x: f32| {
            let mut out = [x; 16];
            // SAFETY: the instruction set is there, and 16 elements.
            unsafe {
                match isa {
                    Isa::Avx512 => swish_512(&mut out),
                    Isa::Avx2 => swish_256(&mut out),
                    _ => Plain::<f32>::store(out.as_mut_ptr(), Plain::<f32>::swish([x; 4])),
                }
            }
            out[0]
        };
        for i in -2_000_000..2_000_000i32 {
            let x = i as f32 * 1e-4;
            let expected = f64::from(x) / (1.0 + (-f64::from(x)).exp());
            // What is not a normal number may be 0.
            let error = 2.5e-7 * expected.abs() + f64::from(f32::MIN_POSITIVE);
            assert!((f64::from(swish(x)) - expected).abs() <= error, "{isa}: {x}: {} is not {expected}", swish(x));
        }
        assert_eq!((swish(f32::INFINITY), swish(3e38)), (f32::INFINITY, 3e38), "{isa}");
        assert!(swish(f32::NAN).is_nan());
    }

    /// # Safety
    /// The processor has AVX-512.
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
    unsafe fn swish_512(x: &mut [f32; 16]) {
        // SAFETY: the caller's promise.
        unsafe { Avx512F32::store(x.as_mut_ptr(), Avx512F32::swish(Avx512F32::load(x.as_ptr()))) };
    }

    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn swish_256(x: &mut [f32; 16]) {
        // SAFETY: the caller's promise.
        unsafe { Avx2F32::store(x.as_mut_ptr(), Avx2F32::swish(Avx2F32::load(x.as_ptr()))) };
    }

    #[test]
    fn what_is_not_a_number_is_not_clamped() {
        for (low, x, expected) in [(0.0, f32::NAN, f32::NAN), (0.0, -1.0, 0.0), (0.0, 2.0, 2.0)] {
            // SAFETY: no instruction set is needed.
            let plain = unsafe { Plain::<f32>::at_least([low; 4], [x; 4])[0] };
            assert_eq!(plain.to_bits(), f32::to_bits(expected));
            if Isa::Avx512.is_available() {
                assert_eq!(clamped(low, x).to_bits(), f32::to_bits(expected));
            }
        }
    }

    fn clamped(low: f32, x: f32) -> f32 {
        /// # Safety
        /// The processor has AVX-512.
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
        unsafe fn of(low: f32, x: f32, out: &mut [f32; 16]) {
            // SAFETY: the caller's promise.
            unsafe {
                let v = Avx512F32::at_least(Avx512F32::splat(low), Avx512F32::splat(x));
                Avx512F32::store(out.as_mut_ptr(), v);
            }
        }
        let mut out = [0.0; 16];
        // SAFETY: asked for by the caller.
        unsafe { of(low, x, &mut out) };
        out[0]
    }
}
