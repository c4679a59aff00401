//! Products of matrices and convolutions of any element type and rank, by their definition: for integers, which wrap, and
//! for what [`gemm`](crate::kernels::gemm) and [`conv`](crate::kernels::conv) do not take.
//!
//! Operands are dense and have their features last, so both are sums of multiples of neighbouring elements. Blocks of
//! 64 sums are kept in registers while the depth is walked through. Floats are summed in `f64` and rounded once.

use half::{bf16, f16};
use rhyton_ir::Element;

use super::gemm::Shared;
use super::math::per_isa;
use super::scratch;
use super::window::WindowAxis;
use crate::isa::Isa;
use crate::pool::Pool;

/// Sums that are kept in registers.
const COLUMNS: usize = 64;

/// Multiplications of a task.
const TASK: usize = 1 << 16;

/// An element type and what its products are summed in.
pub trait Summed: Element {
    /// The type of sums.
    type Sum: Copy + Default + Send + Sync + 'static;
    /// `sum + x·y`.
    fn add_product(sum: Self::Sum, x: Self, y: Self) -> Self::Sum;
    /// Rounds.
    fn round(sum: Self::Sum) -> Self;
}

macro_rules! summed {
    ($sum:ty, $add:expr, $round:expr; $($x:ident),*) => {$(
        impl Summed for $x {
            type Sum = $sum;
            #[inline(always)]
            fn add_product(sum: $sum, x: $x, y: $x) -> $sum {
                $add(sum, x, y)
            }
            #[inline(always)]
            fn round(sum: $sum) -> $x {
                $round(sum)
            }
        }
    )*};
}

macro_rules! summed_integers {
    ($($x:ident),*) => {$(
        summed!($x, |sum: $x, x: $x, y: $x| sum.wrapping_add(x.wrapping_mul(y)), |sum| sum; $x);
    )*};
}

summed_integers!(u8, u16, u32, u64, i8, i16, i32, i64);
summed!(bool, |sum: bool, x: bool, y: bool| sum | (x & y), |sum| sum; bool);
summed!(f64, |sum: f64, x, y| sum + Element::to_f64(x) * Element::to_f64(y), Element::from_f64; f16, bf16, f32, f64);

per_isa! {
    /// Adds `x[k]` times row `k` of `w`, rows `stride` apart, to the sums.
    fn add_products<T: Summed>(x: &[T], w: &[T], stride: usize, sums: &mut [T::Sum]) = add_loops
}

#[inline(always)]
fn add_loops<T: Summed, const FMA: bool>(x: &[T], w: &[T], stride: usize, sums: &mut [T::Sum]) {
    let (blocks, rest) = sums.as_chunks_mut::<COLUMNS>();
    let first = blocks.len() * COLUMNS;
    for (block, sums) in blocks.iter_mut().enumerate() {
        let mut block_sums = *sums;
        for (k, &x) in x.iter().enumerate() {
            let row = &w[k * stride + block * COLUMNS..][..COLUMNS];
            for j in 0..COLUMNS {
                block_sums[j] = T::add_product(block_sums[j], x, row[j]);
            }
        }
        *sums = block_sums;
    }
    for (k, &x) in x.iter().enumerate() {
        for (sum, &w) in rest.iter_mut().zip(&w[k * stride + first..]) {
            *sum = T::add_product(*sum, x, w);
        }
    }
}

/// `out (batch, m, n)` of `x (batch, m, k)` and `w (batch, k, n)`.
///
/// # Panics
/// If the lengths are others, or the machine lacks `isa`.
pub fn products<T: Summed>(pool: &Pool, isa: Isa, x: &[T], w: &[T], out: &mut [T], [batch, m, k, n]: [usize; 4]) {
    assert_eq!((x.len(), w.len(), out.len()), (batch * m * k, batch * k * n, batch * m * n), "the operands");
    each_row(pool, out, n, k * n, &|row, sums: &mut [T::Sum]| {
        add_products(isa, &x[row * k..][..k], &w[row / m * k * n..][..k * n], n, sums);
    });
}

/// Calls `add` with the number of each row of `n` elements of `out` and zeros, and rounds what it has added there.
fn each_row<T: Summed>(
    pool: &Pool,
    out: &mut [T],
    n: usize,
    operations: usize,
    add: &(dyn Fn(usize, &mut [T::Sum]) + Sync),
) {
    let (rows, share) = (out.len() / n.max(1), (TASK / operations.max(1)).max(1));
    let out = Shared(out.as_mut_ptr());
    pool.run(rows.div_ceil(share), &|task| {
        scratch::with(|sums: &mut Vec<T::Sum>| {
            for row in task * share..rows.min((task + 1) * share) {
                sums.clear();
                sums.resize(n, T::Sum::default());
                add(row, sums);
                // SAFETY: each row is of one task.
                let out = unsafe { std::slice::from_raw_parts_mut(out.get().add(row * n), n) };
                out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = T::round(sum));
            }
        });
    });
}

/// The sizes of a convolution of images `(batch, spatial…, features)` by kernels
/// `(window…, features / feature_groups, outputs)`.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Images.
    pub batch: usize,
    /// The spatial axes.
    pub axes: Vec<WindowAxis>,
    /// Features of the images.
    pub features: usize,
    /// Features of the result.
    pub outputs: usize,
    /// Groups of features, and of outputs, that do not see each other.
    pub feature_groups: usize,
    /// Groups of images, each with its own outputs.
    pub batch_groups: usize,
}

impl Sizes {
    fn count(&self, of_axis: impl Fn(&WindowAxis) -> usize) -> usize {
        self.axes.iter().map(of_axis).product()
    }

    /// The place in an image of the element under tap number `tap` of window number `window`, if it is one.
    fn element(&self, mut window: usize, mut tap: usize) -> Option<usize> {
        let (mut place, mut stride) = (0, 1);
        for axis in self.axes.iter().rev() {
            place += axis.element(window % axis.out, tap % axis.window)? * stride;
            (window, tap, stride) = (window / axis.out, tap / axis.window, stride * axis.size);
        }
        Some(place)
    }
}

/// `out (batch / batch_groups, windows…, outputs)` of images `x` and kernels `w`.
///
/// # Panics
/// If the lengths are others, or the machine lacks `isa`.
pub fn convolution<T: Summed>(pool: &Pool, isa: Isa, sizes: &Sizes, x: &[T], w: &[T], out: &mut [T]) {
    let (image, windows, taps) = (sizes.count(|a| a.size), sizes.count(|a| a.out), sizes.count(|a| a.window));
    let groups = sizes.feature_groups * sizes.batch_groups;
    let (depth, width) = (sizes.features / sizes.feature_groups, sizes.outputs / groups);
    let images = sizes.batch / sizes.batch_groups;
    let lengths =
        (sizes.batch * image * sizes.features, taps * depth * sizes.outputs, images * windows * sizes.outputs);
    assert_eq!((x.len(), w.len(), out.len()), lengths, "the operands");
    each_row(pool, out, sizes.outputs, taps * depth * width, &|row, sums: &mut [T::Sum]| {
        let (i, window) = (row / windows, row % windows);
        for tap in 0..taps {
            let Some(element) = sizes.element(window, tap) else { continue };
            for group in 0..groups {
                // One of the two numbers of groups is 1.
                let (image_of_group, features) =
                    (group / sizes.feature_groups * images + i, group % sizes.feature_groups);
                let first = (image_of_group * image + element) * sizes.features + features * depth;
                let w = &w[tap * depth * sizes.outputs + group * width..];
                let sums = &mut sums[group * width..][..width];
                add_products(isa, &x[first..first + depth], w, sizes.outputs, sums);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhyton_ir::Array;
    use rhyton_ir::op::{ConvDims, Convolution, DotGeneral, Primitive};

    /// Numbers of which products wrap.
    fn numbers<T: Element>(n: usize, seed: usize) -> Vec<T> {
        (0..n).map(|i| T::from_i128(((i + seed) * 7919 % 1009) as i128 - 500)).collect()
    }

    fn check_products<T: Summed + PartialEq>([batch, m, k, n]: [usize; 4]) {
        let (x, w) = (numbers::<T>(batch * m * k, 1), numbers::<T>(batch * k * n, 5));
        let op = DotGeneral { lhs_batch: vec![0], rhs_batch: vec![0], lhs_contract: vec![2], rhs_contract: vec![1] };
        let arrays = [Array::new([batch, m, k], x.clone()), Array::new([batch, k, n], w.clone())];
        let expected = op.eval(&[&arrays[0], &arrays[1]]).unwrap().remove(0);
        for isa in Isa::available() {
            let mut out = vec![T::default(); batch * m * n];
            products(&Pool::new(2), isa, &x, &w, &mut out, [batch, m, k, n]);
            assert_eq!(T::view(expected.data()), Some(&out[..]), "{isa} {:?}", [batch, m, k, n]);
        }
    }

    #[test]
    fn products_wrap_as_they_are_interpreted() {
        for sizes in [[1, 1, 1, 1], [2, 3, 5, 63], [1, 5, 3, 64], [3, 2, 9, 65], [1, 40, 33, 130], [2, 3, 0, 4]] {
            check_products::<i8>(sizes);
            check_products::<u16>(sizes);
            check_products::<i32>(sizes);
            check_products::<u64>(sizes);
            check_products::<f64>(sizes);
        }
    }

    #[test]
    fn convolutions_of_any_rank_are_those_that_are_interpreted() {
        for (rank, feature_groups, batch_groups) in [(0, 1, 1), (1, 2, 1), (2, 1, 2), (2, 1, 1), (4, 3, 1)] {
            let op = Convolution {
                dims: ConvDims::channels_last(rank),
                strides: (0..rank).map(|a| 1 + a % 2).collect(),
                padding: (0..rank).map(|a| (1 - (a as i64 % 3), 1)).collect(),
                lhs_dilation: (0..rank).map(|a| 1 + usize::from(a == 1)).collect(),
                rhs_dilation: (0..rank).map(|a| 1 + usize::from(a == 0)).collect(),
                feature_groups,
                batch_groups,
            };
            let images = [vec![4], (0..rank).map(|a| 4 + a % 2).collect(), vec![6]].concat();
            let kernels = [(0..rank).map(|a| 2 + a % 2).collect(), vec![6 / feature_groups, 12]].concat();
            let lengths = [&images, &kernels].map(|dims: &Vec<usize>| dims.iter().product::<usize>());
            let (x, w) = (numbers::<i16>(lengths[0], 2), numbers::<i16>(lengths[1], 3));
            let arrays = [Array::new(images.clone(), x.clone()), Array::new(kernels.clone(), w.clone())];
            let expected = op.eval(&[&arrays[0], &arrays[1]]).unwrap().remove(0);
            let axis = |a: usize| {
                let dilations = (op.lhs_dilation[a], op.rhs_dilation[a]);
                WindowAxis::new(images[a + 1], kernels[a], op.strides[a], op.padding[a], dilations)
            };
            let sizes = Sizes {
                batch: 4,
                axes: (0..rank).map(axis).collect(),
                features: 6,
                outputs: 12,
                feature_groups,
                batch_groups,
            };
            for isa in Isa::available() {
                let mut out = vec![0; expected.len()];
                convolution(&Pool::new(2), isa, &sizes, &x, &w, &mut out);
                assert_eq!(i16::view(expected.data()), Some(&out[..]), "{isa} rank {rank}");
            }
        }
    }
}
