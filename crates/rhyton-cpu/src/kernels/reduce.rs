//! Reductions over one axis of a `(outer, len, inner)` array: sums, products, extremes, logical ones, and where the
//! extremes are. Axes that are neighbours join into one; others are reduced one after the other.
//!
//! With `inner` 1 the elements of a sum are neighbours: blocks of `BLOCK` go to 64 (16 for short rows) accumulators,
//! which are added as a tree, and blocks are added in pairs. With `inner` above 1 the accumulators are the columns:
//! rows are added one after the other in blocks of `ROWS`, and the blocks in order. Either way the error of a sum grows
//! slowly and no sum waits for the one before. How it is split depends on the sizes alone.

use rhyton_ir::op::ReduceKind;

use super::fold::{Fold, Foldable, is_nan};
use super::gemm::Shared;
use super::math::per_isa;
use super::scratch;
use crate::isa::Isa;
use crate::pool::Pool;

/// Neighbours that are added in one go.
const BLOCK: usize = 4096;
/// Neighbours of a task.
const PIECE: usize = 16 * BLOCK;
/// Rows of a block of columns.
const ROWS: usize = 256;
/// Columns of a task.
const COLS: usize = 256;

/// `out[o, i] = reduce(x[o, :, i])`; `And` and `Or` are for `bool`.
///
/// # Panics
/// If `x` or `out` do not have the sizes, or the machine lacks `isa`.
pub fn reduce<T: Foldable>(
    pool: &Pool,
    isa: Isa,
    kind: ReduceKind,
    x: &[T],
    (outer, len, inner): (usize, usize, usize),
    out: &mut [T],
) {
    assert_eq!((x.len(), out.len()), (outer * len * inner, outer * inner), "operand and result of a reduction");
    match kind {
        ReduceKind::Sum | ReduceKind::Or if inner == 1 => rows::<T::Sum>(pool, isa, x, outer, len, out),
        ReduceKind::Prod | ReduceKind::And if inner == 1 => rows::<T::Prod>(pool, isa, x, outer, len, out),
        ReduceKind::Max if inner == 1 => rows::<T::Max>(pool, isa, x, outer, len, out),
        ReduceKind::Min if inner == 1 => rows::<T::Min>(pool, isa, x, outer, len, out),
        ReduceKind::Sum | ReduceKind::Or => columns::<T::Sum>(pool, isa, x, (outer, len, inner), out),
        ReduceKind::Prod | ReduceKind::And => columns::<T::Prod>(pool, isa, x, (outer, len, inner), out),
        ReduceKind::Max => columns::<T::Max>(pool, isa, x, (outer, len, inner), out),
        ReduceKind::Min => columns::<T::Min>(pool, isa, x, (outer, len, inner), out),
    }
}

/// Runs tasks on the pool if there is enough to do.
fn each(pool: &Pool, elements: usize, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
    if elements < 1 << 14 { (0..tasks).for_each(task) } else { pool.run(tasks, task) }
}

fn rows<O: Fold>(pool: &Pool, isa: Isa, x: &[O::X], outer: usize, len: usize, out: &mut [O::X]) {
    let to = Shared(out.as_mut_ptr());
    if len <= PIECE {
        let rows = (PIECE / 4 / len.max(1)).max(1);
        return each(pool, x.len(), outer.div_ceil(rows), &|task| {
            let (first, last) = (task * rows, ((task + 1) * rows).min(outer));
            // SAFETY: each task has its own rows of the result.
            let out = unsafe { std::slice::from_raw_parts_mut(to.get().add(first), last - first) };
            short_rows::<O>(isa, &x[first * len..last * len], len, out);
        });
    }
    let pieces = len.div_ceil(PIECE);
    scratch::with(|parts: &mut Vec<O::T>| {
        parts.clear();
        parts.resize(outer * pieces, O::identity());
        let part = Shared(parts.as_mut_ptr());
        pool.run(outer * pieces, &|task| {
            let (row, piece) = (task / pieces, task % pieces);
            let x = &x[row * len + piece * PIECE..row * len + ((piece + 1) * PIECE).min(len)];
            let mut sum = [O::identity()];
            long_row::<O>(isa, x, &mut sum);
            // SAFETY: each task has its own element.
            unsafe { *part.get().add(task) = sum[0] };
        });
        for (out, parts) in out.iter_mut().zip(parts.chunks(pieces)) {
            *out = O::store(pairs::<O>(parts));
        }
    });
}

per_isa! {
    fn short_rows<O: Fold>(x: &[O::X], len: usize, out: &mut [O::X]) = short_rows_loop
}

per_isa! {
    fn long_row<O: Fold>(x: &[O::X], out: &mut [O::T; 1]) = long_row_loop
}

#[inline(always)]
fn short_rows_loop<O: Fold, const FMA: bool>(x: &[O::X], len: usize, out: &mut [O::X]) {
    for (i, out) in out.iter_mut().enumerate() {
        let row = &x[i * len..(i + 1) * len];
        *out = O::store(match len {
            0..16 => lanes::<O, 1>(row),
            16..256 => lanes::<O, 16>(row),
            256..=BLOCK => lanes::<O, 64>(row),
            _ => row.chunks(PIECE).fold(O::identity(), |sum, piece| O::apply(sum, blocks::<O>(piece))),
        });
    }
}

#[inline(always)]
fn long_row_loop<O: Fold, const FMA: bool>(x: &[O::X], out: &mut [O::T; 1]) {
    out[0] = blocks::<O>(x);
}

#[inline(always)]
fn blocks<O: Fold>(x: &[O::X]) -> O::T {
    let mut parts = [O::identity(); PIECE / BLOCK];
    let mut count = 0;
    for block in x.chunks(BLOCK) {
        parts[count] = lanes::<O, 64>(block);
        count += 1;
    }
    pairs::<O>(&parts[..count])
}

/// Neighbours together, then neighbours of those.
fn pairs<O: Fold>(parts: &[O::T]) -> O::T {
    match parts {
        [] => O::identity(),
        [part] => *part,
        _ => {
            let (a, b) = parts.split_at(parts.len().next_power_of_two() / 2);
            O::apply(pairs::<O>(a), pairs::<O>(b))
        }
    }
}

/// Element `i` goes to accumulator `i mod L`.
#[inline(always)]
fn lanes<O: Fold, const L: usize>(x: &[O::X]) -> O::T {
    let mut acc = [O::identity(); L];
    let (whole, rest) = x.as_chunks::<L>();
    for chunk in whole {
        for i in 0..L {
            acc[i] = O::apply(acc[i], O::load(chunk[i]));
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc = O::apply(*acc, O::load(x));
    }
    let mut half = L / 2;
    while half > 0 {
        for i in 0..half {
            acc[i] = O::apply(acc[i], acc[i + half]);
        }
        half /= 2;
    }
    acc[0]
}

fn columns<O: Fold>(pool: &Pool, isa: Isa, x: &[O::X], (outer, len, inner): (usize, usize, usize), out: &mut [O::X]) {
    let blocks = len.div_ceil(ROWS).max(1);
    let chunks = inner.div_ceil(COLS);
    scratch::with(|parts: &mut Vec<O::T>| {
        parts.clear();
        parts.resize(outer * blocks * inner, O::identity());
        let to = Shared(parts.as_mut_ptr());
        each(pool, x.len(), outer * blocks * chunks, &|task| {
            let (o, block, chunk) = (task / chunks / blocks, task / chunks % blocks, task % chunks);
            let rows = (block * ROWS, ((block + 1) * ROWS).min(len));
            let (first, last) = (chunk * COLS, ((chunk + 1) * COLS).min(inner));
            // SAFETY: each task has its own columns of its own block.
            let acc = unsafe {
                std::slice::from_raw_parts_mut(to.get().add((o * blocks + block) * inner + first), last - first)
            };
            let x = &x[(o * len + rows.0) * inner..(o * len + rows.1) * inner];
            add_rows::<O>(isa, x, inner, first, acc);
        });
        for (out, parts) in out.chunks_mut(inner.max(1)).zip(parts.chunks(blocks * inner)) {
            for (i, out) in out.iter_mut().enumerate() {
                *out = O::store((1..blocks).fold(parts[i], |sum, block| O::apply(sum, parts[block * inner + i])));
            }
        }
    });
}

per_isa! {
    fn add_rows<O: Fold>(x: &[O::X], inner: usize, first: usize, acc: &mut [O::T]) = add_rows_loop
}

#[inline(always)]
fn add_rows_loop<O: Fold, const FMA: bool>(x: &[O::X], inner: usize, first: usize, acc: &mut [O::T]) {
    for row in x.chunks_exact(inner) {
        for (acc, &x) in acc.iter_mut().zip(&row[first..]) {
            *acc = O::apply(*acc, O::load(x));
        }
    }
}

/// `out[o, i]` is the index of the largest (`max`) or smallest of `x[o, :, i]`, the first of equals; NaN wins.
///
/// # Panics
/// If `x` or `out` do not have the sizes, the axis is empty, or the machine lacks `isa`.
pub fn arg_reduce<T: Foldable>(
    pool: &Pool,
    isa: Isa,
    max: bool,
    x: &[T],
    (outer, len, inner): (usize, usize, usize),
    out: &mut [i32],
) {
    assert_eq!((x.len(), out.len()), (outer * len * inner, outer * inner), "operand and result of a reduction");
    assert!(len > 0 || out.is_empty(), "the largest of nothing");
    let to = Shared(out.as_mut_ptr());
    if inner == 1 {
        let rows = (PIECE / 4 / len.max(1)).max(1);
        return each(pool, x.len(), outer.div_ceil(rows), &|task| {
            for row in task * rows..((task + 1) * rows).min(outer) {
                let row_x = &x[row * len..(row + 1) * len];
                let mut best = [row_x[0]];
                if max {
                    short_rows::<T::Max>(isa, row_x, len, &mut best)
                } else {
                    short_rows::<T::Min>(isa, row_x, len, &mut best)
                }
                let found = row_x.iter().position(|x| *x == best[0] || is_nan(*x));
                // SAFETY: each task has its own rows.
                unsafe { *to.get().add(row) = found.expect("the extreme is one of the elements") as i32 };
            }
        });
    }
    let chunks = inner.div_ceil(COLS);
    each(pool, x.len(), outer * chunks, &|task| {
        let (o, first) = (task / chunks, task % chunks * COLS);
        let last = (first + COLS).min(inner);
        // SAFETY: each task has its own columns.
        let out = unsafe { std::slice::from_raw_parts_mut(to.get().add(o * inner + first), last - first) };
        let x = &x[o * len * inner..(o + 1) * len * inner];
        if max { arg_max_columns(isa, x, inner, first, out) } else { arg_min_columns(isa, x, inner, first, out) }
    });
}

per_isa! {
    fn arg_max_columns<T: Foldable>(x: &[T], inner: usize, first: usize, out: &mut [i32]) = arg_max_loop
}

per_isa! {
    fn arg_min_columns<T: Foldable>(x: &[T], inner: usize, first: usize, out: &mut [i32]) = arg_min_loop
}

#[inline(always)]
fn arg_max_loop<T: Foldable, const FMA: bool>(x: &[T], inner: usize, first: usize, out: &mut [i32]) {
    arg_columns(x, inner, first, out, |x, best| x > best);
}

#[inline(always)]
fn arg_min_loop<T: Foldable, const FMA: bool>(x: &[T], inner: usize, first: usize, out: &mut [i32]) {
    arg_columns(x, inner, first, out, |x, best| x < best);
}

#[inline(always)]
fn arg_columns<T: Foldable>(x: &[T], inner: usize, first: usize, out: &mut [i32], better: impl Fn(T, T) -> bool) {
    let mut best = [T::default(); COLS];
    let best = &mut best[..out.len()];
    best.copy_from_slice(&x[first..first + out.len()]);
    out.fill(0);
    for (row, x) in x.chunks_exact(inner).enumerate().skip(1) {
        for ((best, out), &x) in best.iter_mut().zip(out.iter_mut()).zip(&x[first..]) {
            let wins = better(x, *best) | (is_nan(x) & !is_nan(*best));
            *best = if wins { x } else { *best };
            *out = if wins { row as i32 } else { *out };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_769) >> 8) as f32 / (1 << 23) as f32 - 0.9).collect()
    }

    const SIZES: [(usize, usize, usize); 12] = [
        (1, 1, 1),
        (3, 0, 2),
        (5, 15, 1),
        (7, 17, 1),
        (2, 255, 1),
        (3, 4097, 1),
        (2, 200_003, 1),
        (1, 3, 5),
        (2, 600, 17),
        (3, 33, 300),
        (100, 10, 1),
        (0, 4, 3),
    ];

    #[test]
    fn sums_are_accurate_and_the_same_for_any_threads() {
        for isa in Isa::available() {
            for (outer, len, inner) in SIZES {
                let x = numbers(outer * len * inner);
                let mut first: Option<Vec<f32>> = None;
                for threads in [1, 3] {
                    let mut out = vec![9.0; outer * inner];
                    reduce(&Pool::new(threads), isa, ReduceKind::Sum, &x, (outer, len, inner), &mut out);
                    for (at, &sum) in out.iter().enumerate() {
                        let (o, i) = (at / inner, at % inner);
                        let all = (0..len).map(|l| f64::from(x[(o * len + l) * inner + i]));
                        let (exact, size) = all.fold((0.0, 0.0), |(sum, size), x: f64| (sum + x, size + x.abs()));
                        assert!(
                            (f64::from(sum) - exact).abs() <= 1e-6 * size,
                            "{isa} {outer} {len} {inner}: {sum} {exact}"
                        );
                    }
                    assert_eq!(*first.get_or_insert_with(|| out.clone()), out);
                }
            }
        }
    }

    #[test]
    fn extremes_and_where_they_are() {
        for isa in Isa::available() {
            for (outer, len, inner) in SIZES {
                let mut x = numbers(outer * len * inner);
                // Ties, and a NaN in every seventh column.
                x.iter_mut().for_each(|x| *x = (*x * 8.0).round());
                (0..x.len()).filter(|i| i % 7 == 3).for_each(|i| x[i] = if i % 5 == 0 { f32::NAN } else { x[i] });
                let (mut largest, mut at) = (vec![0.0; outer * inner], vec![0; outer * inner]);
                let (mut least, mut least_at) = (largest.clone(), at.clone());
                let pool = Pool::new(2);
                reduce(&pool, isa, ReduceKind::Max, &x, (outer, len, inner), &mut largest);
                reduce(&pool, isa, ReduceKind::Min, &x, (outer, len, inner), &mut least);
                if len > 0 {
                    arg_reduce(&pool, isa, true, &x, (outer, len, inner), &mut at);
                    arg_reduce(&pool, isa, false, &x, (outer, len, inner), &mut least_at);
                }
                for c in 0..outer * inner {
                    let column: Vec<f32> = (0..len).map(|l| x[(c / inner * len + l) * inner + c % inner]).collect();
                    if len == 0 {
                        assert_eq!((largest[c], least[c]), (f32::NEG_INFINITY, f32::INFINITY));
                        continue;
                    }
                    let best = column
                        .iter()
                        .position(|x| x.is_nan())
                        .unwrap_or_else(|| (0..len).fold(0, |best, i| if column[i] > column[best] { i } else { best }));
                    assert_eq!(at[c] as usize, best, "{isa} {outer} {len} {inner}");
                    assert!(largest[c] == column[best] || largest[c].is_nan() && column[best].is_nan());
                    let worst = column
                        .iter()
                        .position(|x| x.is_nan())
                        .unwrap_or_else(|| (0..len).fold(0, |best, i| if column[i] < column[best] { i } else { best }));
                    assert_eq!(least_at[c] as usize, worst, "{isa} {outer} {len} {inner}");
                    assert!(least[c] == column[worst] || least[c].is_nan() && column[worst].is_nan());
                }
            }
        }
    }

    #[test]
    fn other_types() {
        let pool = Pool::new(1);
        for isa in Isa::available() {
            let mut out = [0u8; 2];
            reduce(&pool, isa, ReduceKind::Prod, &[3u8, 100, 2, 7, 5, 1], (2, 3, 1), &mut out);
            assert_eq!(out, [600u16 as u8, 35]);
            let mut out = [false; 2];
            reduce(&pool, isa, ReduceKind::And, &[true, false, true, true], (1, 2, 2), &mut out);
            assert_eq!(out, [true, false]);
            reduce(&pool, isa, ReduceKind::Or, &[true, false, true, false], (1, 2, 2), &mut out);
            assert_eq!(out, [true, false]);
            // In f16 itself the sum of ones would stop growing at 2048.
            let mut out = [half::f16::ZERO];
            reduce(&pool, isa, ReduceKind::Sum, &[half::f16::ONE; 4000], (1, 4000, 1), &mut out);
            assert_eq!(out[0].to_f32(), 4000.0);
        }
    }
}
