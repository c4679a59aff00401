//! Products of few rows by matrices that are contiguous along K: each element a dot product of two stretches.
//!
//! Four (or, for one row of A, eight) elements at a time, so that the additions of one do not wait for each other. What
//! is left of K after whole vectors is added element by element.

#[cfg(target_arch = "x86_64")]
use super::super::simd::{Avx2F32, Avx2F64, Avx512F32, Avx512F64};
#[cfg(target_arch = "aarch64")]
use super::super::simd::{NeonF32, NeonF64};
use super::super::simd::{Plain, Simd};
use crate::isa::Isa;

/// Rows of A that the largest kernel takes.
pub(crate) const ROWS: usize = 4;
/// Rows of the transposed B that a kernel takes.
pub(crate) const COLS: usize = 8;

/// `out[r · COLS + c] = Σ a[r][k] · b[c][k]` for `rows` (at most [`ROWS`]) and all [`COLS`].
///
/// # Safety
/// The processor has the instruction set; the pointers can be read for `k` elements, those of `a` up to `rows`.
pub(crate) type Dots<T> =
    unsafe fn(k: usize, rows: usize, a: &[*const T; ROWS], b: &[*const T; COLS], out: &mut [T; ROWS * COLS]);

/// # Safety
/// As [`Dots`].
#[inline(always)]
unsafe fn dots<S: Simd, const R: usize, const C: usize>(
    k: usize,
    a: &[*const S::T],
    b: &[*const S::T],
    out: &mut [S::T],
) where
    S::T: std::ops::Add<Output = S::T> + std::ops::Mul<Output = S::T> + Default,
{
    // SAFETY: reads end at `k`, which the caller vouches for.
    unsafe {
        let mut acc = [[S::zero(); C]; R];
        let whole = k - k % S::LANES;
        let mut i = 0;
        while i < whole {
            let mut bv = [S::zero(); C];
            for c in 0..C {
                bv[c] = S::load(b[c].add(i));
            }
            for r in 0..R {
                let av = S::load(a[r].add(i));
                for c in 0..C {
                    acc[r][c] = S::mul_add(av, bv[c], acc[r][c]);
                }
            }
            i += S::LANES;
        }
        for r in 0..R {
            for c in 0..C {
                let mut parts = [S::T::default(); 16];
                S::store(parts.as_mut_ptr(), acc[r][c]);
                let mut four = [S::T::default(); 4];
                for j in 0..S::LANES {
                    four[j % 4] = four[j % 4] + parts[j];
                }
                let mut sum = (four[0] + four[2]) + (four[1] + four[3]);
                for i in whole..k {
                    sum = sum + *a[r].add(i) * *b[c].add(i);
                }
                out[r * COLS + c] = sum;
            }
        }
    }
}

/// # Safety
/// As [`Dots`].
#[inline(always)]
unsafe fn any_rows<S: Simd>(k: usize, rows: usize, a: &[*const S::T; ROWS], b: &[*const S::T; COLS], out: &mut [S::T])
where
    S::T: std::ops::Add<Output = S::T> + std::ops::Mul<Output = S::T> + Default,
{
    // SAFETY: the caller's promise.
    unsafe {
        match rows {
            1 => dots::<S, 1, 8>(k, a, b, out),
            2 => {
                dots::<S, 2, 4>(k, a, &b[..4], out);
                dots::<S, 2, 4>(k, a, &b[4..], &mut out[4..]);
            }
            _ => {
                dots::<S, 4, 4>(k, a, &b[..4], out);
                dots::<S, 4, 4>(k, a, &b[4..], &mut out[4..]);
            }
        }
    }
}

macro_rules! entry {
    ($name:ident, $simd:ty, $t:ty $(, $feature:literal)?) => {
        /// # Safety
        /// As [`Dots`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $name(k: usize, rows: usize, a: &[*const $t; ROWS], b: &[*const $t; COLS], out: &mut [$t; 32]) {
            // SAFETY: the caller's promise.
            unsafe { any_rows::<$simd>(k, rows, a, b, out) }
        }
    };
}

entry!(plain_f32, Plain<f32>, f32);
entry!(plain_f64, Plain<f64>, f64);
#[cfg(target_arch = "x86_64")]
entry!(avx2_f32, Avx2F32, f32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entry!(avx2_f64, Avx2F64, f64, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entry!(avx512_f32, Avx512F32, f32, "avx512f,avx512vl,avx512dq,avx512bw");
#[cfg(target_arch = "x86_64")]
entry!(avx512_f64, Avx512F64, f64, "avx512f,avx512vl,avx512dq,avx512bw");
#[cfg(target_arch = "aarch64")]
entry!(neon_f32, NeonF32, f32, "neon");
#[cfg(target_arch = "aarch64")]
entry!(neon_f64, NeonF64, f64, "neon");

/// The kernel for `f32`.
pub(crate) fn f32_dots(isa: Isa) -> Dots<f32> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512_f32,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2_f32,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon_f32,
        _ => plain_f32,
    }
}

/// The kernel for `f64`.
pub(crate) fn f64_dots(isa: Isa) -> Dots<f64> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512_f64,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2_f64,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon_f64,
        _ => plain_f64,
    }
}
