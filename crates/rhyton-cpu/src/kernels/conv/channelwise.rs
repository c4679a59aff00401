//! Convolutions in which each channel sees only itself: depthwise convolutions, and the gradients of both their
//! operands.
//!
//! `out[b, o, g] = Σ lhs[b, i, o + k, g] · rhs[i, k, g]` over taps `k` and, in the gradient of the kernel, over the images
//! `i` (then the output positions are the taps of the original). Vectors run over the channels `g`, up to four at a time
//! in registers. The taps that lie inside the image along the innermost axis form a run of evenly spaced vectors; the
//! runs of a position are collected and handed to the inner loop together. Neighbouring positions of a row all of whose
//! taps lie inside are computed four at a time, so that each weight is loaded once for four. A task has some rows and goes over
//! them strip by strip, for some channels at a time, so that what neighbouring rows have in common stays in the first-level
//! cache.
//!
//! The gradient of a kernel has few positions and sums over all pixels. It goes over the images row by row, so that a
//! row stays in cache for all positions; groups of images, as many for any number of threads, sum into buffers of their
//! own, which are added in order.

#[cfg(target_arch = "x86_64")]
use super::super::simd::{Avx2F32, Avx2F64, Avx512F32, Avx512F64};
#[cfg(target_arch = "aarch64")]
use super::super::simd::{NeonF32, NeonF64};
use super::super::simd::{Plain, Simd};
use super::{ConvGeometry, ConvStrides, Phase};
use crate::isa::Isa;
use crate::kernels::gemm::{Epilogue, Finish, Finishing, Real, Shared, Tile, part, put, swish};
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;

/// Positions of a row that are computed together.
const TOGETHER: usize = 4;
/// The most runs that a position may have: more, and it is a long sum.
const RUNS: usize = 64;
/// Channels of a position that are computed one after the other: four vectors of AVX-512.
const CHANNELS: usize = 64;
/// Bytes of the images that a strip of positions sees for them: half of the first-level cache, so that the rows of a task,
/// which see the same rows of the image, find them there.
const WINDOW: usize = 16 << 10;
/// Rows of a task at most.
const BAND: usize = 8;
/// Elements of a result that one thread computes alone.
const SERIAL: usize = 4096;
/// Groups of images of a long sum.
const GROUPS: usize = 16;

/// Evenly spaced vectors of both operands.
#[derive(Clone, Copy)]
pub(crate) struct Taps<T> {
    lhs: *const T,
    rhs: *const T,
    count: usize,
}

/// Adds the products of all taps of some channels, the first and the last, to, or with `fresh` puts them, finished, into, `out`.
///
/// # Safety
/// The processor has the instruction set; each tap's pointers can be read for these channels at `count` multiples of
/// the steps; `out` can be read and written for these channels; `finish` is for them.
pub(crate) type Sum<T> = unsafe fn(
    taps: &[Taps<T>],
    steps: (isize, isize),
    channels: (usize, usize),
    out: *mut T,
    fresh: bool,
    finish: Option<&Finishing<T>>,
);

/// The bias of `len` channels from `first`.
///
/// # Safety
/// As [`Sum`].
#[inline(always)]
unsafe fn bias<S: Simd>(finish: Option<&Finishing<S::T>>, first: usize, len: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe {
        match finish {
            Some(finish) if !finish.bias.is_null() => part::<S>(finish.bias.add(first), len),
            _ => S::zero(),
        }
    }
}

/// Writes `x`, finished, for `len` channels at `at`.
///
/// # Safety
/// As [`Sum`].
#[inline(always)]
unsafe fn finished<S: Simd>(at: *mut S::T, x: S::V, len: usize, bias: S::V, finish: Option<&Finishing<S::T>>) {
    // SAFETY: the caller's promise.
    unsafe {
        let x = match finish {
            Some(finish) => finish.of::<S>(x, bias, at, len),
            None => x,
        };
        put::<S>(at, x, len);
    }
}

/// # Safety
/// As [`Sum`], for `NV` vectors of `len` channels from `first`.
#[inline(always)]
unsafe fn vectors<S: Simd, const NV: usize>(
    taps: &[Taps<S::T>],
    (lhs_step, rhs_step): (isize, isize),
    first: usize,
    len: usize,
    out: *mut S::T,
    fresh: bool,
    finish: Option<&Finishing<S::T>>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [S::zero(); NV];
        for tap in taps {
            let (mut lhs, mut rhs) = (tap.lhs.add(first), tap.rhs.add(first));
            for _ in 0..tap.count {
                for v in 0..NV {
                    let (x, weights) = (part::<S>(lhs.add(v * S::LANES), len), part::<S>(rhs.add(v * S::LANES), len));
                    acc[v] = S::mul_add(x, weights, acc[v]);
                }
                lhs = lhs.wrapping_offset(lhs_step);
                rhs = rhs.wrapping_offset(rhs_step);
            }
        }
        for v in 0..NV {
            let first = first + v * S::LANES;
            let at = out.add(first);
            if !fresh {
                acc[v] = S::add(part::<S>(at, len), acc[v]);
            }
            finished::<S>(at, acc[v], len, bias::<S>(finish, first, len), finish);
        }
    }
}

/// # Safety
/// As [`Sum`].
#[inline(always)]
unsafe fn sum<S: Simd>(
    taps: &[Taps<S::T>],
    steps: (isize, isize),
    channels: (usize, usize),
    out: *mut S::T,
    fresh: bool,
    finish: Option<&Finishing<S::T>>,
) {
    let (mut first, last) = channels;
    // SAFETY: the caller's promise.
    unsafe {
        while last - first >= 4 * S::LANES {
            vectors::<S, 4>(taps, steps, first, S::LANES, out, fresh, finish);
            first += 4 * S::LANES;
        }
        while last - first >= S::LANES {
            vectors::<S, 1>(taps, steps, first, S::LANES, out, fresh, finish);
            first += S::LANES;
        }
        if first < last {
            vectors::<S, 1>(taps, steps, first, last - first, out, fresh, finish);
        }
        if finish.is_some_and(|finish| finish.swish) {
            swish::<S>(out.add(channels.0), last - channels.0);
        }
    }
}

/// Steps of a row of positions, in elements.
#[derive(Clone, Copy)]
pub(crate) struct RowSteps {
    /// Between taps, in both operands.
    taps: (isize, isize),
    /// Between positions, in the images and in the result.
    positions: (isize, isize),
}

/// Puts the sums of products of some channels at `positions` neighbouring positions, a multiple of [`TOGETHER`],
/// finished, into `out`; the taps are those of the first.
///
/// # Safety
/// As [`Sum`], for every position.
pub(crate) type Together<T> = unsafe fn(
    taps: &[Taps<T>],
    steps: RowSteps,
    positions: usize,
    channels: (usize, usize),
    out: *mut T,
    finish: Option<&Finishing<T>>,
);

/// # Safety
/// As [`Together`], for [`TOGETHER`] positions from the one `moved` elements of the image after the first, and `NV` vectors of
/// `len` channels from `first`.
#[inline(always)]
unsafe fn block<S: Simd, const NV: usize>(
    taps: &[Taps<S::T>],
    steps: RowSteps,
    moved: isize,
    first: usize,
    len: usize,
    out: *mut S::T,
    finish: Option<&Finishing<S::T>>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[S::zero(); NV]; TOGETHER];
        for tap in taps {
            let (mut lhs, mut rhs) = (tap.lhs.offset(moved).add(first), tap.rhs.add(first));
            for _ in 0..tap.count {
                let mut weights = [S::zero(); NV];
                for v in 0..NV {
                    weights[v] = part::<S>(rhs.add(v * S::LANES), len);
                }
                for (p, acc) in acc.iter_mut().enumerate() {
                    let lhs = lhs.offset(p as isize * steps.positions.0);
                    for v in 0..NV {
                        acc[v] = S::mul_add(part::<S>(lhs.add(v * S::LANES), len), weights[v], acc[v]);
                    }
                }
                lhs = lhs.wrapping_offset(steps.taps.0);
                rhs = rhs.wrapping_offset(steps.taps.1);
            }
        }
        write_positions::<S, NV>(&acc, steps, first, len, out, finish);
    }
}

/// As [`block`], of whole vectors, where neighbouring positions are `PITCH` times as far from each other as neighbouring taps, and
/// each run has `COUNT` taps: what one position multiplies by a tap, another multiplies by another, so each vector of a row of the
/// image is loaded once.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn slide<S: Simd, const NV: usize, const COUNT: usize, const PITCH: usize>(
    taps: &[Taps<S::T>],
    steps: RowSteps,
    moved: isize,
    first: usize,
    out: *mut S::T,
    finish: Option<&Finishing<S::T>>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[S::zero(); NV]; TOGETHER];
        for tap in taps {
            let (lhs, rhs) = (tap.lhs.offset(moved).add(first), tap.rhs.add(first));
            let mut weights = [[S::zero(); NV]; COUNT];
            for t in 0..COUNT {
                for v in 0..NV {
                    weights[t][v] = S::load(rhs.offset(t as isize * steps.taps.1).add(v * S::LANES));
                }
            }
            for column in 0..(TOGETHER - 1) * PITCH + COUNT {
                for v in 0..NV {
                    let x = S::load(lhs.offset(column as isize * steps.taps.0).add(v * S::LANES));
                    for t in 0..COUNT {
                        if column >= t && (column - t) % PITCH == 0 && (column - t) / PITCH < TOGETHER {
                            let acc = &mut acc[(column - t) / PITCH];
                            acc[v] = S::mul_add(x, weights[t][v], acc[v]);
                        }
                    }
                }
            }
        }
        write_positions::<S, NV>(&acc, steps, first, S::LANES, out, finish);
    }
}

/// As [`slide`], of all groups of `NV` vectors that fit into the channels, if there is one for runs of `count` taps and positions
/// that are `pitch` times as far from each other; returns the first channel that is left.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn slides<S: Simd, const NV: usize>(
    taps: &[Taps<S::T>],
    steps: RowSteps,
    (count, pitch): (usize, isize),
    moved: isize,
    (mut first, last): (usize, usize),
    out: *mut S::T,
    finish: Option<&Finishing<S::T>>,
) -> usize {
    while last - first >= NV * S::LANES {
        // SAFETY: the caller's promise.
        unsafe {
            match (count, pitch) {
                (3, 1) => slide::<S, NV, 3, 1>(taps, steps, moved, first, out, finish),
                (3, 2) => slide::<S, NV, 3, 2>(taps, steps, moved, first, out, finish),
                (5, 1) => slide::<S, NV, 5, 1>(taps, steps, moved, first, out, finish),
                (5, 2) => slide::<S, NV, 5, 2>(taps, steps, moved, first, out, finish),
                _ => break,
            }
        }
        first += NV * S::LANES;
    }
    first
}

/// Writes the sums of [`TOGETHER`] positions, finished.
///
/// # Safety
/// As [`Together`].
#[inline(always)]
unsafe fn write_positions<S: Simd, const NV: usize>(
    sums: &[[S::V; NV]; TOGETHER],
    steps: RowSteps,
    first: usize,
    len: usize,
    out: *mut S::T,
    finish: Option<&Finishing<S::T>>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut biases = [S::zero(); NV];
        for v in 0..NV {
            biases[v] = bias::<S>(finish, first + v * S::LANES, len);
        }
        // By hand, as the compiler does not unroll so large a loop, and then keeps the sums in memory.
        macro_rules! write {
            ($($p:literal)*) => {$(
                let at = out.offset($p * steps.positions.1).add(first);
                for v in 0..NV {
                    finished::<S>(at.add(v * S::LANES), sums[$p][v], len, biases[v], finish);
                }
            )*};
        }
        const { assert!(TOGETHER == 4) };
        write!(0 1 2 3);
    }
}

/// # Safety
/// As [`Together`].
#[inline(always)]
unsafe fn together<S: Simd>(
    taps: &[Taps<S::T>],
    steps: RowSteps,
    positions: usize,
    channels: (usize, usize),
    out: *mut S::T,
    finish: Option<&Finishing<S::T>>,
) {
    let count = taps.first().map_or(0, |tap| tap.count);
    let even = taps.iter().all(|tap| tap.count == count);
    let pitch = (1..=2).find(|&pitch| even && steps.positions.0 == pitch * steps.taps.0);
    // AVX-512 multiplies one vector a cycle, which the sums of four positions keep busy; others two of theirs or more. With more
    // sums than it needs the compiler moves loads so far ahead that it runs out of registers.
    let narrow = size_of::<S::V>() == 64;
    // A copy, which no write to `out` can change.
    let finish = finish.copied();
    let finish = finish.as_ref();
    for position in (0..positions as isize).step_by(TOGETHER) {
        // Else each address of the loops below becomes a variable of this one, in memory, as there are many.
        let moved = std::hint::black_box(position * steps.positions.0);
        let (mut first, last) = channels;
        // SAFETY: the caller's promise.
        unsafe {
            let out = out.offset(position * steps.positions.1);
            if let Some(pitch) = pitch {
                let run = (count, pitch);
                first = if narrow {
                    slides::<S, 1>(taps, steps, run, moved, channels, out, finish)
                } else {
                    slides::<S, 2>(taps, steps, run, moved, channels, out, finish)
                };
            }
            while last - first >= 4 * S::LANES {
                block::<S, 4>(taps, steps, moved, first, S::LANES, out, finish);
                first += 4 * S::LANES;
            }
            while last - first >= 2 * S::LANES {
                block::<S, 2>(taps, steps, moved, first, S::LANES, out, finish);
                first += 2 * S::LANES;
            }
            while last - first >= S::LANES {
                block::<S, 1>(taps, steps, moved, first, S::LANES, out, finish);
                first += S::LANES;
            }
            if first < last {
                block::<S, 1>(taps, steps, moved, first, last - first, out, finish);
            }
            if finish.is_some_and(|finish| finish.swish) {
                let (first, last) = channels;
                (0..TOGETHER).for_each(|p| {
                    swish::<S>(out.offset(p as isize * steps.positions.1).add(first), last - first);
                });
            }
        }
    }
}

/// The kernels of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Kernels<T> {
    sum: Sum<T>,
    together: Together<T>,
}

macro_rules! entries {
    ($sum:ident, $together:ident, $simd:ty, $t:ty $(, $feature:literal)?) => {
        /// # Safety
        /// As [`Sum`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $sum(
            taps: &[Taps<$t>],
            steps: (isize, isize),
            channels: (usize, usize),
            out: *mut $t,
            fresh: bool,
            finish: Option<&Finishing<$t>>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { sum::<$simd>(taps, steps, channels, out, fresh, finish) }
        }

        /// # Safety
        /// As [`Together`].
        $(#[target_feature(enable = $feature)])?
        unsafe fn $together(
            taps: &[Taps<$t>],
            steps: RowSteps,
            positions: usize,
            channels: (usize, usize),
            out: *mut $t,
            finish: Option<&Finishing<$t>>,
        ) {
            // SAFETY: the caller's promise.
            unsafe { together::<$simd>(taps, steps, positions, channels, out, finish) }
        }
    };
}

entries!(plain_f32, plain_f32_together, Plain<f32>, f32);
entries!(plain_f64, plain_f64_together, Plain<f64>, f64);
#[cfg(target_arch = "x86_64")]
entries!(avx2_f32, avx2_f32_together, Avx2F32, f32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entries!(avx2_f64, avx2_f64_together, Avx2F64, f64, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entries!(avx512_f32, avx512_f32_together, Avx512F32, f32, "avx512f,avx512vl,avx512dq,avx512bw");
#[cfg(target_arch = "x86_64")]
entries!(avx512_f64, avx512_f64_together, Avx512F64, f64, "avx512f,avx512vl,avx512dq,avx512bw");
#[cfg(target_arch = "aarch64")]
entries!(neon_f32, neon_f32_together, NeonF32, f32, "neon");
#[cfg(target_arch = "aarch64")]
entries!(neon_f64, neon_f64_together, NeonF64, f64, "neon");

/// The kernels for `f32`.
pub(crate) fn f32_kernels(isa: Isa) -> Kernels<f32> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Kernels { sum: avx512_f32, together: avx512_f32_together },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Kernels { sum: avx2_f32, together: avx2_f32_together },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Kernels { sum: neon_f32, together: neon_f32_together },
        _ => Kernels { sum: plain_f32, together: plain_f32_together },
    }
}

/// The kernels for `f64`.
pub(crate) fn f64_kernels(isa: Isa) -> Kernels<f64> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Kernels { sum: avx512_f64, together: avx512_f64_together },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Kernels { sum: avx2_f64, together: avx2_f64_together },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Kernels { sum: neon_f64, together: neon_f64_together },
        _ => Kernels { sum: plain_f64, together: plain_f64_together },
    }
}

/// A phase of a convolution whose channels see only themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channels {
    g: ConvGeometry,
    phase: [Phase; 3],
    channels: usize,
    /// Images that are summed over, and elements between them.
    sums: usize,
    lhs_sum: isize,
    rhs_sum: isize,
    /// Images of the result.
    batch: usize,
}

/// Taps inside the image along the innermost axis: where they start in both operands, and how many.
struct Inner {
    lhs: isize,
    rhs: isize,
    count: usize,
}

/// How rows of positions and channels are divided.
struct Parts {
    /// Of rows, and groups of channels: a task each.
    bands: usize,
    groups: usize,
    /// Positions of a row that a task computes at a time, for some channels and all of its rows.
    strip: usize,
}

/// The taps of the rows of a task, and of a position.
struct Found<T> {
    outer: Vec<(isize, isize)>,
    /// Where each row of the result begins, and its taps end.
    rows: Vec<(usize, usize)>,
    taps: Vec<Taps<T>>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Found { outer: Vec::new(), rows: Vec::new(), taps: Vec::new() }
    }
}

struct Partial<T>(Aligned<T>);

impl<T> Default for Partial<T> {
    fn default() -> Self {
        Partial(Aligned::default())
    }
}

impl Channels {
    /// If that is what it is, and channels are neighbours in all operands.
    pub(crate) fn new(g: &ConvGeometry, phase: &[Phase; 3]) -> Option<Channels> {
        let groups = g.feature_groups * g.batch_groups;
        if groups == 1 || g.out_features != groups || g.rhs_strides.batch != 1 || g.out_strides.feature != 1 {
            return None;
        }
        let forward = g.feature_groups == g.in_features && g.lhs_strides.feature == 1;
        let kernel_gradient = g.batch_groups == g.batch && g.lhs_strides.batch == 1;
        let (sums, batch) = match (forward, kernel_gradient) {
            (true, _) => (1, g.batch),
            (_, true) => (g.in_features, 1),
            _ => return None,
        };
        let (lhs_sum, rhs_sum) = (g.lhs_strides.feature, g.rhs_strides.feature);
        Some(Channels { g: *g, phase: *phase, channels: groups, sums, lhs_sum, rhs_sum, batch })
    }

    /// Whether a finish is done where the channels of a position are written, be it the same for all positions.
    pub(crate) fn finishes<T: Real>(&self, finish: &Finish<'_, T>) -> bool {
        let steps = [self.g.out_strides.batch].into_iter().chain(self.g.out_strides.spatial);
        self.is_short() && finish.suits(self.channels, 0, steps, std::iter::empty())
    }

    /// Taps along the two outer axes.
    fn outer_taps(&self) -> usize {
        self.phase[..2].iter().map(|phase| phase.tap.count).product()
    }

    /// Whether a position has few runs.
    fn is_short(&self) -> bool {
        self.sums * self.outer_taps() <= RUNS
    }

    /// Computes the phase; a finish of the epilogue must be one that it [finishes](Channels::finishes), or have a bias for the
    /// channels of every position.
    ///
    /// # Safety
    /// `out` can be read and written for `out_len` elements, by nobody else but the epilogue in its own tile.
    ///
    /// # Panics
    /// If an operand reaches outside its buffer.
    #[expect(clippy::too_many_arguments, reason = "a convolution, and where it goes")]
    pub(crate) unsafe fn run<T: Real>(
        &self,
        pool: &Pool,
        kernels: &Kernels<T>,
        lhs: &[T],
        rhs: &[T],
        out: *mut T,
        out_len: usize,
        epilogue: Option<Epilogue<'_, T>>,
    ) {
        self.check(lhs.len(), rhs.len(), out_len);
        if self.is_short() {
            // SAFETY: the caller's promise; the operands were checked.
            return unsafe { self.run_short(pool, kernels, lhs, rhs, out, epilogue) };
        }
        let [z, y, x] = self.phase.map(|phase| phase.out.count);
        let rows = self.batch * z * y;
        let taps = self.outer_taps();
        let out = Shared(out);
        let step = self.out_step();
        let positions = rows * x;
        let groups = GROUPS.min(self.sums);
        scratch::with(|partial: &mut Partial<T>| {
            let len = positions * self.channels;
            let partial = Shared(partial.0.get(groups * len).as_mut_ptr());
            pool.run(groups, &|group| {
                let to = partial.get().wrapping_add(group * len);
                // SAFETY: each group has its own part of the buffer.
                unsafe { std::slice::from_raw_parts_mut(to, len) }.fill(T::ZERO);
                for i in group * self.sums / groups..(group + 1) * self.sums / groups {
                    for tap in 0..taps {
                        let tap = [tap / self.phase[1].tap.count, tap % self.phase[1].tap.count];
                        for position in 0..positions {
                            let (row, column) = (position / x, position % x);
                            let at = [row / y % z, row % y, column];
                            let Some(found) = self.taps(lhs, rhs, (row / y / z, i), at, tap) else { continue };
                            let to = to.wrapping_add(position * self.channels);
                            // SAFETY: as above.
                            unsafe { (kernels.sum)(&[found], self.steps(), (0, self.channels), to, false, None) };
                        }
                    }
                }
            });
            for row in 0..rows {
                for column in 0..x {
                    let position = row * x + column;
                    let at = self.row_start(row) as isize + column as isize * step;
                    for channel in 0..self.channels {
                        // SAFETY: as above; the groups are done.
                        unsafe {
                            let part =
                                |group: usize| *partial.get().add(group * len + position * self.channels + channel);
                            let total = (1..groups).fold(part(0), |total, group| total + part(group));
                            *out.get().offset(at).add(channel) = total;
                        }
                    }
                }
                if let Some(epilogue) = epilogue {
                    let start = self.row_start(row);
                    // SAFETY: a row of positions, which is written; no task runs.
                    (epilogue.tiles)(unsafe { Tile::new(out.get(), start, (row * x, x), self.channels, step) });
                }
            }
        });
    }

    /// Computes positions that have few runs.
    ///
    /// # Safety
    /// As [`Channels::run`]; `check` has found all elements in the buffers.
    unsafe fn run_short<T: Real>(
        &self,
        pool: &Pool,
        kernels: &Kernels<T>,
        lhs: &[T],
        rhs: &[T],
        out: *mut T,
        epilogue: Option<Epilogue<'_, T>>,
    ) {
        let [z, y, x] = self.phase.map(|phase| phase.out.count);
        let (rows, step, out) = (self.batch * z * y, self.out_step(), Shared(out));
        let finish_here = epilogue.and_then(|epilogue| epilogue.finish);
        let inside = self.inside();
        let grouped = inside.start..inside.end - inside.len() % TOGETHER;
        let along = self.phase[2].out_step as isize * self.g.lhs_strides.spatial[2];
        let steps = RowSteps { taps: self.steps(), positions: (along, step) };
        let parts = self.parts::<T>(pool, rows, grouped.len());
        pool.run(parts.bands * parts.groups, &|task| {
            let (band, group) = (task / parts.groups, task % parts.groups);
            let band = rows * band / parts.bands..rows * (band + 1) / parts.bands;
            let blocks = self.channels.div_ceil(CHANNELS);
            let channel = |group: usize| (blocks * group / parts.groups * CHANNELS).min(self.channels);
            let own = channel(group)..channel(group + 1);
            let simple = finish_here.map(|finish| finish.at(out.get(), 0));
            let simple = simple.as_ref();
            scratch::with(|found: &mut Found<T>| {
                let Found { outer, rows: found_rows, taps } = found;
                outer.clear();
                found_rows.clear();
                for row in band.clone() {
                    let (image, at) = (row / y / z, [row / y % z, row % y]);
                    for i in 0..self.sums {
                        let all = (0..self.outer_taps())
                            .map(|tap| [tap / self.phase[1].tap.count, tap % self.phase[1].tap.count]);
                        outer.extend(all.filter_map(|tap| self.outer((image, i), at, tap)));
                    }
                    found_rows.push((self.row_start(row), outer.len()));
                }
                let mut taps_of = |outer: &[(isize, isize)], column: usize, run: &mut dyn FnMut(&[Taps<T>])| {
                    let inner = self.inner(column);
                    taps.clear();
                    taps.extend(outer.iter().filter(|_| inner.count > 0).map(|outer| Taps {
                        lhs: lhs.as_ptr().wrapping_offset(outer.0 + inner.lhs),
                        rhs: rhs.as_ptr().wrapping_offset(outer.1 + inner.rhs),
                        count: inner.count,
                    }));
                    run(taps);
                };
                let strips = grouped.len().div_ceil(parts.strip).max(1);
                for strip in 0..strips {
                    let first = grouped.start + strip * parts.strip;
                    let last = (first + parts.strip).min(grouped.end);
                    // Columns with taps outside of the image lie beside the first and the last strip.
                    let before = if strip == 0 { 0..grouped.start } else { 0..0 };
                    let after = if strip + 1 == strips { grouped.end..x } else { 0..0 };
                    for channel in own.clone().step_by(CHANNELS) {
                        let channels = (channel, (channel + CHANNELS).min(own.end));
                        let mut start = 0;
                        for &(at, end) in found_rows.iter() {
                            let outer = &outer[start..end];
                            start = end;
                            let to = |column: usize| out.get().wrapping_offset(at as isize + column as isize * step);
                            for column in before.clone().chain(after.clone()) {
                                // SAFETY: `check` found all elements in the buffers; these rows and channels are
                                // this task's.
                                taps_of(outer, column, &mut |taps| unsafe {
                                    (kernels.sum)(taps, steps.taps, channels, to(column), true, simple);
                                });
                            }
                            if first < last {
                                // SAFETY: as above.
                                taps_of(outer, first, &mut |taps| unsafe {
                                    (kernels.together)(taps, steps, last - first, channels, to(first), simple);
                                });
                            }
                        }
                    }
                }
                let Some(epilogue) = epilogue.filter(|_| finish_here.is_none()) else { return };
                for (row, &(at, _)) in band.clone().zip(found_rows.iter()) {
                    // SAFETY: elements of this task, which are written.
                    let mut tile = unsafe { Tile::new(out.get(), at + own.start, (row * x, x), own.len(), step) };
                    tile.col0 = own.start;
                    (epilogue.tiles)(tile);
                }
            });
        });
    }

    /// How `rows` rows with `positions` positions inside are divided.
    fn parts<T>(&self, pool: &Pool, rows: usize, positions: usize) -> Parts {
        let phase = &self.phase[2];
        let column = self.sums * self.outer_taps() * CHANNELS * size_of::<T>();
        let reach = phase.tap.count * phase.tap_step.unsigned_abs() as usize;
        let fits = (WINDOW / column.max(1)).saturating_sub(reach) / phase.out_step.unsigned_abs().max(1) as usize;
        let strip = (fits / TOGETHER * TOGETHER).clamp(TOGETHER, positions.next_multiple_of(TOGETHER).max(TOGETHER));
        if rows * phase.out.count * self.channels < SERIAL {
            return Parts { bands: 1, groups: 1, strip };
        }
        let tasks = 4 * pool.idle_threads();
        let blocks = self.channels.div_ceil(CHANNELS);
        let bands = rows.div_ceil(BAND);
        let groups = tasks.div_ceil(bands.max(1)).clamp(1, blocks);
        let bands = bands.max(tasks.div_ceil(groups)).clamp(1, rows);
        Parts { bands, groups, strip }
    }

    /// The first element of a row of positions of the result.
    fn row_start(&self, row: usize) -> usize {
        let [z, y, _] = self.phase.map(|phase| phase.out.count);
        let (b, z, y) = (row / y / z, row / y % z, row % y);
        (b as isize * self.g.out_strides.batch + self.out_offset([z, y, 0])) as usize
    }

    /// Elements of the result between neighbouring positions of a row.
    fn out_step(&self) -> isize {
        (self.phase[2].out.step as isize) * self.g.out_strides.spatial[2]
    }

    /// The elements of the result between position 0 and `position`, this phase's offset included.
    fn out_offset(&self, position: [usize; 3]) -> isize {
        (0..3)
            .map(|d| {
                let o = self.phase[d].out;
                (o.first + position[d] * o.step) as isize * self.g.out_strides.spatial[d]
            })
            .sum()
    }

    /// The positions of a row all of whose taps lie inside the image along that axis.
    fn inside(&self) -> std::ops::Range<usize> {
        let p = &self.phase[2];
        let reach = (p.tap.count as i64 - 1).max(0) * p.tap_step;
        let first = (-p.at).max(0).div_euclid(p.out_step) + i64::from((-p.at).max(0) % p.out_step != 0);
        let last = (self.g.image[2] as i64 - 1 - reach - p.at).div_euclid(p.out_step);
        let end = (last + 1).clamp(0, p.out.count as i64) as usize;
        (first as usize).min(end)..end
    }

    /// Elements between neighbouring taps along the innermost axis.
    fn steps(&self) -> (isize, isize) {
        let rhs = self.phase[2].tap.step as isize * self.g.rhs_strides.spatial[2];
        let rhs = if self.g.reversed[2] { -rhs } else { rhs };
        (self.phase[2].tap_step as isize * self.g.lhs_strides.spatial[2], rhs)
    }

    /// The run of taps inside the image for an output position and the taps along the two outer axes.
    fn taps<T>(&self, lhs: &[T], rhs: &[T], image: (usize, usize), at: [usize; 3], tap: [usize; 2]) -> Option<Taps<T>> {
        let (outer, inner) = (self.outer(image, [at[0], at[1]], tap)?, self.inner(at[2]));
        (inner.count > 0).then(|| Taps {
            lhs: lhs.as_ptr().wrapping_offset(outer.0 + inner.lhs),
            rhs: rhs.as_ptr().wrapping_offset(outer.1 + inner.rhs),
            count: inner.count,
        })
    }

    /// The taps inside the image along the innermost axis.
    fn inner(&self, at: usize) -> Inner {
        let (g, p) = (&self.g, &self.phase[2]);
        let start = p.at + at as i64 * p.out_step;
        // Taps follow each other in most convolutions: divisions would take longer than the products.
        let steps = |distance: i64| if p.tap_step == 1 { distance } else { distance / p.tap_step };
        let first = if start >= 0 { 0 } else { steps(p.tap_step - 1 - start) };
        let room = g.image[2] as i64 - 1 - start;
        let last = if room < 0 { 0 } else { (steps(room) + 1).min(p.tap.count as i64) };
        if first >= last {
            return Inner { lhs: 0, rhs: 0, count: 0 };
        }
        Inner {
            lhs: (start + first * p.tap_step) as isize * g.lhs_strides.spatial[2],
            rhs: self.kernel_offset(2, first as usize),
            count: (last - first) as usize,
        }
    }

    /// Where the taps for a position and a tap along the two outer axes lie in the image and the kernel, if inside.
    fn outer(&self, (b, i): (usize, usize), at: [usize; 2], tap: [usize; 2]) -> Option<(isize, isize)> {
        let g = &self.g;
        let mut from = b as isize * g.lhs_strides.batch * isize::from(self.sums == 1) + i as isize * self.lhs_sum;
        let mut kernel = i as isize * self.rhs_sum;
        for d in 0..2 {
            let p = &self.phase[d];
            let element = p.at + at[d] as i64 * p.out_step + tap[d] as i64 * p.tap_step;
            if element < 0 || element >= g.image[d] as i64 {
                return None;
            }
            from += element as isize * g.lhs_strides.spatial[d];
            kernel += self.kernel_offset(d, tap[d]);
        }
        Some((from, kernel))
    }

    /// Where a tap lies in the kernel along an axis.
    fn kernel_offset(&self, d: usize, tap: usize) -> isize {
        let tap = self.phase[d].tap.first + tap * self.phase[d].tap.step;
        let tap = if self.g.reversed[d] { self.g.kernel[d] - 1 - tap } else { tap };
        tap as isize * self.g.rhs_strides.spatial[d]
    }

    fn check(&self, lhs: usize, rhs: usize, out: usize) {
        let g = &self.g;
        let reach = |dims: [(usize, isize); 5], len: usize, name: &str| {
            if dims.iter().any(|dim| dim.0 == 0) {
                return;
            }
            let mut last = 0;
            for (size, stride) in dims {
                assert!(stride >= 0 || size == 1, "convolution: {name} has negative strides");
                last += (size as i128 - 1) * stride as i128;
            }
            assert!(last < len as i128, "convolution: {name} reaches element {last} of a buffer of {len}");
        };
        let operand = |batch: usize, features: usize, space: [usize; 3], s: ConvStrides| {
            [
                (batch, s.batch),
                (features, s.feature),
                (space[0], s.spatial[0]),
                (space[1], s.spatial[1]),
                (space[2], s.spatial[2]),
            ]
        };
        reach(operand(g.batch, g.in_features, g.image, g.lhs_strides), lhs, "the image");
        let inputs = g.in_features / g.feature_groups;
        reach(operand(g.out_features, inputs, g.kernel, g.rhs_strides), rhs, "the kernel");
        let result = operand(g.batch / g.batch_groups, g.out_features, g.out, g.out_strides);
        reach(result, out, "the result");
        let mut dims: Vec<_> = result.into_iter().filter(|dim| dim.0 > 1).collect();
        dims.sort_by_key(|dim| dim.1);
        let mut last = 0;
        for (size, stride) in dims {
            assert!(stride > last, "convolution: elements of the result overlap");
            last += (size as isize - 1) * stride;
        }
    }
}
