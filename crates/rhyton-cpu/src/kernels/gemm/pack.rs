//! Copies of parts of a [`View`] in the order in which the micro-kernels read them.
//!
//! A part is given as runs along the two axes. [`along`] copies when neighbours along the inner axis are neighbours in
//! memory; [`across`] when neighbours along the outer axis of the copy are: a transposition, done in 8 by 8 blocks in
//! registers where the instruction set has the shuffles.

use half::{bf16, f16};

use super::Real;
use super::view::{Elements, Pos, Run, View};
use crate::isa::Isa;

/// An element that can be read as a `T`.
trait Read<T>: Copy {
    fn read(self) -> T;
}

impl<T: Real> Read<T> for T {
    #[inline(always)]
    fn read(self) -> T {
        self
    }
}

/// [`f16`] of a known type, so that the blanket implementation above does not cover it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Half(f16);

/// [`bf16`], likewise.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Brain(bf16);

impl<T: Real> Read<T> for Half {
    #[inline(always)]
    fn read(self) -> T {
        T::from_f32(self.0.to_f32())
    }
}

impl<T: Real> Read<T> for Brain {
    #[inline(always)]
    fn read(self) -> T {
        T::from_f32(f32::from_bits(u32::from(self.0.to_bits()) << 16))
    }
}

/// `dst[i · ld + j]` becomes the element at `outer[i]` + `j`-th of `inner`, for all of both.
///
/// # Safety
/// The positions are of `view`, whose bounds were checked, and `origin` is its origin moved within the checked batch;
/// `dst` can be written for `ld · (outer.len() - 1) + Σ inner` elements.
pub(crate) unsafe fn along<T: Real>(
    isa: Isa,
    view: &View<T>,
    origin: Pos,
    outer: &[Run],
    inner: &[Run],
    dst: *mut T,
    ld: usize,
) {
    // SAFETY: the caller's promise; the wrappers have the layout of what they wrap.
    unsafe {
        match view.data {
            Elements::Native(data) => match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => along_avx512(view, data.as_ptr(), origin, outer, inner, dst, ld),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => along_avx2(view, data.as_ptr(), origin, outer, inner, dst, ld),
                _ => along_of(view, data.as_ptr(), origin, outer, inner, dst, ld),
            },
            Elements::F16(data) => along_of(view, data.as_ptr().cast::<Half>(), origin, outer, inner, dst, ld),
            Elements::Bf16(data) => along_of(view, data.as_ptr().cast::<Brain>(), origin, outer, inner, dst, ld),
        }
    }
}

/// # Safety
/// As [`along`], and the processor has AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
unsafe fn along_avx512<T: Real>(
    view: &View<T>,
    data: *const T,
    origin: Pos,
    outer: &[Run],
    inner: &[Run],
    dst: *mut T,
    ld: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { along_of(view, data, origin, outer, inner, dst, ld) }
}

/// # Safety
/// As [`along`], and the processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn along_avx2<T: Real>(
    view: &View<T>,
    data: *const T,
    origin: Pos,
    outer: &[Run],
    inner: &[Run],
    dst: *mut T,
    ld: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { along_of(view, data, origin, outer, inner, dst, ld) }
}

/// Asks for the cache line at `p`, which may lie anywhere, in the second-level cache. On a Zen 4 it is 5% of ResNet50 for one image
/// faster than to ask for it in the first-level one: that takes the few buffers in which loads wait, too.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T) {
    // SAFETY: a hint, which never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Asks for the cache line at `p`, which may lie anywhere and will be written. Processors without the instruction do nothing.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(p: *mut T) {
    // SAFETY: a hint, which never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(p.cast::<i8>().cast_const());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Elements that are copied at once: a vector of `f32`.
const CHUNK: usize = 16;

/// # Safety
/// As [`along`].
#[inline(always)]
unsafe fn along_of<E: Read<T>, T: Real>(
    view: &View<T>,
    data: *const E,
    origin: Pos,
    outer: &[Run],
    inner: &[Run],
    dst: *mut T,
    ld: usize,
) {
    for (i, run) in outer.iter().enumerate() {
        let start = origin.plus(run.pos);
        let mut to = dst.wrapping_add(i * ld);
        // Rows lie apart, so the processor does not foresee them; without this, half the time is spent waiting.
        if let (Some(ahead), Some(part)) = (outer.get(i + 8), inner.first()) {
            let from = data.wrapping_offset(origin.offset.wrapping_add(ahead.pos.offset + part.pos.offset));
            (0..part.len.min(128) * size_of::<E>()).step_by(64).for_each(|byte| prefetch(from.wrapping_byte_add(byte)));
        }
        for part in inner {
            let pos = start.plus(part.pos);
            // SAFETY: a position inside the image was checked to lie in the buffer with the whole of its run, and
            // `dst` has room for it.
            unsafe {
                if view.holds(pos.at) {
                    let from = data.offset(pos.offset);
                    let whole = part.len - part.len % CHUNK;
                    for j in (0..whole).step_by(CHUNK) {
                        // All are read before any is written: the compiler need not fear that they overlap.
                        let read = from.add(j).cast::<[E; CHUNK]>().read_unaligned();
                        let mut chunk = [T::ZERO; CHUNK];
                        for i in 0..CHUNK {
                            chunk[i] = read[i].read();
                        }
                        to.add(j).cast::<[T; CHUNK]>().write_unaligned(chunk);
                    }
                    for j in whole..part.len {
                        *to.add(j) = (*from.add(j)).read();
                    }
                } else {
                    for j in 0..part.len {
                        *to.add(j) = T::ZERO;
                    }
                }
                to = to.add(part.len);
            }
        }
    }
}

/// `dst[j · ld + i]` becomes the element at `outer[i]` + `j`-th of `inner`, for all of both.
///
/// # Safety
/// As [`along`], with `dst` writable for `ld · (Σ inner - 1) + outer.len()` elements.
pub(crate) unsafe fn across<T: Real>(
    view: &View<T>,
    origin: Pos,
    outer: &[Run],
    inner: &[Run],
    dst: *mut T,
    ld: usize,
    transpose: Option<Transpose8<T>>,
) {
    // SAFETY: the caller's promise; the wrappers have the layout of what they wrap.
    unsafe {
        match view.data {
            Elements::Native(data) => {
                let mut first = 0;
                if let Some(transpose) = transpose {
                    while outer.len() - first >= 8 {
                        let group = &outer[first..first + 8];
                        across_8(view, data.as_ptr(), origin, group, inner, dst.add(first), ld, transpose);
                        first += 8;
                    }
                }
                across_of(view, data.as_ptr(), origin, &outer[first..], inner, dst.wrapping_add(first), ld);
            }
            Elements::F16(data) => across_of(view, data.as_ptr().cast::<Half>(), origin, outer, inner, dst, ld),
            Elements::Bf16(data) => across_of(view, data.as_ptr().cast::<Brain>(), origin, outer, inner, dst, ld),
        }
    }
}

/// # Safety
/// As [`across`].
unsafe fn across_of<E: Read<T>, T: Real>(
    view: &View<T>,
    data: *const E,
    origin: Pos,
    outer: &[Run],
    inner: &[Run],
    dst: *mut T,
    ld: usize,
) {
    for (i, run) in outer.iter().enumerate() {
        let start = origin.plus(run.pos);
        let mut to = dst.wrapping_add(i);
        for part in inner {
            let pos = start.plus(part.pos);
            let inside = view.holds(pos.at);
            for j in 0..part.len {
                // SAFETY: as in `along_of`.
                unsafe { *to = if inside { (*data.offset(pos.offset).add(j)).read() } else { T::ZERO } };
                to = to.wrapping_add(ld);
            }
        }
    }
}

/// Transposes 8 by 8: reads 8 elements at each of 8 pointers, writes 8 at each of 8 multiples of `ld`.
///
/// # Safety
/// Those can be read and written, and the processor has the instruction set.
pub(crate) type Transpose8<T> = unsafe fn(from: &[*const T; 8], to: *mut T, ld: usize);

/// [`across`] for 8 of `outer`, whose runs are cut into pieces of 8.
///
/// # Safety
/// As [`across`] and [`Transpose8`].
#[expect(clippy::too_many_arguments, reason = "the arguments of `across`, split")]
unsafe fn across_8<T: Real>(
    view: &View<T>,
    data: *const T,
    origin: Pos,
    outer: &[Run],
    inner: &[Run],
    dst: *mut T,
    ld: usize,
    transpose: Transpose8<T>,
) {
    let zeros = [T::ZERO; 8];
    let mut to = dst;
    for part in inner {
        let mut from = [zeros.as_ptr(); 8];
        let mut step = [0usize; 8];
        for i in 0..8 {
            let pos = origin.plus(outer[i].pos).plus(part.pos);
            if view.holds(pos.at) {
                from[i] = data.wrapping_offset(pos.offset);
                step[i] = 1;
            }
        }
        let mut j = 0;
        // SAFETY: as in `along_of`; a row outside the image reads the 8 zeros and does not move.
        unsafe {
            while part.len - j >= 8 {
                transpose(&from, to, ld);
                for i in 0..8 {
                    from[i] = from[i].wrapping_add(8 * step[i]);
                }
                to = to.wrapping_add(8 * ld);
                j += 8;
            }
            while j < part.len {
                for i in 0..8 {
                    *to.add(i) = *from[i];
                    from[i] = from[i].wrapping_add(step[i]);
                }
                to = to.wrapping_add(ld);
                j += 1;
            }
        }
    }
}

/// [`Transpose8`] of `f32` with AVX.
///
/// # Safety
/// As [`Transpose8`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn transpose8_avx(from: &[*const f32; 8], to: *mut f32, ld: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise.
    unsafe {
        // Rows i and i + 4 share a register, so that what is left to do stays within 128-bit lanes.
        let pair = |i: usize, half: usize| {
            let low = _mm256_castps128_ps256(_mm_loadu_ps(from[i].add(half)));
            _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from[i + 4].add(half)))
        };
        for half in [0, 4] {
            let (r0, r1, r2, r3) = (pair(0, half), pair(1, half), pair(2, half), pair(3, half));
            let (t0, t1) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
            let (t2, t3) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
            let to = to.add(half * ld);
            _mm256_storeu_ps(to, _mm256_shuffle_ps::<0x44>(t0, t2));
            _mm256_storeu_ps(to.add(ld), _mm256_shuffle_ps::<0xee>(t0, t2));
            _mm256_storeu_ps(to.add(2 * ld), _mm256_shuffle_ps::<0x44>(t1, t3));
            _mm256_storeu_ps(to.add(3 * ld), _mm256_shuffle_ps::<0xee>(t1, t3));
        }
    }
}

/// [`Transpose8`] of [`Pair`](super::Pair)s with AVX.
///
/// # Safety
/// As [`Transpose8`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn transpose8_avx_pairs(from: &[*const super::Pair; 8], to: *mut super::Pair, ld: usize) {
    // SAFETY: the caller's promise; elements of the same size, moved by instructions that need no alignment.
    unsafe { transpose8_avx(&from.map(<*const super::Pair>::cast), to.cast(), ld) }
}
