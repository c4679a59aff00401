//! A phase of a convolution as a matrix product.

use super::{ConvGeometry, Kernel, Phase};
use crate::isa::Isa;
use crate::kernels::gemm::{
    Axis, BLOCK_K, BatchDim, Dim, Elements, Epilogue, Gemm, Out, Packed, Real, Rhs, Space, View, gemm,
};
use crate::pool::Pool;

/// The rows of the left operand are output positions, its columns taps and input features.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// Output positions, in the images and in the result.
    image_rows: Axis,
    positions: Axis,
    /// Those of a single image, where the features of the result are apart but positions are neighbours (NCHW): there
    /// the transposed product is computed, image by image.
    transposed: Option<(Axis, usize)>,
    /// Taps and input features, in the images and in the kernel.
    image_cols: Axis,
    kernel_rows: Axis,
    kernel_cols: Axis,
    kernel_offset: isize,
    /// Where the first position's first tap lies, if none lies outside the images: then there is no space to keep track of.
    image_offset: isize,
    space: Space,
    group: BatchDim,
    /// Images, for those that are multiplied one by one.
    images: BatchDim,
    outputs: usize,
    out_feature: isize,
    out_offset: usize,
}

impl Product {
    pub(super) fn new(g: &ConvGeometry, phase: &[Phase; 3]) -> Product {
        let groups = g.feature_groups * g.batch_groups;
        let (ic, oc, batch) = (g.in_features / g.feature_groups, g.out_features / groups, g.batch / g.batch_groups);
        // Where all taps of all positions lie inside the image, the images are a strided matrix like any other; else
        // their coordinates are kept, to be compared with the image's size.
        let inside = (0..3).all(|d| {
            let Phase { out: o, tap, at, out_step, tap_step } = phase[d];
            let reach = (o.count as i64 - 1).max(0) * out_step + (tap.count as i64 - 1).max(0) * tap_step;
            at >= 0 && at + reach < g.image[d] as i64
        });
        let moves = |size: usize, d: usize, step: i64| {
            if inside {
                return Dim::plain(size, step as isize * g.lhs_strides.spatial[d]);
            }
            let mut steps = [0; 3];
            steps[d] = step as i32;
            Dim { size, stride: 0, steps }
        };
        let origin: [isize; 3] = std::array::from_fn(|d| phase[d].at as isize);
        let strides = g.lhs_strides.spatial;
        let (image_offset, space) = if inside {
            ((0..3).map(|d| origin[d] * strides[d]).sum(), Space::NONE)
        } else {
            let extent = g.image.map(|size| size as i32);
            (0, Space { origin: origin.map(|at| at as i32), extent, strides })
        };
        // Output positions: strides in the result and in the images.
        let mut rows = vec![(g.out_strides.batch, Dim::plain(batch, g.lhs_strides.batch))];
        // Taps and input features: strides in the images and in the kernel.
        let mut cols = vec![(g.lhs_strides.feature, Dim::plain(ic, g.lhs_strides.feature), g.rhs_strides.feature)];
        let (mut kernel_offset, mut out_offset) = (0, 0);
        for d in 0..3 {
            let Phase { out: o, tap, .. } = phase[d];
            let out_stride = o.step as isize * g.out_strides.spatial[d];
            rows.push((out_stride, moves(o.count, d, phase[d].out_step)));
            out_offset += o.first as isize * g.out_strides.spatial[d];
            let forward = g.rhs_strides.spatial[d];
            let rhs_stride = if g.reversed[d] { -forward } else { forward };
            kernel_offset += tap.first as isize * rhs_stride;
            kernel_offset += if g.reversed[d] { (g.kernel[d] as isize - 1) * forward } else { 0 };
            let move_by = phase[d].tap_step as isize * g.lhs_strides.spatial[d];
            cols.push((move_by, moves(tap.count, d, phase[d].tap_step), rhs_stride * tap.step as isize));
        }
        let mut inner = rows[1..].to_vec();
        rows.sort_by_key(|&(stride, dim)| (dim.size == 1, -stride));
        inner.sort_by_key(|&(stride, _)| -stride);
        cols.sort_by_key(|&(stride, dim, _)| (dim.size == 1, -stride));
        let taps = |f: &dyn Fn(&(isize, Dim, isize)) -> Dim| Axis::new(&cols.iter().map(f).collect::<Vec<_>>());
        let group = if g.feature_groups > 1 {
            ic as isize * g.lhs_strides.feature
        } else {
            batch as isize * g.lhs_strides.batch
        };
        let in_images = |rows: &[(isize, Dim)]| Axis::new(&rows.iter().map(|&(_, dim)| dim).collect::<Vec<_>>());
        let in_result = |rows: &[(isize, Dim)]| {
            Axis::new(&rows.iter().map(|&(stride, dim)| Dim::plain(dim.size, stride)).collect::<Vec<_>>())
        };
        let pixels = in_result(&inner);
        let transposed = (g.out_strides.feature != 1 && oc > 1 && pixels.uniform_stride() == Some(1))
            .then(|| (in_images(&inner), pixels.len()));
        Product {
            image_cols: taps(&|&(_, dim, _)| dim),
            kernel_rows: taps(&|&(_, dim, stride)| Dim::plain(dim.size, stride)),
            kernel_cols: Axis::plain(oc, g.rhs_strides.batch),
            kernel_offset,
            image_offset,
            space,
            group: BatchDim {
                size: groups,
                a: group,
                b: oc as isize * g.rhs_strides.batch,
                c: oc as isize * g.out_strides.feature,
            },
            images: BatchDim { size: batch, a: 0, b: g.lhs_strides.batch, c: g.out_strides.batch },
            outputs: oc,
            out_feature: g.out_strides.feature,
            out_offset: out_offset as usize,
            image_rows: in_images(&rows),
            positions: in_result(&rows),
            transposed,
        }
    }

    fn image<'a, T>(&self, lhs: &'a [T], rows: Axis) -> View<'a, T> {
        View::new(Elements::Native(lhs), self.image_offset, rows, self.image_cols, self.space)
    }

    fn kernel<'a, T>(&self, rhs: &'a [T]) -> View<'a, T> {
        View::new(Elements::Native(rhs), self.kernel_offset, self.kernel_rows, self.kernel_cols, Space::NONE)
    }

    fn kernel_shape(&self) -> (usize, usize) {
        (self.kernel_rows.len(), self.outputs)
    }

    /// The most elements of the packed kernel, if it can be packed.
    pub(super) fn packed(&self) -> Option<usize> {
        let (k, n) = self.kernel_shape();
        self.transposed.is_none().then(|| Packed::<f32>::most(k, n) * self.group.size)
    }

    /// Whether all terms are summed in registers, so that what is added to the result is rounded as an addend elsewhere.
    pub(super) fn is_single_block(&self) -> bool {
        self.kernel_shape().0 <= BLOCK_K
    }

    /// Packs the kernel.
    pub(super) fn pack<T: Real>(&self, pool: &Pool, isa: Isa, rhs: &[T], memory: &mut [T]) {
        Packed::pack(pool, isa, self.kernel(rhs), (self.group.size, self.group.b), memory);
    }

    /// Computes the phase; with `accumulate` it is added to what `out` holds.
    ///
    /// # Safety
    /// As [`ConvPlan::run`](super::ConvPlan::run).
    #[expect(clippy::too_many_arguments, reason = "as `ConvPlan::run`")]
    pub(super) unsafe fn run<T: Real>(
        &self,
        pool: &Pool,
        isa: Isa,
        lhs: &[T],
        rhs: Kernel<'_, T>,
        out: *mut T,
        out_len: usize,
        accumulate: bool,
        epilogue: Option<Epilogue<'_, T>>,
    ) {
        if let (Some((image_rows, pixels)), Kernel::Elements(rhs)) = (self.transposed, rhs) {
            let group = BatchDim { a: self.group.b, b: self.group.a, ..self.group };
            let rows = Axis::plain(self.outputs, self.out_feature);
            // SAFETY: the caller's promise.
            let c = unsafe { Out::from_raw(out, out_len, self.out_offset, rows, pixels, 1) };
            let (a, b) = (self.kernel(rhs).transposed(), Rhs::View(self.image(lhs, image_rows).transposed()));
            return gemm(pool, isa, &Gemm { a, b, c, batch: &[group, self.images], accumulate, epilogue });
        }
        // SAFETY: the caller's promise.
        let c = unsafe { Out::from_raw(out, out_len, self.out_offset, self.positions, self.outputs, self.out_feature) };
        let a = self.image(lhs, self.image_rows);
        let b = match rhs {
            Kernel::Elements(rhs) => Rhs::View(self.kernel(rhs)),
            Kernel::Packed(memory) => Rhs::Packed(Packed::of(isa, self.kernel_shape(), self.group.size, memory)),
        };
        gemm(pool, isa, &Gemm { a, b, c, batch: &[self.group], accumulate, epilogue });
    }
}
