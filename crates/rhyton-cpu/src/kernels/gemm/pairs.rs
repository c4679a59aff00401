//! Products of bf16 numbers two at a time, as AVX512-BF16 multiplies them.
//!
//! The instruction takes pairs of neighbours along K in both operands, multiplies them and adds both products to an f32.
//! So an operand of K numbers is one of K / 2 [`Pair`]s, and everything else (views, blocks, packing, convolutions) is the
//! product of `f32`s, whose elements have the same size. Where neighbours along K are neighbours in memory the pairs are there
//! already; else [`interleave`] makes them.

use half::bf16;

use super::packed::{Shared, offset_of};
use super::{Kernels, Real, Transpose8, channelwise, dots, micro, pack, strassen, winograd};
use crate::isa::Isa;
use crate::kernels::math::per_isa;
use crate::pool::Pool;

/// An element of a product of bf16 numbers: in A and B two of them, neighbours along K, the first in the low bits; in C an `f32`.
///
/// It has the alignment of a bf16, so that any two neighbours in memory are one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, packed(2))]
pub struct Pair(u32);

impl Pair {
    /// The two numbers, or the bits of the `f32`.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Two factors.
    pub fn new(first: bf16, second: bf16) -> Pair {
        Pair(u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16)
    }

    /// The sum that an element of C is.
    pub fn sum(self) -> f32 {
        f32::from_bits(self.0)
    }

    /// The products of the numbers of `self` and `other`, added to `sum`.
    #[inline(always)]
    pub fn dot_add(self, other: Pair, sum: Pair) -> Pair {
        let halves = |x: Pair| [f32::from_bits(x.0 << 16), f32::from_bits(x.0 & 0xffff_0000)];
        let (a, b) = (halves(self), halves(other));
        Pair((sum.sum() + a[1] * b[1] + a[0] * b[0]).to_bits())
    }
}

/// Of elements of C.
impl std::ops::Add for Pair {
    type Output = Pair;
    #[inline(always)]
    fn add(self, other: Pair) -> Pair {
        Pair((self.sum() + other.sum()).to_bits())
    }
}

#[expect(private_interfaces, reason = "see the trait")]
impl Real for Pair {
    const ZERO: Pair = Pair(0);
    /// As an element of C: operands of pairs are not converted.
    fn from_f32(x: f32) -> Pair {
        Pair(x.to_bits())
    }
    fn kernels(isa: Isa) -> &'static Kernels<Pair> {
        micro::pair_kernels(isa)
    }
    fn transpose(isa: Isa) -> Option<Transpose8<Pair>> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => Some(pack::transpose8_avx_pairs),
            _ => None,
        }
    }
    fn dots(_: Isa) -> Option<dots::Dots<Pair>> {
        None
    }
    const HAS_CHANNELWISE: bool = false;
    fn channelwise(_: Isa) -> Option<channelwise::Kernels<Pair>> {
        None
    }
    const HAS_WINOGRAD: bool = false;
    fn winograd(_: Isa) -> Option<winograd::Transforms<Pair>> {
        None
    }
    const HAS_STRASSEN: bool = false;
    fn strassen(_: Isa) -> Option<strassen::Sums<Pair>> {
        None
    }
}

/// Elements that a task interleaves.
const TASK: usize = 1 << 14;

/// Makes pairs of rows: `dst[i · inner + j]` is the pair of the numbers `j` and `apart + j` after position `i` of `outer`
/// (sizes and strides, the last the fastest).
///
/// # Panics
/// If `src` or `dst` is too short.
pub fn interleave(
    pool: &Pool,
    isa: Isa,
    src: &[bf16],
    (outer, apart, inner): (&[(usize, isize)], isize, usize),
    dst: &mut [Pair],
) {
    let rows: usize = outer.iter().map(|&(size, _)| size).product();
    assert!(dst.len() >= rows * inner, "interleave: {} pairs have no room in {}", rows * inner, dst.len());
    if rows * inner == 0 {
        return;
    }
    let at_once = (TASK / inner).max(1);
    let to = Shared(dst.as_mut_ptr());
    pool.run(rows.div_ceil(at_once), &|task| {
        for row in task * at_once..((task + 1) * at_once).min(rows) {
            let start = offset_of(outer.iter().copied(), row);
            let stretch = |start: isize| {
                let start = usize::try_from(start).expect("interleave: a position before the operand");
                &src[start..start + inner]
            };
            // SAFETY: the assertion above; rows are divided among the tasks.
            let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(row * inner), inner) };
            zip(isa, stretch(start), stretch(start + apart), to);
        }
    });
}

per_isa! {
    fn zip(first: &[bf16], second: &[bf16], to: &mut [Pair]) = zip_loop
}

#[inline(always)]
fn zip_loop<const WIDE: bool>(first: &[bf16], second: &[bf16], to: &mut [Pair]) {
    for ((to, &first), &second) in to.iter_mut().zip(first).zip(second) {
        *to = Pair::new(first, second);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Elements, Gemm, Out, Rhs, Space, View, gemm};
    use super::*;

    /// The products of bf16 matrices by their definition.
    fn reference(a: &[bf16], b: &[bf16], (m, n, k): (usize, usize, usize)) -> Vec<f32> {
        let product = |i: usize, j: usize| (0..k).map(|l| a[i * k + l].to_f32() * b[l * n + j].to_f32()).sum();
        (0..m * n).map(|at| product(at / n, at % n)).collect()
    }

    fn numbers(len: usize, seed: u32) -> Vec<bf16> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                bf16::from_f32((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect()
    }

    fn matrix(rows: usize, cols: usize, data: &[Pair]) -> View<'_, Pair> {
        View::new(Elements::Native(data), 0, Axis::plain(rows, cols as isize), Axis::plain(cols, 1), Space::NONE)
    }

    #[test]
    fn products_of_pairs_are_those_of_their_numbers() {
        let pool = Pool::new(2);
        for isa in Isa::available() {
            for size @ (m, n, k) in [(1, 1, 2), (7, 70, 34), (130, 33, 600), (20, 16, 4096), (97, 130, 64)] {
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let mut pairs = vec![Pair::default(); k / 2 * n];
                interleave(&pool, isa, &b, (&[(k / 2, 2 * n as isize)], n as isize, n), &mut pairs);
                let a_pairs: Vec<Pair> = a.chunks(2).map(|two| Pair::new(two[0], two[1])).collect();
                let mut c = vec![Pair::default(); m * n];
                let product = Gemm {
                    a: matrix(m, k / 2, &a_pairs),
                    b: Rhs::View(matrix(k / 2, n, &pairs)),
                    c: Out::matrix(&mut c, (m, n), n),
                    batch: &[],
                    accumulate: false,
                    epilogue: None,
                };
                gemm(&pool, isa, &product);
                for (got, expected) in c.iter().zip(reference(&a, &b, size)) {
                    let close = (got.sum() - expected).abs() <= 1e-5 * (k as f32).sqrt() + 1e-5 * expected.abs();
                    assert!(close, "{isa} {size:?}: {} is not {expected}", got.sum());
                }
            }
        }
    }

    #[test]
    fn rows_are_interleaved() {
        let pool = Pool::new(1);
        let src: Vec<bf16> = (0..24).map(|x| bf16::from_f32(x as f32)).collect();
        for isa in Isa::available() {
            // 2 × 4 × 3 numbers, pairs along the second axis.
            let mut pairs = vec![Pair::default(); 12];
            interleave(&pool, isa, &src, (&[(2, 12), (2, 6)], 3, 3), &mut pairs);
            for (i, pair) in pairs.into_iter().enumerate() {
                let first = i / 6 * 12 + i % 6 / 3 * 6 + i % 3;
                assert_eq!(pair, Pair::new(src[first], src[first + 3]), "{isa} {i}");
            }
        }
    }
}
