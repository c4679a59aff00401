//! Operands of products of bf16 numbers as pairs of neighbours along an axis that is summed over, see
//! [`Pair`](crate::kernels::gemm::Pair).

use rhyton_ir::{DType, bf16};

use crate::isa::Isa;
use crate::kernels::gemm::{Pair, interleave};
use crate::lower::emit::Operand;
use crate::plan::{Context, aligned};

/// Rows or columns that must share an operand for it to be worth interleaving.
pub(super) const WORTH: usize = 16;

/// An operand whose numbers are taken two at a time.
pub(super) struct Paired {
    /// Where its first pair lies, in pairs.
    pub offset: isize,
    /// Pairs between neighbours along each axis.
    pub strides: Vec<isize>,
    copy: Option<Interleaved>,
}

/// A copy in which pairs are neighbours.
struct Interleaved {
    /// Where the first number lies.
    start: usize,
    /// Sizes and strides of what is around the stretches, the last the fastest.
    outer: Vec<(usize, isize)>,
    /// From the first to the second number of a pair.
    apart: isize,
    /// The length of a stretch.
    inner: usize,
}

impl Paired {
    /// Of an operand of these dimensions and strides that starts at `offset`, along axis `along`; `None` where there is an
    /// odd number of neighbours, where it is not of bf16, or the machine gains nothing by it.
    pub fn new(dtype: DType, dims: &[usize], strides: &[isize], offset: isize, along: usize) -> Option<Paired> {
        let real = || (0..dims.len()).filter(|&d| dims[d] != 1);
        if dtype != DType::BF16
            || !Isa::machine_has_bf16_pairs()
            || dims.iter().product::<usize>() == 0
            || !dims[along].is_multiple_of(2)
            || offset < 0
            || real().any(|d| strides[d] <= 0)
        {
            return None;
        }
        let even = |d: usize| strides[d] % 2 == 0;
        if strides[along] == 1 && offset % 2 == 0 && real().all(|d| d == along || even(d)) {
            let strides = (0..dims.len()).map(|d| if d == along { 1 } else { strides[d] / 2 }).collect();
            return Some(Paired { offset: offset / 2, strides, copy: None });
        }
        // The copy has the order of the original; its fastest axis stays a stretch.
        let mut order: Vec<usize> = real().collect();
        order.sort_by_key(|&d| -strides[d]);
        let (&fastest, around) = order.split_last()?;
        if fastest == along || strides[fastest] != 1 {
            return None;
        }
        let half = |d: usize| if d == along { (dims[d] / 2, 2 * strides[d]) } else { (dims[d], strides[d]) };
        let mut copied = vec![0; dims.len()];
        let mut count = 1;
        for &d in order.iter().rev() {
            copied[d] = count;
            count *= half(d).0 as isize;
        }
        let mut outer: Vec<(usize, isize)> = around.iter().map(|&d| half(d)).collect();
        let mut inner = dims[fastest];
        while let Some(&(size, stride)) = outer.last()
            && stride == inner as isize
        {
            inner *= size;
            outer.pop();
        }
        let copy = Interleaved { start: offset as usize, outer, apart: strides[along], inner };
        Some(Paired { offset: 0, strides: copied, copy: Some(copy) })
    }

    /// Whether it is a copy.
    pub fn is_copied(&self) -> bool {
        self.copy.is_some()
    }

    /// Bytes of the copy.
    pub fn bytes(&self) -> usize {
        self.copy.as_ref().map_or(0, |copy| aligned(copy.len() * size_of::<Pair>()))
    }

    /// The pairs, made at `memory` if they are a copy.
    ///
    /// # Safety
    /// `operand` is that of [`Paired::new`], in a buffer that nothing writes to; `memory` can be written for
    /// [`Paired::bytes`] by nobody else, as long as the result lives.
    pub unsafe fn pairs<'a>(&self, cx: &Context<'a>, operand: &Operand, memory: *mut u8) -> &'a [Pair] {
        let data = cx.pointer(operand.slot);
        let Some(copy) = &self.copy else {
            // SAFETY: the buffer has `len` numbers; a pair has the alignment of one.
            return unsafe { std::slice::from_raw_parts(data.cast::<Pair>(), operand.len / 2) };
        };
        // SAFETY: as above, and the caller's promise.
        unsafe {
            let numbers = std::slice::from_raw_parts(data.cast::<bf16>(), operand.len);
            let pairs = std::slice::from_raw_parts_mut(memory.cast::<Pair>(), copy.len());
            interleave(cx.pool, cx.isa, &numbers[copy.start..], (&copy.outer, copy.apart, copy.inner), pairs);
            pairs
        }
    }
}

impl Interleaved {
    fn len(&self) -> usize {
        self.inner * self.outer.iter().map(|&(size, _)| size).product::<usize>()
    }
}

/// A contraction of operands of pairs.
pub(super) struct Pairs<G> {
    pub a: Paired,
    pub b: Paired,
    /// What is done with them.
    pub shape: G,
}

impl<G> Pairs<G> {
    /// Bytes of copies.
    pub fn bytes(&self) -> usize {
        self.a.bytes() + self.b.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_lie_there_or_are_made() {
        if !Isa::machine_has_bf16_pairs() {
            return;
        }
        let paired = |dims: &[usize], strides: &[isize], along| Paired::new(DType::BF16, dims, strides, 0, along);
        let inner = paired(&[4, 6], &[6, 1], 1).unwrap();
        assert!(!inner.is_copied());
        assert_eq!(inner.strides, [3, 1]);
        // Along the rows they are made.
        let outer = paired(&[4, 6], &[6, 1], 0).unwrap();
        assert_eq!((outer.is_copied(), outer.bytes()), (true, 64));
        assert_eq!(outer.strides, [6, 1]);
        // Odd, repeated or reversed: there is no way.
        assert!(paired(&[4, 5], &[5, 1], 1).is_none());
        assert!(paired(&[4, 6], &[0, 1], 1).is_none());
        assert!(paired(&[4, 6], &[-6, 1], 1).is_none());
        assert!(Paired::new(DType::F16, &[4, 6], &[6, 1], 0, 1).is_none());
    }
}
