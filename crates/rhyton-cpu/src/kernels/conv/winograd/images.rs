//! Results of convolutions, and gradients of their images.

use super::{FEATURES, IN, OUT, POINTS, Place, Positions, TAPS, TRANSFORM, Transforms, fetch, point_step};
use crate::isa::Isa;
use crate::kernels::conv::{ConvGeometry, ConvStrides};
use crate::kernels::gemm::{
    Axis, BLOCK_K, Cut, Elements, Epilogue, Finish, MAX_ROWS, Packed, Panel, Real, Shared, Space, Tile, View,
    multiply_panel,
};
use crate::kernels::scratch::{self, Aligned};
use crate::pool::Pool;

/// Tiles of a task: rows of tiles are added until there are as many. With 32, a block of 128 input features takes
/// 590 KB, and the products of 64 output features half as much.
const TILES: usize = 32;
/// The most tiles of a task; longer rows are divided.
const MOST_TILES: usize = 48;
/// Input features of a block.
const BLOCK: usize = 128;

/// A convolution that is computed so.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels::conv) struct Winograd {
    g: ConvGeometry,
    /// Rows of tiles of an image, and tiles of a row.
    tiles: (usize, usize),
    /// Whether it is faster also if the kernel is transformed anew each time.
    pub(in crate::kernels::conv) unpacked: bool,
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

/// The transformed and packed kernel of a run that has none packed before.
struct Whole<T>(Aligned<T>);

impl<T> Default for Whole<T> {
    fn default() -> Self {
        Whole(Aligned::default())
    }
}

impl Winograd {
    /// If the convolution can be computed so, and that is faster.
    pub(in crate::kernels::conv) fn new(g: &ConvGeometry) -> Option<Winograd> {
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
    pub(in crate::kernels::conv) fn packed(&self) -> usize {
        POINTS * Packed::<f32>::most(self.g.in_features, self.g.out_features)
    }

    /// Transforms and packs the kernel.
    ///
    /// # Panics
    /// If the kernel is of 16-bit floats.
    pub(in crate::kernels::conv) fn pack<T: Real>(
        &self,
        pool: &Pool,
        isa: Isa,
        transforms: &Transforms<T>,
        rhs: &[T],
        memory: &mut [T],
    ) {
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
    /// As [`ConvPlan::run`](crate::kernels::conv::ConvPlan::run).
    #[expect(clippy::too_many_arguments, reason = "as `ConvPlan::run`")]
    pub(in crate::kernels::conv) unsafe fn run<T: Real>(
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
    pub(in crate::kernels::conv) unsafe fn run_unpacked<T: Real>(
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
        let (point_step, product_step) = (point_step(tiles * k_step), point_step((tiles + MAX_ROWS) * c_step));
        let points = s.points.get(POINTS * point_step).as_mut_ptr();
        let products = s.products.get(POINTS * product_step).as_mut_ptr();
        let zeros = s.zeros.get(cut.k);
        zeros.fill(T::ZERO);
        let zeros = zeros.as_ptr();
        let images = Positions::new(g.image, g.lhs_strides.batch, g.lhs_strides.spatial);
        for block in 0..cut.blocks() {
            let (k0, k1) = cut.range(block);
            // Blocks of the packed kernel are longer than those that are transformed at a time.
            for k in (k0..k1).step_by(BLOCK) {
                let len = BLOCK.min(k1 - k);
                let inputs = |t: usize| {
                    let Place { image, y, x } = s.offsets[t];
                    let at = (y as i64 - g.padding[1], x as i64 - g.padding[2]);
                    images.tile::<T, IN, POINTS>(lhs.as_ptr().wrapping_add(k), image, at, zeros)
                };
                let mut next = inputs(0);
                for t in 0..tiles {
                    let from = next;
                    if t + 1 < tiles {
                        next = inputs(t + 1);
                        fetch(&next, len);
                    }
                    // SAFETY: `check` found all inputs in the buffer; the points of a tile have room.
                    unsafe { (transforms.input)(&from, len, points.add(t * k_step), point_step) };
                }
                for point in 0..POINTS {
                    let a = points.wrapping_add(point * point_step);
                    let c = products.wrapping_add(point * product_step);
                    let at = |point: usize, panel: usize| {
                        let start = point * cut.len() + cut.offset(block, panel) + (k - k0) * cut.width(panel);
                        kernel.data[start..].as_ptr()
                    };
                    for panel in panels.clone() {
                        let next = match (panel + 1 < panels.end, point + 1 < POINTS) {
                            (true, _) => at(point, panel + 1),
                            (false, true) => at(point + 1, panels.start),
                            (false, false) => std::ptr::null(),
                        };
                        let right = Panel { b: at(point, panel), width: cut.width(panel), len, next };
                        let a = |row: usize| a.wrapping_add(row * k_step).cast_const();
                        let c = |row: usize| c.wrapping_add(row * c_step);
                        let column = (panel - panels.start) * cut.panel;
                        // SAFETY: the instruction set was checked; rows of A have `len` elements; B is padded to `width`;
                        // the products have MAX_ROWS rows more than there are tiles.
                        unsafe { multiply_panel(isa, &right, tiles, a, (c, column), k > 0) };
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

    fn check<T>(&self, lhs: &[T], out_len: usize) {
        let g = &self.g;
        let reach = |sizes: [usize; 4], s: &ConvStrides| {
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

/// Bytes of a transformed kernel that stay in the outer cache between its uses.
const CACHE: f64 = 8e6;
/// What fetching an element of the kernel from memory costs in terms of a multiplication.
const LOAD: f64 = 24.0;
/// What transforming and packing an element of the kernel costs so.
const PACK: f64 = 60.0;
