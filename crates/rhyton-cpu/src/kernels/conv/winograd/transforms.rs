//! The transforms of tiles, outputs and kernels, and those the other way for gradients of kernels.

use super::{IN, OUT, POINTS, TAPS};
use crate::isa::Isa;
use crate::kernels::gemm::Finishing;
#[cfg(target_arch = "aarch64")]
use crate::kernels::simd::NeonF32;
#[cfg(target_arch = "x86_64")]
use crate::kernels::simd::{Avx2F32, Avx512F32};
use crate::kernels::simd::{Plain, Simd};

/// The points of interpolation beside 0 and infinity are ±A and ±B; their product is 1.
const A: f32 = 2.0 / 3.0;
const B: f32 = 1.5;

/// The transforms of an instruction set.
pub(crate) struct Transforms<T> {
    /// `Bᵀ d B` of `features` features: the inputs of a tile come through one pointer each, element `p` of the result goes
    /// to `to + p · step`.
    ///
    /// # Safety
    /// The processor has the instruction set; the pointers can be read for `features`, a multiple of [`FEATURES`]; the
    /// results can be written.
    pub(super) input: unsafe fn(from: &[*const T; POINTS], features: usize, to: *mut T, step: usize),
    /// `Aᵀ m A` of `features` features: element `p` comes from `from + p · step`; outputs, finished, go through one pointer each,
    /// null for those that lie outside of the result.
    ///
    /// # Safety
    /// As for `input`; `finish` is for these outputs.
    pub(super) output: Output<T>,
    /// `G g Gᵀ` of `features` kernels, whose taps come through one pointer each; element `p` of the result goes to
    /// `to + p · step`.
    ///
    /// # Safety
    /// As for `input`.
    pub(super) kernel: unsafe fn(from: &[*const T; TAPS], features: usize, to: *mut T, step: usize),
    /// `A y Aᵀ` of `features` features: the outputs of a tile come through one pointer each; element `p` of the result goes to
    /// `to + p · step`.
    ///
    /// # Safety
    /// As for `input`.
    pub(super) output_gradient: unsafe fn(from: &[*const T; OUT * OUT], features: usize, to: *mut T, step: usize),
    /// `Gᵀ m G` of `features` features: element `p` comes from `from + p · step`; the taps go through one pointer each.
    ///
    /// # Safety
    /// As for `input`.
    pub(super) kernel_gradient: unsafe fn(from: *const T, step: usize, features: usize, to: &[*mut T; TAPS]),
}

type Output<T> = unsafe fn(*const T, usize, usize, &[*mut T; OUT * OUT], Option<&Finishing<T>>);

/// The transforms for `f32`.
pub(crate) fn f32_transforms(isa: Isa) -> Transforms<f32> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Transforms {
            input: input_avx512,
            output: output_avx512,
            kernel: kernel_avx512,
            output_gradient: output_gradient_avx512,
            kernel_gradient: kernel_gradient_avx512,
        },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Transforms {
            input: input_avx2,
            output: output_avx2,
            kernel: kernel_avx2,
            output_gradient: output_gradient_avx2,
            kernel_gradient: kernel_gradient_avx2,
        },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Transforms {
            input: input_neon,
            output: output_neon,
            kernel: kernel_neon,
            output_gradient: output_gradient_neon,
            kernel_gradient: kernel_gradient_neon,
        },
        _ => Transforms {
            input: input_plain,
            output: output_plain,
            kernel: kernel_plain,
            output_gradient: output_gradient_plain,
            kernel_gradient: kernel_gradient_plain,
        },
    }
}

/// `a · k + c`.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn fma<S: Simd<T = f32>>(a: S::V, k: f32, c: S::V) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { S::mul_add(a, S::splat(k), c) }
}

/// A row of `Bᵀ d`.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn to_points<S: Simd<T = f32>>(d: [S::V; IN]) -> [S::V; IN] {
    // SAFETY: the caller's promise.
    unsafe {
        let (even_a, odd_a) = (fma::<S>(d[2], -B * B, d[4]), fma::<S>(d[1], -B * B, d[3]));
        let (even_b, odd_b) = (fma::<S>(d[2], -A * A, d[4]), fma::<S>(d[1], -A * A, d[3]));
        [
            S::add(d[0], fma::<S>(d[2], -A * A - B * B, d[4])),
            fma::<S>(odd_a, A, even_a),
            fma::<S>(odd_a, -A, even_a),
            fma::<S>(odd_b, B, even_b),
            fma::<S>(odd_b, -B, even_b),
            S::add(d[1], fma::<S>(d[3], -A * A - B * B, d[5])),
        ]
    }
}

/// A row of `Aᵀ m`.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn from_points<S: Simd<T = f32>>(m: [S::V; IN]) -> [S::V; OUT] {
    // SAFETY: the caller's promise.
    unsafe {
        let (sum_a, difference_a) = (S::add(m[1], m[2]), fma::<S>(m[2], -1.0, m[1]));
        let (sum_b, difference_b) = (S::add(m[3], m[4]), fma::<S>(m[4], -1.0, m[3]));
        let odd = |k_a: f32, k_b: f32, rest: S::V| fma::<S>(difference_a, k_a, fma::<S>(difference_b, k_b, rest));
        [
            S::add(m[0], S::add(sum_a, sum_b)),
            odd(A, B, S::zero()),
            fma::<S>(sum_a, A * A, fma::<S>(sum_b, B * B, S::zero())),
            odd(A * A * A, B * B * B, m[5]),
        ]
    }
}

/// # Safety
/// As [`Transforms::input`].
#[inline(always)]
unsafe fn input<S: Simd<T = f32>>(from: &[*const f32; POINTS], features: usize, to: *mut f32, step: usize) {
    for first in (0..features).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut half = [[S::zero(); IN]; IN];
            for x in 0..IN {
                let column = to_points::<S>(std::array::from_fn(|y| S::load(from[y * IN + x].add(first))));
                for y in 0..IN {
                    half[y][x] = column[y];
                }
            }
            for (y, row) in half.into_iter().enumerate() {
                for (x, value) in to_points::<S>(row).into_iter().enumerate() {
                    S::store(to.add((y * IN + x) * step + first), value);
                }
            }
        }
    }
}

/// # Safety
/// As [`Transforms::output`].
#[inline(always)]
unsafe fn output<S: Simd<T = f32>>(
    from: *const f32,
    step: usize,
    features: usize,
    to: &[*mut f32; OUT * OUT],
    finish: Option<&Finishing<f32>>,
) {
    for first in (0..features).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let bias = match finish {
                Some(finish) if !finish.bias.is_null() => S::load(finish.bias.add(first)),
                _ => S::zero(),
            };
            let mut half = [[S::zero(); IN]; OUT];
            for x in 0..IN {
                let column = from_points::<S>(std::array::from_fn(|y| S::load(from.add((y * IN + x) * step + first))));
                for y in 0..OUT {
                    half[y][x] = column[y];
                }
            }
            for (y, row) in half.into_iter().enumerate() {
                for (x, value) in from_points::<S>(row).into_iter().enumerate() {
                    let at = to[y * OUT + x];
                    if !at.is_null() {
                        let at = at.add(first);
                        let value = match finish {
                            Some(finish) => finish.of::<S>(value, bias, at, S::LANES),
                            None => value,
                        };
                        S::store(at, value);
                    }
                }
            }
        }
    }
}

/// What a kernel's value at ±p is divided by: the product of that point's distances to the other finite points, 2p²(p² − q²).
const fn weight(p: f32, q: f32) -> f32 {
    1.0 / (2.0 * p * p * (p * p - q * q))
}

/// A row of `G g`.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn kernel_to_points<S: Simd<T = f32>>(g: [S::V; 3]) -> [S::V; IN] {
    let at = |p: f32, q: f32| {
        let scale = weight(p, q);
        // SAFETY: the caller's promise.
        unsafe {
            let even = fma::<S>(g[2], scale * p * p, fma::<S>(g[0], scale, S::zero()));
            [fma::<S>(g[1], scale * p, even), fma::<S>(g[1], -scale * p, even)]
        }
    };
    let ([a, minus_a], [b, minus_b]) = (at(A, B), at(B, A));
    [g[0], a, minus_a, b, minus_b, g[2]]
}

/// # Safety
/// As [`Transforms::kernel`].
#[inline(always)]
unsafe fn kernel<S: Simd<T = f32>>(from: &[*const f32; TAPS], features: usize, to: *mut f32, step: usize) {
    for first in (0..features).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut half = [[S::zero(); 3]; IN];
            for x in 0..3 {
                let column = kernel_to_points::<S>(std::array::from_fn(|y| S::load(from[y * 3 + x].add(first))));
                for y in 0..IN {
                    half[y][x] = column[y];
                }
            }
            for (y, row) in half.into_iter().enumerate() {
                for (x, value) in kernel_to_points::<S>(row).into_iter().enumerate() {
                    S::store(to.add((y * IN + x) * step + first), value);
                }
            }
        }
    }
}

/// A column of `A y`, the transposed of [`from_points`].
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn outputs_to_points<S: Simd<T = f32>>(y: [S::V; OUT]) -> [S::V; IN] {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |p: f32| {
            let even = fma::<S>(y[2], p * p, y[0]);
            let odd = fma::<S>(y[3], p * p * p, fma::<S>(y[1], p, S::zero()));
            [S::add(even, odd), fma::<S>(odd, -1.0, even)]
        };
        let ([a, minus_a], [b, minus_b]) = (at(A), at(B));
        [y[0], a, minus_a, b, minus_b, y[3]]
    }
}

/// # Safety
/// As [`Transforms::output_gradient`].
#[inline(always)]
unsafe fn output_gradient<S: Simd<T = f32>>(
    from: &[*const f32; OUT * OUT],
    features: usize,
    to: *mut f32,
    step: usize,
) {
    for first in (0..features).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut half = [[S::zero(); OUT]; IN];
            for x in 0..OUT {
                let column = outputs_to_points::<S>(std::array::from_fn(|y| S::load(from[y * OUT + x].add(first))));
                for y in 0..IN {
                    half[y][x] = column[y];
                }
            }
            for (y, row) in half.into_iter().enumerate() {
                for (x, value) in outputs_to_points::<S>(row).into_iter().enumerate() {
                    S::store(to.add((y * IN + x) * step + first), value);
                }
            }
        }
    }
}

/// A column of `Gᵀ m`, the transposed of [`kernel_to_points`].
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn points_to_kernel<S: Simd<T = f32>>(m: [S::V; IN]) -> [S::V; 3] {
    let (at_a, at_b) = (const { weight(A, B) }, const { weight(B, A) });
    // SAFETY: the caller's promise.
    unsafe {
        let (sum_a, difference_a) = (S::add(m[1], m[2]), fma::<S>(m[2], -1.0, m[1]));
        let (sum_b, difference_b) = (S::add(m[3], m[4]), fma::<S>(m[4], -1.0, m[3]));
        [
            fma::<S>(sum_a, at_a, fma::<S>(sum_b, at_b, m[0])),
            fma::<S>(difference_a, at_a * A, fma::<S>(difference_b, at_b * B, S::zero())),
            fma::<S>(sum_a, at_a * A * A, fma::<S>(sum_b, at_b * B * B, m[5])),
        ]
    }
}

/// # Safety
/// As [`Transforms::kernel_gradient`].
#[inline(always)]
unsafe fn kernel_gradient<S: Simd<T = f32>>(from: *const f32, step: usize, features: usize, to: &[*mut f32; TAPS]) {
    for first in (0..features).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut half = [[S::zero(); IN]; 3];
            for x in 0..IN {
                let column =
                    points_to_kernel::<S>(std::array::from_fn(|y| S::load(from.add((y * IN + x) * step + first))));
                for y in 0..3 {
                    half[y][x] = column[y];
                }
            }
            for (y, row) in half.into_iter().enumerate() {
                for (x, value) in points_to_kernel::<S>(row).into_iter().enumerate() {
                    S::store(to[y * 3 + x].add(first), value);
                }
            }
        }
    }
}

macro_rules! entries {
    (
        $input:ident, $output:ident, $kernel:ident, $output_gradient:ident, $kernel_gradient:ident,
        $simd:ty $(, $feature:literal)?
    ) => {
        /// # Safety
        /// As [`Transforms::input`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $input(from: &[*const f32; POINTS], features: usize, to: *mut f32, step: usize) {
            // SAFETY: the caller's promise.
            unsafe { input::<$simd>(from, features, to, step) }
        }

        /// # Safety
        /// As [`Transforms::output`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $output(
            from: *const f32,
            step: usize,
            features: usize,
            to: &[*mut f32; OUT * OUT],
            finish: Option<&Finishing<f32>>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { output::<$simd>(from, step, features, to, finish) }
        }

        /// # Safety
        /// As [`Transforms::kernel`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $kernel(from: &[*const f32; TAPS], features: usize, to: *mut f32, step: usize) {
            // SAFETY: the caller's promise.
            unsafe { kernel::<$simd>(from, features, to, step) }
        }

        /// # Safety
        /// As [`Transforms::output_gradient`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $output_gradient(from: &[*const f32; OUT * OUT], features: usize, to: *mut f32, step: usize) {
            // SAFETY: the caller's promise.
            unsafe { output_gradient::<$simd>(from, features, to, step) }
        }

        /// # Safety
        /// As [`Transforms::kernel_gradient`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $kernel_gradient(from: *const f32, step: usize, features: usize, to: &[*mut f32; TAPS]) {
            // SAFETY: the caller's promise.
            unsafe { kernel_gradient::<$simd>(from, step, features, to) }
        }
    };
}

entries!(input_plain, output_plain, kernel_plain, output_gradient_plain, kernel_gradient_plain, Plain<f32>);
#[cfg(target_arch = "x86_64")]
entries!(input_avx2, output_avx2, kernel_avx2, output_gradient_avx2, kernel_gradient_avx2, Avx2F32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entries!(
    input_avx512,
    output_avx512,
    kernel_avx512,
    output_gradient_avx512,
    kernel_gradient_avx512,
    Avx512F32,
    "avx512f,avx512vl,avx512dq,avx512bw"
);
#[cfg(target_arch = "aarch64")]
entries!(input_neon, output_neon, kernel_neon, output_gradient_neon, kernel_gradient_neon, NeonF32, "neon");
