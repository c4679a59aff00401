//! Convolutions with one to three spatial axes: forward, and the gradients of both operands, which are convolutions too.
//!
//! A [`ConvGeometry`] holds sizes and element strides, so any order of axes works. The product is a matrix product
//! (see [`gemm`](crate::kernels::gemm)) of a view of the images, whose rows are output positions and whose columns are
//! taps and input features, by the kernel; the windows are never written out. Rows and columns are ordered by their
//! strides, so that the gradient of a kernel (where batch and features change roles) finds its features contiguous.
//!
//! Holes between the elements of the left operand (`lhs_dilation`, the gradient of a strided convolution) are not
//! multiplied: output positions that meet the same taps form a phase, and each phase is a convolution without holes. In
//! one dimension with dilation `l`, position `o` and tap `k` meet element `(o·s + k·d − p) / l` if that is whole;
//! positions `l / gcd(s, l)` apart meet the same taps, which are `l / gcd(d, l)` apart.
//!
//! Convolutions in which each channel sees only itself have kernels of their own, see `channelwise`; with a convolution of
//! 1 × 1 windows before them they are one kernel, see `expanded`. Windows of 3 × 3 take fewer multiplications by `winograd`,
//! windows of 1 × 1 by `strassen` if the kernel stays the same. Which it is, sizes and strides tell when a plan is made.

pub(crate) mod channelwise;
pub(crate) mod expanded;
mod product;
pub(crate) mod strassen;
#[cfg(test)]
mod tests;
pub(crate) mod winograd;

use rhyton_ir::op::Convolution;

use crate::isa::Isa;
use crate::kernels::gemm::{Epilogue, Real};
use crate::pool::Pool;
use channelwise::Channels;
use product::Product;
use strassen::Strassen;
use winograd::{KernelGradient, Winograd};

/// Elements between neighbours along the axes of an operand: batch, feature and space for the images and the result;
/// output feature, input feature and space for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvStrides {
    /// Along the batch; for the kernel, along its output features.
    pub batch: isize,
    /// Along the features; for the kernel, along its input features.
    pub feature: isize,
    /// Along the spatial axes; 0 for those that are not there.
    pub spatial: [isize; 3],
}

/// Sizes, strides and window of a convolution. Spatial axes that are not there come first, with size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Images.
    pub batch: usize,
    /// Features of the left operand.
    pub in_features: usize,
    /// Features of the kernel's output axis.
    pub out_features: usize,
    /// The image.
    pub image: [usize; 3],
    /// The kernel.
    pub kernel: [usize; 3],
    /// The result.
    pub out: [usize; 3],
    /// Steps of the window.
    pub strides: [usize; 3],
    /// Padding before the image; negative removes.
    pub padding: [i64; 3],
    /// 1 + holes between elements of the image.
    pub lhs_dilation: [usize; 3],
    /// 1 + holes between elements of the kernel.
    pub rhs_dilation: [usize; 3],
    /// Which axes of the kernel are read from the last element to the first.
    pub reversed: [bool; 3],
    /// Groups of features.
    pub feature_groups: usize,
    /// Groups of the batch.
    pub batch_groups: usize,
    /// Of the left operand.
    pub lhs_strides: ConvStrides,
    /// Of the kernel.
    pub rhs_strides: ConvStrides,
    /// Of the result.
    pub out_strides: ConvStrides,
}

impl ConvGeometry {
    /// Of `op` on row-major operands of these shapes, which it must accept; `None` with more than three spatial axes.
    pub fn new(op: &Convolution, lhs: &[usize], rhs: &[usize]) -> Option<ConvGeometry> {
        let dims = &op.dims;
        let rank = dims.lhs_spatial.len();
        let skip = 3usize.checked_sub(rank)?;
        let spatial =
            |shape: &[usize], axes: &[usize]| std::array::from_fn(|d| if d < skip { 1 } else { shape[axes[d - skip]] });
        let attribute = |values: &[usize]| std::array::from_fn(|d| if d < skip { 1 } else { values[d - skip] });
        let (image, kernel): ([usize; 3], [usize; 3]) =
            (spatial(lhs, &dims.lhs_spatial), spatial(rhs, &dims.rhs_spatial));
        let (strides, lhs_dilation, rhs_dilation): ([usize; 3], [usize; 3], [usize; 3]) =
            (attribute(&op.strides), attribute(&op.lhs_dilation), attribute(&op.rhs_dilation));
        let padding: [(i64, i64); 3] = std::array::from_fn(|d| if d < skip { (0, 0) } else { op.padding[d - skip] });
        let out: [usize; 3] = std::array::from_fn(|d| {
            let dilated = |size: usize, by: usize| if size == 0 { 0 } else { (size as i64 - 1) * by as i64 + 1 };
            let padded = dilated(image[d], lhs_dilation[d]) + padding[d].0 + padding[d].1;
            let room = padded - dilated(kernel[d], rhs_dilation[d]);
            if room < 0 { 0 } else { room as usize / strides[d] + 1 }
        });
        let batch = lhs[dims.lhs_batch];
        let out_features = rhs[dims.rhs_output];
        let mut out_shape = vec![0; rank + 2];
        out_shape[dims.out_batch] = batch / op.batch_groups;
        out_shape[dims.out_feature] = out_features;
        (0..rank).for_each(|d| out_shape[dims.out_spatial[d]] = out[d + skip]);
        let strides_of = |shape: &[usize], batch: usize, feature: usize, space: &[usize]| {
            let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>() as isize;
            let spatial = std::array::from_fn(|d| if d < skip { 0 } else { stride(space[d - skip]) });
            ConvStrides { batch: stride(batch), feature: stride(feature), spatial }
        };
        Some(ConvGeometry {
            batch,
            in_features: lhs[dims.lhs_feature],
            out_features,
            image,
            kernel,
            out,
            strides,
            padding: padding.map(|(before, _)| before),
            lhs_dilation,
            rhs_dilation,
            reversed: [false; 3],
            feature_groups: op.feature_groups,
            batch_groups: op.batch_groups,
            lhs_strides: strides_of(lhs, dims.lhs_batch, dims.lhs_feature, &dims.lhs_spatial),
            rhs_strides: strides_of(rhs, dims.rhs_output, dims.rhs_input, &dims.rhs_spatial),
            out_strides: strides_of(&out_shape, dims.out_batch, dims.out_feature, &dims.out_spatial),
        })
    }

    /// Elements of the result.
    pub fn out_len(&self) -> usize {
        self.batch / self.batch_groups * self.out_features * self.out.iter().product::<usize>()
    }

    fn check(&self) {
        assert!(self.feature_groups > 0 && self.batch_groups > 0, "convolution: no groups");
        assert!(self.feature_groups == 1 || self.batch_groups == 1, "convolution: groups of both kinds");
        let groups = self.feature_groups * self.batch_groups;
        assert_eq!(self.in_features % self.feature_groups, 0, "convolution: input features in groups");
        assert_eq!(self.batch % self.batch_groups, 0, "convolution: the batch in groups");
        assert_eq!(self.out_features % groups, 0, "convolution: output features in groups");
        for d in 0..3 {
            let positive = self.strides[d] > 0 && self.lhs_dilation[d] > 0 && self.rhs_dilation[d] > 0;
            assert!(positive, "convolution: strides and dilations start at 1");
        }
    }
}

/// Output positions of one axis that meet the same taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) out: Progression,
    pub(crate) tap: Progression,
    /// The element of the image that the first position and the first tap meet; negative before the image.
    pub(crate) at: i64,
    /// Elements of the image between positions.
    pub(crate) out_step: i64,
    /// Elements of the image between taps.
    pub(crate) tap_step: i64,
}

/// Evenly spaced indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progression {
    pub(crate) first: usize,
    pub(crate) step: usize,
    pub(crate) count: usize,
}

/// The phases of axis `d`; those without output are left out.
fn phases(g: &ConvGeometry, d: usize) -> Vec<Phase> {
    (0..out_step(g, d).min(g.out[d])).map(|first| phase(g, d, first)).collect()
}

/// Output positions of axis `d` from one that meets the same taps to the next.
fn out_step(g: &ConvGeometry, d: usize) -> usize {
    g.lhs_dilation[d] / gcd(g.strides[d], g.lhs_dilation[d])
}

/// The phase of axis `d` whose first output position is `first`.
fn phase(g: &ConvGeometry, d: usize, first: usize) -> Phase {
    let (s, l, k_d) = (g.strides[d], g.lhs_dilation[d], g.rhs_dilation[d]);
    let (out_step, tap_step) = (out_step(g, d), l / gcd(k_d, l));
    let meet = |k: usize| (first * s + k * k_d) as i64 - g.padding[d];
    let tap = (0..tap_step.min(g.kernel[d])).find(|&k| meet(k).rem_euclid(l as i64) == 0);
    let taps = tap.map_or(Progression { first: 0, step: tap_step, count: 0 }, |k| Progression {
        first: k,
        step: tap_step,
        count: (g.kernel[d] - k).div_ceil(tap_step),
    });
    Phase {
        out: Progression { first, step: out_step, count: (g.out[d] - first).div_ceil(out_step) },
        tap: taps,
        at: meet(taps.first).div_euclid(l as i64),
        out_step: (out_step * s / l) as i64,
        tap_step: (tap_step * k_d / l) as i64,
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The right operand.
#[derive(Clone, Copy, Debug)]
pub enum Kernel<'a, T> {
    /// As it is.
    Elements(&'a [T]),
    /// What [`ConvPlan::pack`] has made of it.
    Packed(&'a [T]),
}

/// How a convolution is computed; everything about it that sizes and strides tell.
#[derive(Clone, Debug)]
pub struct ConvPlan {
    geometry: ConvGeometry,
    phases: Vec<PhaseKernel>,
}

/// A phase as a matrix product, and in the other ways in which it can be computed if there are kernels of its elements' type.
#[derive(Clone, Copy, Debug)]
struct PhaseKernel {
    product: Product,
    channels: Option<Channels>,
    winograd: Option<Winograd>,
    strassen: Option<Strassen>,
    kernel_gradient: Option<KernelGradient>,
}

impl ConvPlan {
    /// A convolution of this geometry.
    ///
    /// # Panics
    /// If the geometry is inconsistent.
    pub fn new(g: &ConvGeometry) -> ConvPlan {
        g.check();
        let mut all = Vec::new();
        if g.out_len() > 0 {
            let axes = [phases(g, 0), phases(g, 1), phases(g, 2)];
            for z in &axes[0] {
                for y in &axes[1] {
                    for x in &axes[2] {
                        let phase = [*z, *y, *x];
                        let (product, channels) = (Product::new(g, &phase), Channels::new(g, &phase));
                        let (winograd, kernel_gradient) = (Winograd::new(g), KernelGradient::new(g));
                        let strassen = Strassen::new(g);
                        all.push(PhaseKernel { product, channels, winograd, strassen, kernel_gradient });
                    }
                }
            }
        }
        ConvPlan { geometry: *g, phases: all }
    }

    /// The sizes and strides.
    pub fn geometry(&self) -> &ConvGeometry {
        &self.geometry
    }

    /// The elements that [`ConvPlan::pack`] needs at most, for operands of type `T`; `None` if the kernel is read as it is.
    pub fn packed<T: Real>(&self) -> Option<usize> {
        match &self.phases[..] {
            [PhaseKernel { winograd: Some(winograd), .. }] if T::HAS_WINOGRAD => Some(winograd.packed()),
            [PhaseKernel { strassen: Some(strassen), .. }] if T::HAS_STRASSEN => Some(strassen.packed()),
            [PhaseKernel { product, channels, .. }]
                if self.geometry.lhs_dilation == [1; 3] && (channels.is_none() || !T::HAS_CHANNELWISE) =>
            {
                product.packed()
            }
            _ => None,
        }
    }

    /// Makes of a kernel, which stays the same for many runs, what they read.
    ///
    /// # Panics
    /// If [`ConvPlan::packed`] gives none or more elements than `memory` has, or the machine lacks `isa`.
    pub fn pack<T: Real>(&self, pool: &Pool, isa: Isa, rhs: &[T], memory: &mut [T]) {
        let enough = self.packed::<T>().is_some_and(|len| len <= memory.len());
        assert!(enough, "the convolution reads its kernel as it is");
        let phase = &self.phases[0];
        if let Some((winograd, transforms)) = phase.winograd.zip(T::winograd(isa)) {
            winograd.pack(pool, isa, &transforms, rhs, memory);
        } else if let Some((strassen, sums)) = phase.strassen.zip(T::strassen(isa)) {
            strassen.pack(pool, isa, &sums, rhs, memory);
        } else {
            phase.product.pack(pool, isa, rhs, memory);
        }
    }

    /// Whether [`ConvPlan::run`] can add to what the result holds: where the convolution is a single matrix product of few terms.
    pub fn accumulates<T: Real>(&self) -> bool {
        let special = |phase: &PhaseKernel| {
            phase.channels.is_some() && T::HAS_CHANNELWISE
                || (phase.winograd.is_some() || phase.kernel_gradient.is_some()) && T::HAS_WINOGRAD
                || phase.strassen.is_some() && T::HAS_STRASSEN
        };
        matches!(&self.phases[..], [phase] if !special(phase) && phase.product.is_single_block())
    }

    /// `out = lhs ⋆ rhs` (cross-correlation), with `accumulate` added to what `out` holds, then `epilogue` on blocks of `out`.
    ///
    /// With a null `out`, for operands of [`Pair`](crate::kernels::gemm::Pair)s, the result is not kept.
    ///
    /// The rows of a [`Tile`](crate::kernels::gemm::Tile) are output positions in the order of their strides, of one
    /// phase (see the module): use its offsets. A batch of it is a group.
    ///
    /// # Safety
    /// As [`Out::from_raw`](crate::kernels::gemm::Out::from_raw).
    ///
    /// # Panics
    /// If an operand reaches outside its buffer, the machine lacks `isa`, or the plan does not [accumulate](ConvPlan::accumulates)
    /// and is to.
    #[expect(clippy::too_many_arguments, reason = "a convolution, and where it goes")]
    pub unsafe fn run<T: Real>(
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
        assert!(!accumulate || self.accumulates::<T>(), "convolution: a plan that does not accumulate is to");
        for phase in &self.phases {
            let winograd = phase.winograd.as_ref().zip(T::winograd(isa));
            // SAFETY: the caller's promise.
            unsafe {
                match rhs {
                    Kernel::Elements(rhs) => {
                        if let Some((channels, kernels)) = phase.channels.as_ref().zip(T::channelwise(isa)) {
                            let epilogue = epilogue.map(|epilogue| Epilogue {
                                finish: epilogue.finish.filter(|finish| channels.finishes(finish)),
                                ..epilogue
                            });
                            channels.run(pool, &kernels, lhs, rhs, out, out_len, epilogue);
                            continue;
                        }
                        if let Some((winograd, transforms)) = winograd.filter(|w| w.0.unpacked) {
                            winograd.run_unpacked(pool, isa, &transforms, lhs, rhs, out, out_len, epilogue);
                            continue;
                        }
                        if let Some((gradient, transforms)) = phase.kernel_gradient.as_ref().zip(T::winograd(isa)) {
                            gradient.run(pool, isa, &transforms, lhs, rhs, out, out_len, epilogue);
                            continue;
                        }
                    }
                    Kernel::Packed(packed) => {
                        if let Some((winograd, transforms)) = winograd {
                            winograd.run(pool, isa, &transforms, lhs, packed, out, out_len, epilogue);
                            continue;
                        }
                        if let Some((strassen, sums)) = phase.strassen.as_ref().zip(T::strassen(isa)) {
                            strassen.run(pool, isa, &sums, lhs, packed, out, out_len, epilogue);
                            continue;
                        }
                    }
                }
                phase.product.run(pool, isa, lhs, rhs, out, out_len, accumulate, epilogue);
            }
        }
    }
}

/// A single convolution, see [`ConvPlan::run`].
///
/// # Panics
/// If the geometry is inconsistent, reaches outside a buffer, or the machine lacks `isa`.
pub fn convolution<T: Real>(
    pool: &Pool,
    isa: Isa,
    geometry: &ConvGeometry,
    lhs: &[T],
    rhs: &[T],
    out: &mut [T],
    epilogue: Option<Epilogue<'_, T>>,
) {
    let (data, len) = (out.as_mut_ptr(), out.len());
    // SAFETY: `out` is borrowed for as long as the call.
    unsafe { ConvPlan::new(geometry).run(pool, isa, lhs, Kernel::Elements(rhs), data, len, false, epilogue) }
}
