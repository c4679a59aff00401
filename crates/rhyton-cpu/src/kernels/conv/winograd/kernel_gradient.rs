//! Gradients of kernels of 3 × 3 taps.
//!
//! The gradient of `Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A` by `g` is `Gᵀ[(A y Aᵀ) ⊙ (Bᵀ d B)]G`, of tiles `d` of the image and `y` of the
//! results' gradient, summed over all tiles. For all features that is 36 products of matrices, input features by tiles by
//! output features.
//!
//! The tiles are divided into parts, whose number depends on the shapes alone, so that the sums do not depend on the number
//! of threads. A task takes a part and a block of input and of output features: it transforms some tiles at a time, which
//! then lie in the second-level cache, and adds their 36 products to the sums of its part. At last the parts are added in
//! order and transformed back.

use super::{FEATURES, IN, OUT, POINTS, Place, Positions, TAPS, TRANSFORM, Transforms, fetch, point_step};
use crate::isa::Isa;
use crate::kernels::conv::ConvGeometry;
use crate::kernels::gemm::{Epilogue, MAX_ROWS, Micro, Real, Shared, Tile};
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;

/// Input and output features of a task at most.
const BLOCK: usize = 64;
/// Elements of transformed tiles of a task, half a megabyte of the second-level cache.
const TRANSFORMED: usize = 128 << 10;
/// The most parts that tiles are divided into, and the most elements of their sums.
const PARTS: usize = 16;
const SUMS: usize = 2 << 20;
/// The fewest tiles of a part.
const PART: usize = 32;
/// Rows of the result that are transformed back at a time.
const ROWS: usize = 4;
/// What adding and transforming back an element of a part's sums costs in terms of a multiplication of the products.
const ADD: f64 = 16.0;

/// A gradient of a kernel that is computed so. Of its [`ConvGeometry`] the batch are the input features, the input features
/// the images, and the kernel is the gradient of the results.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels::conv) struct KernelGradient {
    g: ConvGeometry,
    /// Rows of tiles of an image, and tiles of a row.
    tiles: (usize, usize),
    parts: usize,
}

/// The buffers of a task.
struct Task<T> {
    /// Transformed tiles of the images: by point, tile, feature.
    images: Aligned<T>,
    /// Those of the results' gradient.
    results: Aligned<T>,
    zeros: Aligned<T>,
}

impl<T> Default for Task<T> {
    fn default() -> Self {
        Task { images: Aligned::default(), results: Aligned::default(), zeros: Aligned::default() }
    }
}

/// The sums of all parts: by part, input feature, point, output feature.
struct Sums<T>(Aligned<T>);

impl<T> Default for Sums<T> {
    fn default() -> Self {
        Sums(Aligned::default())
    }
}

impl KernelGradient {
    /// If the convolution is such a gradient, and that is faster.
    pub(in crate::kernels::conv) fn new(g: &ConvGeometry) -> Option<KernelGradient> {
        let plain = g.strides == [1; 3] && g.lhs_dilation == [1; 3] && g.rhs_dilation == [1; 3];
        let planes = g.out == [1, 3, 3] && g.image[0] == 1 && g.kernel[0] == 1 && g.padding[0] == 0;
        let whole = g.feature_groups == 1 && g.batch_groups == 1 && g.reversed == [false; 3];
        let features = g.batch.is_multiple_of(FEATURES) && g.out_features.is_multiple_of(FEATURES);
        let runs = g.lhs_strides.batch == 1 && g.rhs_strides.batch == 1 && g.out_strides.feature == 1;
        if !(plain && planes && whole && features && runs) || g.out_strides.batch < g.out_features as isize {
            return None;
        }
        let tiles = (g.kernel[1].div_ceil(OUT), g.kernel[2].div_ceil(OUT));
        let all = g.in_features * tiles.0 * tiles.1;
        let len = POINTS * g.batch * g.out_features;
        let parts = (all / PART).min(SUMS / len.max(1)).clamp(1, PARTS);
        let (ic, oc) = (g.batch as f64, g.out_features as f64);
        let direct = 9.0 * (g.in_features * g.kernel[1] * g.kernel[2]) as f64 * ic * oc;
        let blocks = |features: usize| features.div_ceil(BLOCK) as f64;
        let transforms = ic * blocks(g.out_features) + oc * blocks(g.batch);
        let winograd = 36.0 * all as f64 * (ic * oc + TRANSFORM * transforms) + ADD * (parts * len) as f64;
        let faster = g.batch >= 32 && g.out_features >= 32 && winograd < direct;
        faster.then_some(KernelGradient { g: *g, tiles, parts })
    }

    /// Computes the gradient.
    ///
    /// # Safety
    /// As [`ConvPlan::run`](crate::kernels::conv::ConvPlan::run).
    #[expect(clippy::too_many_arguments, reason = "as `ConvPlan::run`")]
    pub(in crate::kernels::conv) unsafe fn run<T: Real>(
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
        let g = &self.g;
        self.check(lhs, rhs, out_len);
        let (rows, cols) = (g.batch, g.out_features);
        let (blocks_m, blocks_n) = (rows.div_ceil(BLOCK), cols.div_ceil(BLOCK));
        scratch::with(|sums: &mut Sums<T>| {
            let part_len = POINTS * rows * cols;
            let sums = Shared(sums.0.get(self.parts * part_len).as_mut_ptr());
            pool.run(self.parts * blocks_m * blocks_n, &|task| {
                let (part, block) = (task / (blocks_m * blocks_n), task % (blocks_m * blocks_n));
                let (m, n) = (block / blocks_n, block % blocks_n);
                let m = m * BLOCK..((m + 1) * BLOCK).min(rows);
                let n = n * BLOCK..((n + 1) * BLOCK).min(cols);
                scratch::with(|s: &mut Task<T>| {
                    let to = sums.get().wrapping_add(part * part_len);
                    // SAFETY: the operands were checked; each task has its own part and block of the sums.
                    unsafe { self.part(isa, transforms, lhs, rhs, s, part, m, n, to) };
                });
            });
            let out = Shared(out);
            pool.run(rows.div_ceil(ROWS), &|task| {
                let (first, last) = (task * ROWS, ((task + 1) * ROWS).min(rows));
                for row in first..last {
                    let sum = sums.get().wrapping_add(row * POINTS * cols);
                    let to: [*mut T; TAPS] = std::array::from_fn(|tap| out.get().wrapping_add(self.place(tap, row)));
                    // SAFETY: all sums were written above, these rows are now this task's alone, as are those of the result,
                    // which `check` found in the buffer.
                    unsafe {
                        let first = std::slice::from_raw_parts_mut(sum, POINTS * cols);
                        for part in 1..self.parts {
                            let other = std::slice::from_raw_parts(sum.wrapping_add(part * part_len), POINTS * cols);
                            first.iter_mut().zip(other).for_each(|(sum, &x)| *sum = *sum + x);
                        }
                        (transforms.kernel_gradient)(sum, cols, cols, &to);
                    }
                }
                let Some(epilogue) = epilogue else { return };
                for tap in 0..TAPS {
                    let rows = (tap * rows + first, last - first);
                    // SAFETY: rows of this task, which are written.
                    let tile = unsafe { Tile::new(out.get(), self.place(tap, first), rows, cols, g.out_strides.batch) };
                    (epilogue.tiles)(tile);
                }
            });
        });
    }

    /// The element of the result of a tap and an input feature, output feature 0.
    fn place(&self, tap: usize, row: usize) -> usize {
        let s = &self.g.out_strides;
        row * s.batch as usize + tap / 3 * s.spatial[1] as usize + tap % 3 * s.spatial[2] as usize
    }

    /// What the tiles of a part contribute to the sums of some input and output features.
    ///
    /// # Safety
    /// The operands were checked; `sums`, from the part's on, are the caller's alone in that block.
    #[expect(clippy::too_many_arguments, reason = "the operands, which part, and where to")]
    unsafe fn part<T: Real>(
        &self,
        isa: Isa,
        transforms: &Transforms<T>,
        lhs: &[T],
        rhs: &[T],
        s: &mut Task<T>,
        part: usize,
        m: std::ops::Range<usize>,
        n: std::ops::Range<usize>,
        sums: *mut T,
    ) {
        let g = &self.g;
        let images = Positions::new(g.image, g.lhs_strides.feature, g.lhs_strides.spatial);
        let results = Positions::new(g.kernel, g.rhs_strides.feature, g.rhs_strides.spatial);
        // Rows are padded, so that those of different points do not compete for the same lines of the cache.
        let (a_step, b_step) = (m.len() + 16, n.len() + 16);
        let most = TRANSFORMED / POINTS / (m.len() + n.len());
        let all = g.in_features * self.tiles.0 * self.tiles.1;
        let (first, last) = (all * part / self.parts, all * (part + 1) / self.parts);
        // Steps of equal length.
        let steps = (last - first).div_ceil(most);
        let most = (last - first).div_ceil(steps);
        let (a_point, b_point) = (point_step(most * a_step), point_step(most * b_step));
        let a = s.images.get(POINTS * a_point).as_mut_ptr();
        let b = s.results.get(POINTS * b_point).as_mut_ptr();
        let zeros = s.zeros.get(BLOCK);
        zeros.fill(T::ZERO);
        let zeros = zeros.as_ptr();
        let kernels = T::kernels(isa);
        let (lhs, rhs) = (lhs.as_ptr().wrapping_add(m.start), rhs.as_ptr().wrapping_add(n.start));
        let row_step = POINTS * g.out_features;
        for step in 0..steps {
            let tiles = first + (last - first) * step / steps..first + (last - first) * (step + 1) / steps;
            let len = tiles.len();
            let operands = |t: usize| {
                let Place { image, y, x } = self.tile(tiles.start + t);
                let at = (y as i64 - g.padding[1], x as i64 - g.padding[2]);
                (
                    images.tile::<T, IN, POINTS>(lhs, image, at, zeros),
                    results.tile::<T, OUT, { OUT * OUT }>(rhs, image, (y as i64, x as i64), zeros),
                )
            };
            let mut next = operands(0);
            for t in 0..len {
                let (d, y) = next;
                if t + 1 < len {
                    next = operands(t + 1);
                    fetch(&next.0, m.len());
                    fetch(&next.1, n.len());
                }
                // SAFETY: `check` found the positions in the buffers; the points of a tile have room.
                unsafe {
                    (transforms.input)(&d, m.len(), a.wrapping_add(t * a_step), a_point);
                    (transforms.output_gradient)(&y, n.len(), b.wrapping_add(t * b_step), b_point);
                }
            }
            for point in 0..POINTS {
                let (a, b) = (a.wrapping_add(point * a_point), b.wrapping_add(point * b_point));
                let c = sums.wrapping_add(m.start * row_step + point * g.out_features + n.start);
                for col in (0..n.len()).step_by(kernels.panel()) {
                    let width = kernels.panel().min(n.len() - col);
                    let of_width = kernels.of_width(width);
                    let tallest = of_width[of_width.len() - 1].0;
                    for row in (0..m.len()).step_by(tallest) {
                        let rows = tallest.min(m.len() - row);
                        let &(height, micro) =
                            of_width.iter().find(|(height, _)| *height >= rows).expect("`rows` is at most the tallest");
                        debug_assert!(height <= MAX_ROWS);
                        let a_rows: [*const T; MAX_ROWS] =
                            std::array::from_fn(|i| a.wrapping_add(row + i.min(rows - 1)).cast_const());
                        let c_rows: [*mut T; MAX_ROWS] =
                            std::array::from_fn(|i| c.wrapping_add((row + i.min(rows - 1)) * row_step));
                        // SAFETY: the instruction set was checked; A has a column and B a row of `width` for each of
                        // `len` tiles, and the first `rows` rows of C are in the sums of this part and block.
                        unsafe {
                            micro(&Micro {
                                rows: a_rows.as_ptr(),
                                lens: &raw const len,
                                runs: 1,
                                a_step,
                                b: b.wrapping_add(col),
                                b_step,
                                c: c_rows.as_ptr(),
                                c_offset: col,
                                accumulate: step > 0,
                                height: rows,
                                last: kernels.lanes,
                                finish: None,
                                ahead: 0,
                            });
                        }
                    }
                }
            }
        }
    }

    /// Where a tile of the results' gradient is.
    fn tile(&self, tile: usize) -> Place {
        let (rows, across) = self.tiles;
        Place { image: tile / (rows * across), y: tile / across % rows * OUT, x: tile % across * OUT }
    }

    fn check<T>(&self, lhs: &[T], rhs: &[T], out_len: usize) {
        let g = &self.g;
        let reach = |sizes: [usize; 4], strides: [isize; 4]| {
            sizes.iter().zip(strides).map(|(&n, stride)| (n as i128 - 1) * stride as i128).sum::<i128>()
        };
        let (s, [_, height, width]) = (&g.lhs_strides, g.image);
        let images = reach([g.in_features, height, width, g.batch], [s.feature, s.spatial[1], s.spatial[2], 1]);
        assert!(images < lhs.len() as i128, "convolution: the image reaches beyond its buffer");
        let (s, [_, height, width]) = (&g.rhs_strides, g.kernel);
        let results = reach([g.in_features, height, width, g.out_features], [s.feature, s.spatial[1], s.spatial[2], 1]);
        assert!(results < rhs.len() as i128, "convolution: the kernel reaches beyond its buffer");
        let s = &g.out_strides;
        let result = reach([3, 3, g.batch, g.out_features], [s.spatial[1], s.spatial[2], s.batch, 1]);
        assert!(result < out_len as i128, "convolution: the result reaches beyond its buffer");
        let dense = s.spatial[2] >= g.batch as isize * s.batch && s.spatial[1] >= 3 * s.spatial[2];
        assert!(dense, "convolution: elements of the result overlap");
    }
}
