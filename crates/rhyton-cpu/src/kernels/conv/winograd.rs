//! Convolutions of 3 × 3 windows with a quarter of the multiplications: Winograd's F(4 × 4, 3 × 3).
//!
//! A tile of 4 × 4 outputs depends on 6 × 6 inputs. Tile `d` and kernel `g` are transformed, multiplied element by
//! element and summed over the input features, and transformed back: `Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`. For all tiles and
//! features that is 36 products of matrices, tiles by input features by output features: 36 multiplications for 16
//! outputs, which take 9 · 16 = 144 directly (Lavin and Gray, 2015, <https://arxiv.org/abs/1509.09308>).
//!
//! A task takes some rows of tiles and some output features. For a block of input features at a time it transforms
//! its tiles, which then lie in the second-level cache, and adds their 36 products; then it transforms back, writes, and
//! runs the epilogue on its rows of the result. Neither transformed images nor products are ever written out whole.
//!
//! The matrices are those of interpolation at 0, ±a, ±b and infinity. With a = 2/3 and b = 3/2, of the pairs tried, the
//! largest error of random tiles of 64 features was 5·10⁻⁶ of the results' root mean square, with the usual a = 1 and
//! b = 2 it was 3·10⁻⁵; the root mean square of the errors 9·10⁻⁷ and 2·10⁻⁶.

#[cfg(target_arch = "aarch64")]
use super::super::simd::NeonF32;
#[cfg(target_arch = "x86_64")]
use super::super::simd::{Avx2F32, Avx512F32};
use super::super::simd::{Plain, Simd};
use super::ConvGeometry;
use crate::isa::Isa;
use crate::kernels::gemm::{
    Axis, BLOCK_K, Cut, Elements, Epilogue, Finish, Finishing, MAX_ROWS, Micro, Packed, Real, Shared, Space, Tile,
    View, prefetch,
};
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;

/// The points of interpolation beside 0 and infinity are ±A and ±B; their product is 1.
const A: f32 = 2.0 / 3.0;
const B: f32 = 1.5;

/// Outputs of a tile along an axis.
const OUT: usize = 4;
/// Inputs of a tile along an axis.
const IN: usize = 6;
/// Taps of a kernel.
const TAPS: usize = 9;
/// Elements of a transformed tile.
const POINTS: usize = IN * IN;
/// Tiles of a task: rows of tiles are added until there are as many. With 32, a block of 128 input features takes
/// 590 KB, and the products of 64 output features half as much.
const TILES: usize = 32;
/// The most tiles of a task; longer rows are divided.
const MOST_TILES: usize = 48;
/// Input features of a block.
const BLOCK: usize = 128;
/// Elements of a line of the cache.
const LINE: usize = 16;
/// Features must be a multiple of this: whole vectors with every instruction set.
const FEATURES: usize = 16;

/// The transforms of an instruction set.
pub(crate) struct Transforms<T> {
    /// `Bᵀ d B` of `features` features: the inputs of a tile come through one pointer each, element `p` of the result goes
    /// to `to + p · step`.
    ///
    /// # Safety
    /// The processor has the instruction set; the pointers can be read for `features`, a multiple of [`FEATURES`]; the
    /// results can be written.
    input: unsafe fn(from: &[*const T; POINTS], features: usize, to: *mut T, step: usize),
    /// `Aᵀ m A` of `features` features: element `p` comes from `from + p · step`; outputs, finished, go through one pointer each,
    /// null for those that lie outside of the result.
    ///
    /// # Safety
    /// As for `input`; `finish` is for these outputs.
    output: Output<T>,
    /// `G g Gᵀ` of `features` kernels, whose taps come through one pointer each; element `p` of the result goes to
    /// `to + p · step`.
    ///
    /// # Safety
    /// As for `input`.
    kernel: unsafe fn(from: &[*const T; TAPS], features: usize, to: *mut T, step: usize),
}

type Output<T> = unsafe fn(*const T, usize, usize, &[*mut T; OUT * OUT], Option<&Finishing<T>>);

/// The transforms for `f32`.
pub(crate) fn f32_transforms(isa: Isa) -> Transforms<f32> {
    assert!(isa.is_available(), "this machine lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Transforms { input: input_avx512, output: output_avx512, kernel: kernel_avx512 },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Transforms { input: input_avx2, output: output_avx2, kernel: kernel_avx2 },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Transforms { input: input_neon, output: output_neon, kernel: kernel_neon },
        _ => Transforms { input: input_plain, output: output_plain, kernel: kernel_plain },
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

/// A row of `G g`.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn kernel_to_points<S: Simd<T = f32>>(g: [S::V; 3]) -> [S::V; IN] {
    // The value at a point ±p over the product of its distances to the other finite points, 2p²(p² − q²).
    let at = |p: f32, q: f32| {
        let scale = 1.0 / (2.0 * p * p * (p * p - q * q));
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

macro_rules! entries {
    ($input:ident, $output:ident, $kernel:ident, $simd:ty $(, $feature:literal)?) => {
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
    };
}

entries!(input_plain, output_plain, kernel_plain, Plain<f32>);
#[cfg(target_arch = "x86_64")]
entries!(input_avx2, output_avx2, kernel_avx2, Avx2F32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entries!(input_avx512, output_avx512, kernel_avx512, Avx512F32, "avx512f,avx512vl,avx512dq,avx512bw");
#[cfg(target_arch = "aarch64")]
entries!(input_neon, output_neon, kernel_neon, NeonF32, "neon");

/// A convolution that is computed so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Winograd {
    g: ConvGeometry,
    /// Rows of tiles of an image, and tiles of a row.
    tiles: (usize, usize),
    /// Whether it is faster also if the kernel is transformed anew each time.
    pub(super) unpacked: bool,
}

/// The buffers of a task.
struct Task<T> {
    /// Transformed tiles: by point, tile, input feature.
    points: Aligned<T>,
    /// Their products: by point, tile, output feature.
    products: Aligned<T>,
    zeros: Aligned<T>,
    offsets: Vec<Place>,
}

impl<T> Default for Task<T> {
    fn default() -> Self {
        Task {
            points: Aligned::default(),
            products: Aligned::default(),
            zeros: Aligned::default(),
            offsets: Vec::new(),
        }
    }
}

/// Where a tile is: its image, and its first output.
#[derive(Clone, Copy)]
struct Place {
    image: usize,
    y: usize,
    x: usize,
}

/// The transformed and packed kernel of a run that has none packed before.
struct Whole<T>(Aligned<T>);

impl<T> Default for Whole<T> {
    fn default() -> Self {
        Whole(Aligned::default())
    }
}

impl Winograd {
    /// If the convolution can be computed so, and that is faster.
    pub(super) fn new(g: &ConvGeometry) -> Option<Winograd> {
        let plain = g.strides == [1; 3] && g.lhs_dilation == [1; 3] && g.rhs_dilation == [1; 3];
        let square = g.kernel == [1, 3, 3] && g.image[0] == 1 && g.out[0] == 1;
        let whole = g.feature_groups == 1 && g.batch_groups == 1;
        let features = g.in_features.is_multiple_of(FEATURES) && g.out_features.is_multiple_of(FEATURES);
        let runs = g.rhs_strides.batch == 1 || g.rhs_strides.feature == 1;
        let last = g.lhs_strides.feature == 1 && g.out_strides.feature == 1 && runs;
        if !(plain && square && whole && features && last && g.padding[0] == 0) {
            return None;
        }
        // Rows of the result follow each other, so that the epilogue runs on rows of tiles.
        if g.out_strides.spatial[1] != g.out_strides.spatial[2] * g.out[2] as isize {
            return None;
        }
        let tiles = (g.out[1].div_ceil(OUT), g.out[2].div_ceil(OUT));
        let winograd = Winograd { g: *g, tiles, unpacked: false };
        winograd.is_faster(0.0).then(|| Winograd { unpacked: winograd.is_faster(PACK), ..winograd })
    }

    /// By the multiplications, the transforms (which are as good as some output features more), what of the kernel has to
    /// come from memory, and `pack` for each of its elements.
    fn is_faster(&self, pack: f64) -> bool {
        let g = &self.g;
        let (ic, oc) = (g.in_features as f64, g.out_features as f64);
        let tiles = (g.batch * self.tiles.0 * self.tiles.1) as f64;
        let positions = (g.batch * g.out[1] * g.out[2]) as f64;
        let direct = 9.0 * positions * ic * oc;
        let transforms = 36.0 * tiles * TRANSFORM * (ic + oc);
        let kernel = 36.0 * ic * oc * if 144.0 * ic * oc > CACHE { LOAD } else { 0.0 };
        let winograd = (36.0 * tiles * ic * oc).max(kernel) + transforms + 36.0 * ic * oc * pack;
        g.in_features >= 32 && g.out_features >= 32 && winograd < direct
    }

    /// Elements of the transformed and packed kernel.
    pub(super) fn packed(&self) -> usize {
        POINTS * Packed::<f32>::most(self.g.in_features, self.g.out_features)
    }

    /// Transforms and packs the kernel.
    ///
    /// # Panics
    /// If the kernel is of 16-bit floats.
    pub(super) fn pack<T: Real>(&self, pool: &Pool, isa: Isa, transforms: &Transforms<T>, rhs: &[T], memory: &mut [T]) {
        let g = &self.g;
        let s = &g.rhs_strides;
        let reach = (g.in_features as isize - 1) * s.feature + (g.out_features as isize - 1) * s.batch;
        let reach = reach + 2 * (s.spatial[1] + s.spatial[2]);
        assert!((reach as usize) < rhs.len(), "convolution: the kernel reaches beyond its buffer");
        // Vectors run over the features that are neighbours, outputs or in the gradient of the images inputs.
        let inputs_run = s.batch != 1;
        let (run, rest, stride) = if inputs_run {
            (g.in_features, g.out_features, s.batch)
        } else {
            (g.out_features, g.in_features, s.feature)
        };
        let tap = |d: usize, i: usize| (if g.reversed[d] { 2 - i } else { i }) as isize * s.spatial[d];
        let taps = |i: usize, first: usize| -> [*const T; TAPS] {
            let start = i as isize * stride + first as isize;
            std::array::from_fn(|t| rhs.as_ptr().wrapping_offset(start + tap(1, t / 3) + tap(2, t % 3)))
        };
        if !inputs_run {
            // A vector of outputs is a part of a row of a panel.
            let cut = Cut::new(T::kernels(isa), rest, run, BLOCK_K);
            let memory = Shared(memory[..POINTS * cut.len()].as_mut_ptr());
            return pool.run(rest, &|i| {
                let block = i / cut.block;
                for panel in 0..cut.panels() {
                    let (width, first) = (cut.width(panel), panel * cut.panel);
                    let to = memory.get().wrapping_add(cut.offset(block, panel) + (i - cut.range(block).0) * width);
                    // SAFETY: the kernel was checked above; each task writes its own row of every panel.
                    unsafe { (transforms.kernel)(&taps(i, first), width.min(run - first), to, cut.len()) };
                }
            });
        }
        scratch::with(|whole: &mut Whole<T>| {
            let len = run * rest;
            let points = Shared(whole.0.get(POINTS * len).as_mut_ptr());
            pool.run(rest, &|i| {
                // SAFETY: the kernel was checked above; each task writes its own part of every point.
                unsafe { (transforms.kernel)(&taps(i, 0), run, points.get().add(i * run), len) };
            });
            // SAFETY: all of it was written above.
            let points = unsafe { std::slice::from_raw_parts(points.get().cast_const(), POINTS * len) };
            let (rows, cols) = (Axis::plain(run, 1), Axis::plain(rest, run as isize));
            let matrix = View::new(Elements::Native(points), 0, rows, cols, Space::NONE);
            Packed::pack(pool, isa, matrix, (POINTS, len as isize), memory);
        });
    }

    /// Computes the convolution; `packed` is what [`Winograd::pack`] has made of the kernel.
    ///
    /// # Safety
    /// As [`ConvPlan::run`](super::ConvPlan::run).
    #[expect(clippy::too_many_arguments, reason = "as `ConvPlan::run`")]
    pub(super) unsafe fn run<T: Real>(
        &self,
        pool: &Pool,
        isa: Isa,
        transforms: &Transforms<T>,
        lhs: &[T],
        packed: &[T],
        out: *mut T,
        out_len: usize,
        epilogue: Option<Epilogue<'_, T>>,
    ) {
        let g = &self.g;
        self.check(lhs, out_len);
        let kernel = Packed::of(isa, (g.in_features, g.out_features), POINTS, packed);
        let (rows, across) = self.tiles;
        let all_rows = g.batch * rows;
        // Whole rows of tiles, or parts of one that is too long.
        let parts = across.div_ceil(MOST_TILES);
        let rows_a_task = if parts > 1 { 1 } else { TILES.div_ceil(across).min(all_rows) };
        let blocks = all_rows.div_ceil(rows_a_task) * parts;
        // Output features of a task: few enough that their products stay in cache, and that there is work for all.
        let panels = kernel.cut.panels();
        let mut panels_a_task = (128 / kernel.cut.panel).clamp(1, panels);
        while panels_a_task > 1 && blocks * panels.div_ceil(panels_a_task) < 4 * pool.threads() {
            panels_a_task = panels_a_task.div_ceil(2);
        }
        let groups = panels.div_ceil(panels_a_task);
        let finish = epilogue.and_then(|epilogue| epilogue.finish).filter(|finish| {
            let s = &g.out_strides;
            !finish.swish
                && finish.suits(
                    g.out_features,
                    0,
                    [s.batch, s.spatial[1], s.spatial[2]].into_iter(),
                    std::iter::empty(),
                )
        });
        let epilogue = epilogue.filter(|_| finish.is_none());
        let out = Shared(out);
        pool.run(blocks * groups, &|task| {
            let (block, group) = (task / groups, task % groups);
            let (first, part) = (block / parts * rows_a_task, block % parts);
            let rows = first..(first + rows_a_task).min(all_rows);
            let tiles = across * part / parts..across * (part + 1) / parts;
            let panels = group * panels_a_task..((group + 1) * panels_a_task).min(panels);
            scratch::with(|s: &mut Task<T>| {
                s.offsets.clear();
                for row in rows.clone() {
                    let (image, y) = (row / self.tiles.0, row % self.tiles.0 * OUT);
                    s.offsets.extend(tiles.clone().map(|x| Place { image, y, x: x * OUT }));
                }
                // SAFETY: the operands were checked; each task has its own tiles and features of the result.
                unsafe { self.task(isa, transforms, lhs, &kernel, s, panels.clone(), out.get(), finish) };
            });
            let Some(epilogue) = epilogue else { return };
            let col0 = panels.start * kernel.cut.panel;
            let cols = (panels.end * kernel.cut.panel).min(g.out_features) - col0;
            for row in rows {
                let (image, y) = (row / self.tiles.0, row % self.tiles.0 * OUT);
                let height = OUT.min(g.out[1] - y);
                let (x0, x1) = (tiles.start * OUT, (tiles.end * OUT).min(g.out[2]));
                let run = |y: usize, count: usize| {
                    let row0 = (image * g.out[1] + y) * g.out[2] + x0;
                    let offset = self.place(image, y, x0) + col0;
                    // SAFETY: positions and features of this task, which are written.
                    let mut tile =
                        unsafe { Tile::new(out.get(), offset, (row0, count), cols, g.out_strides.spatial[2]) };
                    tile.col0 = col0;
                    (epilogue.tiles)(tile);
                };
                if parts == 1 {
                    run(y, height * (x1 - x0));
                } else {
                    (y..y + height).for_each(|y| run(y, x1 - x0));
                }
            }
        });
    }

    /// As [`Winograd::run`], of a kernel that is transformed now.
    ///
    /// # Safety
    /// As there.
    #[expect(clippy::too_many_arguments, reason = "as `ConvPlan::run`")]
    pub(super) unsafe fn run_unpacked<T: Real>(
        &self,
        pool: &Pool,
        isa: Isa,
        transforms: &Transforms<T>,
        lhs: &[T],
        rhs: &[T],
        out: *mut T,
        out_len: usize,
        epilogue: Option<Epilogue<'_, T>>,
    ) {
        scratch::with(|memory: &mut Whole<T>| {
            let memory = memory.0.get(self.packed());
            self.pack(pool, isa, transforms, rhs, memory);
            // SAFETY: the caller's promise.
            unsafe { self.run(pool, isa, transforms, lhs, memory, out, out_len, epilogue) };
        });
    }

    /// The element of the result at a position, feature 0.
    fn place(&self, image: usize, y: usize, x: usize) -> usize {
        let s = &self.g.out_strides;
        image * s.batch as usize + y * s.spatial[1] as usize + x * s.spatial[2] as usize
    }

    /// Computes the tiles at `s.offsets`.
    ///
    /// # Safety
    /// The operands were checked; the tiles and features of the result are the caller's alone.
    #[expect(clippy::too_many_arguments, reason = "the operands, which part, and where to")]
    unsafe fn task<T: Real>(
        &self,
        isa: Isa,
        transforms: &Transforms<T>,
        lhs: &[T],
        kernel: &Packed<'_, T>,
        s: &mut Task<T>,
        panels: std::ops::Range<usize>,
        out: *mut T,
        finish: Option<Finish<'_, T>>,
    ) {
        let (g, cut, tiles) = (&self.g, &kernel.cut, s.offsets.len());
        let col0 = panels.start * cut.panel;
        let cols = (panels.end * cut.panel).min(cut.n) - col0;
        // Rows are padded, so that those of different points do not compete for the same lines of the cache.
        let (k_step, c_step) = (BLOCK.min(cut.k) + 16, cols + 16);
        let (point_step, product_step) = (tiles * k_step, (tiles + MAX_ROWS) * c_step);
        let points = s.points.get(POINTS * point_step).as_mut_ptr();
        let products = s.products.get(POINTS * product_step).as_mut_ptr();
        let zeros = s.zeros.get(cut.k);
        zeros.fill(T::ZERO);
        let zeros = zeros.as_ptr();
        for block in 0..cut.blocks() {
            let (k0, k1) = cut.range(block);
            // Blocks of the packed kernel are longer than those that are transformed at a time.
            for k in (k0..k1).step_by(BLOCK) {
                let len = BLOCK.min(k1 - k);
                for (t, place) in s.offsets.iter().enumerate() {
                    let from = self.inputs(lhs, *place, zeros).map(|p| p.wrapping_add(if p == zeros { 0 } else { k }));
                    // SAFETY: `check` found all inputs in the buffer; the points of a tile have room.
                    unsafe { (transforms.input)(&from, len, points.add(t * k_step), point_step) };
                }
                for point in 0..POINTS {
                    let a = points.wrapping_add(point * point_step);
                    let c = products.wrapping_add(point * product_step);
                    for panel in panels.clone() {
                        let width = cut.width(panel);
                        let b = kernel.data[point * cut.len() + cut.offset(block, panel)..].as_ptr();
                        let b = b.wrapping_add((k - k0) * width);
                        let kernels = T::kernels(isa).of_width(width);
                        let tallest = kernels[kernels.len() - 1].0;
                        // The next part of the kernel comes meanwhile: it may be in memory, and is used once a task.
                        let next = if panel + 1 < panels.end {
                            b.wrapping_add((k1 - k) * width + (k - k0) * width)
                        } else {
                            let first = &kernel.data[(point + 1) % POINTS * cut.len()..];
                            first[cut.offset(block, panels.start) + (k - k0) * cut.width(panels.start)..].as_ptr()
                        };
                        let share = (len * width).div_ceil(tiles.div_ceil(tallest)).next_multiple_of(LINE);
                        for row in (0..tiles).step_by(tallest) {
                            let ahead = row / tallest * share;
                            (0..share).step_by(LINE).for_each(|i| prefetch(next.wrapping_add(ahead + i)));
                            let rows = tallest.min(tiles - row);
                            let &(height, micro) = kernels
                                .iter()
                                .find(|(height, _)| *height >= rows)
                                .expect("`rows` is at most the tallest");
                            let a_rows: [*const T; MAX_ROWS] =
                                std::array::from_fn(|i| a.wrapping_add((row + i.min(rows - 1)) * k_step).cast_const());
                            let c_rows: [*mut T; MAX_ROWS] =
                                std::array::from_fn(|i| c.wrapping_add((row + i) * c_step));
                            debug_assert!(height <= MAX_ROWS);
                            // SAFETY: the instruction set was checked; rows of A have `len` elements; B is padded to
                            // `width`; the products have MAX_ROWS rows more than there are tiles.
                            unsafe {
                                micro(&Micro {
                                    rows: a_rows.as_ptr(),
                                    lens: &raw const len,
                                    runs: 1,
                                    a_step: 1,
                                    b,
                                    b_step: width,
                                    c: c_rows.as_ptr(),
                                    c_offset: (panel - panels.start) * cut.panel,
                                    accumulate: k > 0,
                                    height,
                                    last: T::kernels(isa).lanes,
                                    finish: None,
                                });
                            }
                        }
                    }
                }
            }
        }
        let finish = finish.map(|finish| finish.at(out, col0));
        for (t, place) in s.offsets.iter().enumerate() {
            let to: [*mut T; OUT * OUT] = std::array::from_fn(|i| {
                let (y, x) = (place.y + i / OUT, place.x + i % OUT);
                let inside = y < g.out[1] && x < g.out[2];
                if inside { out.wrapping_add(self.place(place.image, y, x) + col0) } else { std::ptr::null_mut() }
            });
            // SAFETY: outputs of this task; the products were computed above.
            unsafe { (transforms.output)(products.add(t * c_step), product_step, cols, &to, finish.as_ref()) };
        }
    }

    /// The first feature of each input of a tile, zeros for those in the padding.
    fn inputs<T: Real>(&self, lhs: &[T], tile: Place, zeros: *const T) -> [*const T; POINTS] {
        let (g, s) = (&self.g, &self.g.lhs_strides);
        std::array::from_fn(|i| {
            let y = (tile.y + i / IN) as i64 - g.padding[1];
            let x = (tile.x + i % IN) as i64 - g.padding[2];
            if y < 0 || x < 0 || y >= g.image[1] as i64 || x >= g.image[2] as i64 {
                return zeros;
            }
            let at = tile.image as isize * s.batch + y as isize * s.spatial[1] + x as isize * s.spatial[2];
            lhs.as_ptr().wrapping_offset(at)
        })
    }

    fn check<T>(&self, lhs: &[T], out_len: usize) {
        let g = &self.g;
        let reach = |sizes: [usize; 4], s: &super::ConvStrides| {
            let strides = [s.batch, s.spatial[1], s.spatial[2], s.feature];
            sizes.iter().zip(strides).map(|(&n, stride)| (n as i128 - 1) * stride as i128).sum::<i128>()
        };
        let images = reach([g.batch, g.image[1], g.image[2], g.in_features], &g.lhs_strides);
        assert!(images < lhs.len() as i128, "convolution: the image reaches beyond its buffer");
        let result = reach([g.batch, g.out[1], g.out[2], g.out_features], &g.out_strides);
        assert!(result < out_len as i128, "convolution: the result reaches beyond its buffer");
        let dense = g.out_strides.spatial[2] >= g.out_features as isize
            && (g.batch == 1 || g.out_strides.batch >= g.out[1] as isize * g.out_strides.spatial[1]);
        assert!(dense, "convolution: elements of the result overlap");
    }
}

/// What transforming an element costs in terms of a multiplication of the products, for a feature of a tile's input or
/// output.
const TRANSFORM: f64 = 8.0;
/// Bytes of a transformed kernel that stay in the outer cache between its uses.
const CACHE: f64 = 8e6;
/// What fetching an element of the kernel from memory costs in terms of a multiplication.
const LOAD: f64 = 24.0;
/// What transforming and packing an element of the kernel costs so.
const PACK: f64 = 60.0;
