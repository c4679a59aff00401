//! Householder's reflections, a block of them at a time: `H₁·H₂·… = I − Vᵀ·T·V`, the reflections' vectors the rows of `V`
//! and `T` upper triangular (Schreiber and Van Loan, *A storage-efficient WY representation for products of Householder
//! transformations*, 1989, <https://doi.org/10.1137/0910005>).

use super::{Machine, axpy, dot, reflector, scale_of, view};
use crate::kernels::math::per_isa;
use crate::kernels::scratch;

/// Reflections of a block.
const BLOCK: usize = 32;

#[derive(Default)]
struct Scratch {
    /// The `V` of each block, of rows that start where the block does.
    vectors: Vec<f64>,
    /// The `−T` of each block, rows of `BLOCK`.
    factors: Vec<f64>,
    /// `V` times a matrix, and `−T` or its transpose times that.
    projected: Vec<f64>,
    weighted: Vec<f64>,
}

/// A block of reflections: its `V` of `width` rows of `height`, and its `−T`.
struct Block<'a> {
    width: usize,
    height: usize,
    vectors: &'a [f64],
    factor: &'a [f64],
}

impl Block<'_> {
    /// Applies the block, or its transpose, to `columns` columns from the start of `c`, rows `stride` apart.
    fn apply(
        &self,
        machine: Machine<'_>,
        transpose: bool,
        (c, columns, stride): (&mut [f64], usize, usize),
        [projected, weighted]: [&mut Vec<f64>; 2],
    ) {
        if columns == 0 {
            return;
        }
        for buffer in [&mut *projected, &mut *weighted] {
            buffer.resize(buffer.len().max(self.width * columns), 0.0);
        }
        let size = (self.width, columns);
        let vectors = view(self.vectors, (self.width, self.height), self.height);
        let factor = view(self.factor, (self.width, self.width), BLOCK);
        let factor = if transpose { factor.transposed() } else { factor };
        machine.product(vectors, view(c, (self.height, columns), stride), projected, columns, false);
        machine.product(factor, view(projected, size, columns), weighted, columns, false);
        machine.product(vectors.transposed(), view(weighted, size, columns), c, stride, true);
    }
}

/// Replaces `x (m, n)` by the upper triangular factor, and writes the first `k` columns of the orthogonal one to `q (m, k)`.
///
/// # Panics
/// If the lengths are others, or `k` is above `m`.
pub fn qr(machine: Machine<'_>, x: &mut [f64], (m, n): (usize, usize), q: &mut [f64], k: usize) {
    assert!(x.len() == m * n && q.len() == m * k && k <= m, "the operands");
    let scale = scale_of(x);
    x.iter_mut().for_each(|x| *x /= scale);
    let reflections = m.min(n);
    let sizes = |first: usize| (BLOCK.min(reflections - first), m - first);
    // The vectors of the blocks before, which all have the full width.
    let start = |first: usize| first * m - first * first.saturating_sub(BLOCK) / 2;
    scratch::with(|Scratch { vectors, factors, projected, weighted }: &mut Scratch| {
        vectors.resize(vectors.len().max(reflections.next_multiple_of(BLOCK) * m), 0.0);
        factors.resize(factors.len().max(reflections.next_multiple_of(BLOCK) * BLOCK), 0.0);
        for first in (0..reflections).step_by(BLOCK) {
            let (width, height) = sizes(first);
            let vectors = &mut vectors[start(first)..][..width * height];
            let factor = &mut factors[first * BLOCK..][..BLOCK * BLOCK];
            factor_columns(machine.isa, x, n, first, vectors, factor);
            let block = Block { width, height, vectors, factor };
            let right = first + width;
            let rest = (&mut x[first * n + right.min(n - 1)..], n - right, n);
            block.apply(machine, true, rest, [projected, weighted]);
        }
        q.fill(0.0);
        q.iter_mut().step_by(k + 1).take(k).for_each(|diagonal| *diagonal = 1.0);
        for first in (0..reflections.min(k)).step_by(BLOCK).rev() {
            let (width, height) = sizes(first);
            let (vectors, factor) = (&vectors[start(first)..][..width * height], &factors[first * BLOCK..]);
            let block = Block { width, height, vectors, factor };
            block.apply(machine, false, (&mut q[first * (k + 1)..], k - first, k), [projected, weighted]);
        }
    });
    x.iter_mut().for_each(|x| *x *= scale);
}

per_isa! {
    fn factor_columns(x: &mut [f64], n: usize, first: usize, vectors: &mut [f64], factor: &mut [f64]) = factor_loops
}

/// Makes the columns from `first` on upper triangular, as many as there are rows in `vectors`, by the block of reflections
/// that is written there.
#[inline(always)]
fn factor_loops<const FMA: bool>(x: &mut [f64], n: usize, first: usize, vectors: &mut [f64], factor: &mut [f64]) {
    let height = x.len() / n - first;
    let width = vectors.len() / height;
    for (i, row) in x.chunks_exact(n).skip(first).enumerate() {
        (0..width).for_each(|j| vectors[j * height + i] = row[first + j]);
    }
    for j in 0..width {
        let (before, after) = vectors.split_at_mut((j + 1) * height);
        let v = &mut before[j * height..];
        let (beta, tau) = reflector::<FMA>(&mut v[j..], 0);
        for row in after.chunks_exact_mut(height) {
            let projection = tau * dot::<FMA>(&v[j..], &row[j..]);
            axpy::<FMA>(-projection, &v[j..], &mut row[j..]);
        }
        // The column is finished; of the vector, what is before the block's diagonal counts as 0.
        for i in 0..height {
            let value = if i < j { std::mem::take(&mut v[i]) } else { 0.0 };
            x[(first + i) * n + first + j] = if i == j { beta } else { value };
        }
        // −T has −τ on the diagonal and τ·T·V·v above.
        let mut projections = [0.0; BLOCK];
        for i in 0..j {
            let [v, w] = [i, j].map(|i| &before[i * height + j..(i + 1) * height]);
            projections[i] = dot::<FMA>(v, w);
        }
        for i in 0..BLOCK {
            factor[i * BLOCK + j] = match i {
                _ if i < j => -tau * dot::<FMA>(&factor[i * BLOCK..][..j], &projections[..j]),
                _ if i == j => -tau,
                _ => 0.0,
            };
        }
    }
}
