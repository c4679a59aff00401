//! The sums before and after the products.

use super::{OPERANDS, PRODUCTS};
use crate::isa::Isa;
use crate::kernels::gemm::{Finishing, part, put};
#[cfg(target_arch = "aarch64")]
use crate::kernels::simd::NeonF32;
#[cfg(target_arch = "x86_64")]
use crate::kernels::simd::{Avx2F32, Avx512F32};
use crate::kernels::simd::{Plain, Simd};

/// The sums of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Sums<T> {
    /// Of the halves of two rows of the left operand, `half` elements each, those that are multiplied: sum `i` goes to
    /// `to + i · step`.
    ///
    /// # Safety
    /// The processor has the instruction set; the rows can be read for `2 · half` elements; each sum can be written for whole
    /// vectors.
    pub(super) operands: Operands<T>,
    /// The `cols` elements of two rows of the result, in the left and the right half, of the products, of which product `p` is
    /// at `from + p · step`; finished, they go through one pointer each, null for a row that is not there.
    ///
    /// # Safety
    /// As for `operands`; the products can be read for whole vectors; the halves of `finish` are for these places.
    pub(super) results: Results<T>,
    /// `x + sign · y` of `len` elements that are `stride` apart, next to each other at `to`; only `x` if `y` is null.
    ///
    /// # Safety
    /// They can be read and written.
    pub(super) kernel: unsafe fn(x: *const T, y: *const T, sign: f32, stride: isize, len: usize, to: *mut T),
}

/// Those for `f32`.
pub(crate) fn f32_sums(isa: Isa) -> Sums<f32> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    let (operands, results): (Operands<f32>, Results<f32>) = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (operands_avx512, results_avx512),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (operands_avx2, results_avx2),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => (operands_neon, results_neon),
        _ => (operands_plain, results_plain),
    };
    Sums { operands, results, kernel }
}

/// Rows, elements of a half, where to, and how far apart.
type Operands<T> = unsafe fn([*const T; 2], usize, *mut T, usize);
/// Where from and how far apart, columns, where to, and what is done before.
type Results<T> = unsafe fn(*const T, usize, usize, [[*mut T; 2]; 2], Option<&[Finishing<T>; 2]>);

/// `a - b`.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn sub<S: Simd<T = f32>>(a: S::V, b: S::V) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { S::mul_add(b, S::splat(-1.0), a) }
}

/// # Safety
/// As [`Sums::operands`].
#[inline(always)]
unsafe fn operands<S: Simd<T = f32>>(rows: [*const f32; 2], half: usize, to: *mut f32, step: usize) {
    for first in (0..half).step_by(S::LANES) {
        let len = S::LANES.min(half - first);
        // SAFETY: the caller's promise.
        unsafe {
            let [[a11, a12], [a21, a22]] =
                rows.map(|row| [part::<S>(row.add(first), len), part::<S>(row.add(half + first), len)]);
            let sums: [S::V; OPERANDS] =
                [S::add(a11, a22), S::add(a21, a22), S::add(a11, a12), sub::<S>(a21, a11), sub::<S>(a12, a22)];
            for (i, sum) in sums.into_iter().enumerate() {
                S::store(to.add(i * step + first), sum);
            }
        }
    }
}

/// # Safety
/// As [`Sums::results`].
#[inline(always)]
unsafe fn results<S: Simd<T = f32>>(
    from: *const f32,
    step: usize,
    cols: usize,
    to: [[*mut f32; 2]; 2],
    finish: Option<&[Finishing<f32>; 2]>,
) {
    for first in (0..cols).step_by(S::LANES) {
        let len = S::LANES.min(cols - first);
        // SAFETY: the caller's promise.
        unsafe {
            let m: [S::V; PRODUCTS] = std::array::from_fn(|p| S::load(from.add(p * step + first)));
            let diagonal = [S::add(m[0], sub::<S>(m[3], m[4])), S::add(m[2], sub::<S>(m[0], m[1]))];
            let all =
                [[S::add(diagonal[0], m[6]), S::add(m[2], m[4])], [S::add(m[1], m[3]), S::add(diagonal[1], m[5])]];
            for (row, to) in all.into_iter().zip(to) {
                if to[0].is_null() {
                    continue;
                }
                for half in 0..2 {
                    let at = to[half].add(first);
                    let mut x = row[half];
                    if let Some(finish) = finish {
                        let bias = finish[half].bias;
                        let bias = if bias.is_null() { S::zero() } else { part::<S>(bias.add(first), len) };
                        x = finish[half].of::<S>(x, bias, at, len);
                    }
                    put::<S>(at, x, len);
                }
            }
        }
    }
}

/// # Safety
/// As [`Sums::kernel`].
unsafe fn kernel(x: *const f32, y: *const f32, sign: f32, stride: isize, len: usize, to: *mut f32) {
    for i in 0..len {
        // SAFETY: the caller's promise.
        unsafe {
            let from = i as isize * stride;
            let y = if y.is_null() { 0.0 } else { sign * *y.offset(from) };
            *to.add(i) = *x.offset(from) + y;
        }
    }
}

macro_rules! entries {
    ($operands:ident, $results:ident, $simd:ty $(, $feature:literal)?) => {
        /// # Safety
        /// As [`Sums::operands`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $operands(rows: [*const f32; 2], half: usize, to: *mut f32, step: usize) {
            // SAFETY: the caller's promise.
            unsafe { operands::<$simd>(rows, half, to, step) }
        }

        /// # Safety
        /// As [`Sums::results`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $results(
            from: *const f32,
            step: usize,
            cols: usize,
            to: [[*mut f32; 2]; 2],
            finish: Option<&[Finishing<f32>; 2]>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { results::<$simd>(from, step, cols, to, finish) }
        }
    };
}

entries!(operands_plain, results_plain, Plain<f32>);
#[cfg(target_arch = "x86_64")]
entries!(operands_avx2, results_avx2, Avx2F32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entries!(operands_avx512, results_avx512, Avx512F32, "avx512f,avx512vl,avx512dq,avx512bw");
#[cfg(target_arch = "aarch64")]
entries!(operands_neon, results_neon, NeonF32, "neon");
