//! The innermost loop: a tile of C of `MR` rows by `NV` vectors, held in registers over the whole of a block of K.
//!
//! A is read element by element and broadcast, through one pointer a row, so that it can be a row of a matrix, of an
//! image (a convolution) or of a packed tile alike; B is read in vectors along its rows. With the rows of A reached by
//! pointers, a convolution needs no copy of its windows: it passes a pointer for each row and tap.
//!
//! Sizes. AVX-512 has 32 registers and does two `fmadd` and two loads a cycle. 6 rows by 4 vectors take 24 registers
//! for C, 4 for B and 1 for A, and 10 loads for 24 `fmadd`; with fewer vectors, where there are fewer columns, there
//! are 8 rows: more pointers than that do not fit the general registers (14 by 1 ran at half the rate). AVX2 has 16 registers: 6 by 2, as BLIS.

#[cfg(target_arch = "x86_64")]
use super::super::simd::{Avx2F32, Avx2F64, Avx512F32, Avx512F64, Avx512Pairs};
#[cfg(target_arch = "aarch64")]
use super::super::simd::{NeonF32, NeonF64};
use super::super::simd::{Plain, PlainPairs, Simd};
use super::Pair;
use super::pack::{prefetch, prefetch_to_write};
use crate::isa::Isa;

/// The most elements of a tile: enough for every kernel below.
pub(crate) const MAX_TILE: usize = 6 * 64;
/// The most rows of a tile.
pub(crate) const MAX_ROWS: usize = 8;

/// What a micro-kernel works on.
pub(crate) struct Micro<T> {
    /// For each run of K, one pointer a row of the tile.
    pub(crate) rows: *const *const T,
    /// The length of each run.
    pub(crate) lens: *const usize,
    /// How many runs.
    pub(crate) runs: usize,
    /// Elements between neighbours along K in A.
    pub(crate) a_step: usize,
    /// The first row of B's panel.
    pub(crate) b: *const T,
    /// Elements between neighbours along K in B.
    pub(crate) b_step: usize,
    /// One pointer a row of the tile of C.
    pub(crate) c: *const *mut T,
    /// Elements to add to each of them.
    pub(crate) c_offset: usize,
    /// Add to C instead of overwriting it.
    pub(crate) accumulate: bool,
    /// Rows of the tile that C has: the others are computed and not written.
    pub(crate) height: usize,
    /// Elements of the last vector of each row that C has.
    pub(crate) last: usize,
    /// What is done to the elements before they are written.
    pub(crate) finish: Option<Finishing<T>>,
    /// Bytes from a row of B to two lines of the cache that are fetched meanwhile, see [`ahead`]; 0 for none.
    pub(crate) ahead: isize,
}

/// Bytes of a line of the cache.
const LINE: usize = 64;
/// Lines that a micro-kernel fetches for each row of B. They come while it multiplies; to ask for many at once would make it
/// wait.
const LINES: usize = 2;

/// What [`Micro::ahead`] is for the `group`-th rows of A that are multiplied by a panel at `b` of `width` columns, so that the
/// panel at `next`, if not null, is in a cache near when it is its turn. Kernels that stay the same come from memory in every run
/// of a model: without this the processor waits for them at first, and memory has nothing to do then.
pub(crate) fn ahead<T>(b: *const T, next: *const T, width: usize, group: usize) -> isize {
    let from = group * LINES * LINE;
    if next.is_null() || from >= width * size_of::<T>() {
        return 0;
    }
    (next as isize).wrapping_sub(b as isize).wrapping_add(from as isize)
}

/// [`Finish`](super::Finish) for a row of vectors.
#[derive(Clone, Copy)]
pub(crate) struct Finishing<T> {
    /// The bias of the first column, or null.
    pub(crate) bias: *const T,
    /// What is added, at the places that elements have from `c` on, or null.
    pub(crate) plus: *const T,
    pub(crate) c: *const T,
    pub(crate) low: T,
    pub(crate) high: T,
    /// Whether [`swish`] is to follow.
    pub(crate) swish: bool,
}

impl<T: Copy> Finishing<T> {
    /// What becomes of `x`, `bias` and the `len` elements that are added to those at `at`.
    ///
    /// # Safety
    /// The processor has the instruction set. `at` lies in the buffer that starts at `c`, and `plus` is null or can be read for
    /// `len` elements at the same place.
    #[inline(always)]
    pub(crate) unsafe fn of<S: Simd<T = T>>(&self, x: S::V, bias: S::V, at: *const T, len: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe {
            let mut x = S::add(x, bias);
            if !self.plus.is_null() {
                x = S::add(x, part::<S>(self.plus.offset(at.offset_from(self.c)), len));
            }
            S::at_most(S::splat(self.high), S::at_least(S::splat(self.low), x))
        }
    }
}

/// The swish of `len` elements at `p`, in place. A pass of its own over what is in cache: it is too long to be repeated for
/// each register of a tile.
///
/// # Safety
/// They can be read and written, and the processor has the instruction set.
#[inline(always)]
pub(crate) unsafe fn swish<S: Simd>(p: *mut S::T, len: usize) {
    for first in (0..len).step_by(S::LANES) {
        let n = S::LANES.min(len - first);
        // SAFETY: the caller's promise.
        unsafe { put::<S>(p.add(first), S::swish(part::<S>(p.add(first), n)), n) };
    }
}

/// Writes `len` elements at `p`.
///
/// # Safety
/// They can be written, and the processor has the instruction set.
#[inline(always)]
pub(crate) unsafe fn put<S: Simd>(p: *mut S::T, v: S::V, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { if len == S::LANES { S::store(p, v) } else { S::store_part(p, v, len) } }
}

/// The `len` elements at `p`.
///
/// # Safety
/// They can be read, and the processor has the instruction set.
#[inline(always)]
pub(crate) unsafe fn part<S: Simd>(p: *const S::T, len: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { if len == S::LANES { S::load(p) } else { S::load_part(p, len) } }
}

/// Computes a tile.
///
/// # Safety
/// The processor has the kernel's instruction set. `rows` has `runs · MR` pointers, `lens` has `runs` lengths; each
/// pointer can be read at multiples of `a_step` below `len · a_step`; `b` can be read for `NV · LANES` elements at each
/// of `Σ lens` multiples of `b_step`; each of the first `height` pointers of `c`, plus `c_offset`, can be read and written for
/// `(NV - 1) · LANES + last` elements, by nobody else meanwhile; a `finish` is for these places.
pub(crate) type MicroFn<T> = unsafe fn(&Micro<T>);

/// The kernels of an instruction set and element type.
pub(crate) struct Kernels<T: 'static> {
    /// Elements of a vector.
    pub(crate) lanes: usize,
    /// For tiles of 1, 2, … vectors: the number of rows and the kernel, ascending; the last is the one of choice.
    pub(crate) by_width: &'static [&'static [(usize, MicroFn<T>)]],
}

impl<T> Kernels<T> {
    /// Elements of the widest tile's row.
    pub(crate) fn panel(&self) -> usize {
        self.by_width.len() * self.lanes
    }

    /// The kernels for panels of `width` columns.
    pub(crate) fn of_width(&self, width: usize) -> &'static [(usize, MicroFn<T>)] {
        self.by_width[width / self.lanes - 1]
    }
}

/// # Safety
/// As [`MicroFn`].
#[inline(always)]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(m: &Micro<S::T>) {
    // SAFETY: every read and write is one that the caller vouches for, see `MicroFn`; pointers are only advanced past
    // the last element by one step, with `wrapping_add`.
    unsafe {
        let mut acc = [[S::zero(); NV]; MR];
        let mut b = m.b;
        // They are needed at the end. Without this each store would wait for its line of memory in turn.
        for r in 0..m.height {
            (0..NV).for_each(|v| prefetch_to_write((*m.c.add(r)).wrapping_add(m.c_offset + v * S::LANES)));
        }
        for run in 0..m.runs {
            let mut rows = [std::ptr::null::<S::T>(); MR];
            for r in 0..MR {
                rows[r] = *m.rows.add(run * MR + r);
            }
            let end = *m.lens.add(run) * m.a_step;
            let mut k = 0;
            while k != end {
                let mut bv = [S::zero(); NV];
                for v in 0..NV {
                    bv[v] = S::load(b.add(v * S::LANES));
                }
                for r in 0..MR {
                    let a = S::splat(*rows[r].add(k));
                    for v in 0..NV {
                        acc[r][v] = S::mul_add(a, bv[v], acc[r][v]);
                    }
                }
                for line in 0..LINES {
                    prefetch(b.wrapping_byte_offset(m.ahead).wrapping_byte_add(line * LINE));
                }
                b = b.wrapping_add(m.b_step);
                k += m.a_step;
            }
        }
        let len = |v: usize| if v + 1 == NV { m.last } else { S::LANES };
        let mut bias = [S::zero(); NV];
        if let Some(finish) = m.finish.filter(|finish| !finish.bias.is_null()) {
            for v in 0..NV {
                bias[v] = part::<S>(finish.bias.add(v * S::LANES), len(v));
            }
        }
        let whole = m.last == S::LANES && !m.accumulate && m.finish.is_none_or(|finish| finish.plus.is_null());
        // By hand, as the compiler does not unroll so large a loop, and then keeps the sums in memory.
        macro_rules! write_rows {
            ($($r:literal)*) => {$(
                if let Some(sums) = acc.get($r).filter(|_| $r < m.height) {
                    write_row::<S, NV>(m, whole, *sums, &bias, (*m.c.add($r)).add(m.c_offset));
                }
            )*};
        }
        const { assert!(MR <= 8) };
        write_rows!(0 1 2 3 4 5 6 7);
        if m.finish.is_some_and(|finish| finish.swish) {
            for r in 0..m.height {
                swish::<S>((*m.c.add(r)).add(m.c_offset), (NV - 1) * S::LANES + m.last);
            }
        }
    }
}

/// Finishes a row of the tile and writes it at `c`; `whole` if it is whole vectors, and nothing is read for it.
///
/// # Safety
/// As [`MicroFn`].
#[inline(always)]
unsafe fn write_row<S: Simd, const NV: usize>(
    m: &Micro<S::T>,
    whole: bool,
    sums: [S::V; NV],
    bias: &[S::V; NV],
    c: *mut S::T,
) {
    if whole {
        // With few terms of K a question a vector would count.
        // SAFETY: the caller's promise.
        unsafe {
            let Some(finish) = &m.finish else {
                return (0..NV).for_each(|v| S::store(c.add(v * S::LANES), sums[v]));
            };
            let (low, high) = (S::splat(finish.low), S::splat(finish.high));
            for v in 0..NV {
                let x = S::at_most(high, S::at_least(low, S::add(sums[v], bias[v])));
                S::store(c.add(v * S::LANES), x);
            }
        }
        return;
    }
    for v in 0..NV {
        let len = if v + 1 == NV { m.last } else { S::LANES };
        // SAFETY: the caller's promise.
        unsafe {
            let at = c.add(v * S::LANES);
            let mut x = sums[v];
            if m.accumulate {
                x = S::add(part::<S>(at, len), x);
            }
            if let Some(finish) = &m.finish {
                x = finish.of::<S>(x, bias[v], at, len);
            }
            put::<S>(at, x, len);
        }
    }
}

/// # Safety
/// As [`MicroFn`].
unsafe fn plain<S: Simd, const MR: usize, const NV: usize>(m: &Micro<S::T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<S, MR, NV>(m) }
}

/// # Safety
/// As [`MicroFn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<S: Simd, const MR: usize, const NV: usize>(m: &Micro<S::T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<S, MR, NV>(m) }
}

/// # Safety
/// As [`MicroFn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
unsafe fn avx512<S: Simd, const MR: usize, const NV: usize>(m: &Micro<S::T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<S, MR, NV>(m) }
}

/// # Safety
/// As [`MicroFn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512bf16")]
unsafe fn avx512bf16<S: Simd, const MR: usize, const NV: usize>(m: &Micro<S::T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<S, MR, NV>(m) }
}

/// # Safety
/// As [`MicroFn`].
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn neon<S: Simd, const MR: usize, const NV: usize>(m: &Micro<S::T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<S, MR, NV>(m) }
}

macro_rules! kernels {
    ($name:ident, $function:ident, $simd:ty, $t:ty, [$($nv:literal: [$($mr:literal),*]),*]) => {
        const $name: Kernels<$t> = Kernels {
            lanes: <$simd as Simd>::LANES,
            by_width: &[$(&[$(($mr, $function::<$simd, $mr, $nv>)),*]),*],
        };
    };
}

kernels!(PLAIN_F32, plain, Plain<f32>, f32, [1: [1, 4], 2: [1, 4]]);
kernels!(PLAIN_F64, plain, Plain<f64>, f64, [1: [1, 4]]);
kernels!(PLAIN_PAIRS, plain, PlainPairs, Pair, [1: [1, 4], 2: [1, 4]]);
#[cfg(target_arch = "x86_64")]
kernels!(AVX512_PAIRS, avx512bf16, Avx512Pairs, Pair,
    [1: [1, 2, 4, 8], 2: [1, 2, 4, 8], 3: [1, 2, 4, 8], 4: [1, 2, 3, 4, 6]]);
#[cfg(target_arch = "x86_64")]
kernels!(AVX2_F32, avx2, Avx2F32, f32, [1: [1, 4, 8], 2: [1, 2, 4, 6]]);
#[cfg(target_arch = "x86_64")]
kernels!(AVX2_F64, avx2, Avx2F64, f64, [1: [1, 4, 8], 2: [1, 2, 4, 6]]);
#[cfg(target_arch = "x86_64")]
kernels!(AVX512_F32, avx512, Avx512F32, f32,
    [1: [1, 2, 4, 8], 2: [1, 2, 4, 8], 3: [1, 2, 4, 8], 4: [1, 2, 3, 4, 6]]);
#[cfg(target_arch = "x86_64")]
kernels!(AVX512_F64, avx512, Avx512F64, f64, [1: [1, 4, 8], 2: [1, 2, 4, 8], 3: [1, 2, 4, 8]]);
#[cfg(target_arch = "aarch64")]
kernels!(NEON_F32, neon, NeonF32, f32, [1: [1, 4, 8], 2: [1, 4, 8], 3: [1, 4, 8], 4: [1, 2, 4, 6]]);
#[cfg(target_arch = "aarch64")]
kernels!(NEON_F64, neon, NeonF64, f64, [1: [1, 4, 8], 2: [1, 4, 8], 3: [1, 4, 8], 4: [1, 2, 4, 6]]);

/// The kernels for `f32`.
pub(crate) fn f32_kernels(isa: Isa) -> &'static Kernels<f32> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &AVX512_F32,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &AVX2_F32,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => &NEON_F32,
        _ => &PLAIN_F32,
    }
}

/// The kernels for `f64`.
pub(crate) fn f64_kernels(isa: Isa) -> &'static Kernels<f64> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &AVX512_F64,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &AVX2_F64,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => &NEON_F64,
        _ => &PLAIN_F64,
    }
}

/// The kernels for pairs of bf16 numbers. Only AVX512-BF16 has an instruction for them; the others are there to test it.
pub(crate) fn pair_kernels(isa: Isa) -> &'static Kernels<Pair> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    #[cfg(target_arch = "x86_64")]
    if isa.has_bf16_pairs() {
        return &AVX512_PAIRS;
    }
    &PLAIN_PAIRS
}
