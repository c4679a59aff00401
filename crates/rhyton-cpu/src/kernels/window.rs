//! Reductions over sliding windows, and the gradient of windowed extremes.
//!
//! The last axes that have no window (the channels of a channels-last image) form a run of neighbours: a window is
//! reduced by going over its elements and folding run into run, in vectors of channels. Axes before the first window
//! (the batch) are independent. With windows over the last axis too the runs are single elements, which is slow but
//! right: the executor transposes first if that pays.
//!
//! The gradient of an extreme sends each value back to one element of its window: the first in row-major order that is
//! largest (smallest); a NaN is larger (smaller) than all; padding never is. Windows overlap, so a batch element and
//! `RUN` channels are one task, which goes through the windows in order: sums are the same for any number of threads.

use rhyton_ir::op::ReduceKind;

use super::fold::{Fold, Foldable, is_nan};
use super::gemm::Shared;
use super::math::per_isa;
use super::scratch;
use crate::isa::Isa;
use crate::pool::Pool;

/// The most axes.
pub const MAX_AXES: usize = 8;
/// Channels that are folded at a time.
const RUN: usize = 256;
/// Elements that are worth a task.
const TASK: usize = 1 << 14;

/// A window's movement along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    /// The operand.
    pub size: usize,
    /// The result.
    pub out: usize,
    /// Elements of the window.
    pub window: usize,
    /// Its step.
    pub stride: usize,
    /// Padding before the operand; negative removes.
    pub padding: i64,
    /// 1 + holes between elements of the operand.
    pub base_dilation: usize,
    /// Distance of neighbouring elements of the window.
    pub window_dilation: usize,
}

impl WindowAxis {
    /// An axis without a window.
    pub fn plain(size: usize) -> WindowAxis {
        WindowAxis { size, out: size, window: 1, stride: 1, padding: 0, base_dilation: 1, window_dilation: 1 }
    }

    /// An axis with a window, the size of whose result follows: it moves while it fits the padded operand.
    ///
    /// # Panics
    /// If a step, dilation or the window is 0.
    pub fn new(
        size: usize,
        window: usize,
        stride: usize,
        (before, after): (i64, i64),
        (base_dilation, window_dilation): (usize, usize),
    ) -> WindowAxis {
        assert!(
            window > 0 && stride > 0 && base_dilation > 0 && window_dilation > 0,
            "a window of 0 or one that rests"
        );
        let dilated = if size == 0 { 0 } else { (size as i64 - 1) * base_dilation as i64 + 1 };
        let room = dilated + before + after - ((window as i64 - 1) * window_dilation as i64 + 1);
        let out = if room < 0 { 0 } else { room as usize / stride + 1 };
        WindowAxis { size, out, window, stride, padding: before, base_dilation, window_dilation }
    }

    fn is_plain(&self) -> bool {
        *self == WindowAxis::plain(self.size)
    }

    /// The element under `tap` of the window at `out`, if it is one.
    #[inline]
    pub(crate) fn element(&self, out: usize, tap: usize) -> Option<usize> {
        let at = (out * self.stride + tap * self.window_dilation) as i64 - self.padding;
        if self.base_dilation == 1 {
            // The rule. Divisions would take longer than the window.
            return (at >= 0 && at < self.size as i64).then_some(at as usize);
        }
        let step = self.base_dilation as i64;
        (at >= 0 && at % step == 0 && at / step < self.size as i64).then_some((at / step) as usize)
    }
}

/// The axes in three groups: independent ones, those from the first window to the last, and neighbours.
struct Cut<'a> {
    outer: usize,
    axes: &'a [WindowAxis],
    inner: usize,
    /// Elements of the operand, and of the result, under one of `outer`.
    x_len: usize,
    out_len: usize,
}

impl<'a> Cut<'a> {
    fn new(axes: &'a [WindowAxis]) -> Cut<'a> {
        assert!(axes.len() <= MAX_AXES, "a window over more than {MAX_AXES} axes");
        let first = axes.iter().position(|axis| !axis.is_plain()).unwrap_or(axes.len());
        let last = axes.iter().rposition(|axis| !axis.is_plain()).map_or(first, |last| last + 1);
        let size = |axes: &[WindowAxis]| axes.iter().map(|axis| axis.size).product::<usize>();
        let (outer, inner) = (size(&axes[..first]), size(&axes[last..]));
        let axes = &axes[first..last];
        let out_len = axes.iter().map(|axis| axis.out).product::<usize>() * inner;
        Cut { outer, axes, inner, x_len: size(axes) * inner, out_len }
    }

    /// Whether every element is under exactly one window.
    fn tiles(&self) -> bool {
        self.axes.iter().all(|axis| {
            let dense = axis.window_dilation == 1 && axis.base_dilation == 1 && axis.padding == 0;
            dense && axis.window == axis.stride && axis.size == axis.out * axis.window
        })
    }
}

/// Goes over the positions of a window in row-major order, again and again, and finds what lies under it.
#[derive(Default)]
struct Walk {
    at: [usize; MAX_AXES],
    /// For each axis, the elements of the axes up to it that are under the taps, in row-major order. When the window moves along
    /// the last axis, only those of that one change.
    found: [Vec<usize>; MAX_AXES],
    /// Elements of an axis under the taps.
    elements: Vec<usize>,
}

impl Walk {
    /// Begins at `position`.
    fn start(&mut self, cut: &Cut<'_>, mut position: usize) {
        for (at, axis) in self.at.iter_mut().zip(cut.axes).rev() {
            *at = position % axis.out;
            position /= axis.out;
        }
        self.find(cut, 0);
    }

    /// Moves to the next position.
    fn next(&mut self, cut: &Cut<'_>) {
        for axis in (0..cut.axes.len()).rev() {
            self.at[axis] += 1;
            if self.at[axis] < cut.axes[axis].out {
                return self.find(cut, axis);
            }
            self.at[axis] = 0;
        }
        self.find(cut, 0);
    }

    /// Finds the elements of the axes from `first` on.
    fn find(&mut self, cut: &Cut<'_>, first: usize) {
        for (d, axis) in cut.axes.iter().enumerate().skip(first) {
            self.elements.clear();
            self.elements.extend((0..axis.window).filter_map(|tap| axis.element(self.at[d], tap)));
            let (before, found) = self.found.split_at_mut(d);
            let outer = before.last().map_or(&[0][..], |outer| outer);
            let inner = if d + 1 == cut.axes.len() { cut.inner } else { 1 };
            found[0].clear();
            for outer in outer {
                found[0].extend(self.elements.iter().map(|element| (outer * axis.size + element) * inner));
            }
        }
    }

    /// The offsets, in the operand, of the runs under the taps that are inside, in row-major order.
    fn offsets(&self, cut: &Cut<'_>) -> &[usize] {
        cut.axes.len().checked_sub(1).map_or(&[0], |last| &self.found[last])
    }
}

/// `out[o] = reduce(the window of x at o)`; padding and holes hold the reduction's value of nothing.
///
/// # Panics
/// If `x` or `out` do not have the sizes, there are more than [`MAX_AXES`] axes, or the machine lacks `isa`.
pub fn reduce_window<T: Foldable>(
    pool: &Pool,
    isa: Isa,
    kind: ReduceKind,
    axes: &[WindowAxis],
    x: &[T],
    out: &mut [T],
) {
    match kind {
        ReduceKind::Sum | ReduceKind::Or => windows::<T::Sum>(pool, isa, axes, x, out),
        ReduceKind::Prod | ReduceKind::And => windows::<T::Prod>(pool, isa, axes, x, out),
        ReduceKind::Max => windows::<T::Max>(pool, isa, axes, x, out),
        ReduceKind::Min => windows::<T::Min>(pool, isa, axes, x, out),
    }
}

fn windows<O: Fold>(pool: &Pool, isa: Isa, axes: &[WindowAxis], x: &[O::X], out: &mut [O::X]) {
    let cut = Cut::new(axes);
    assert_eq!(x.len(), cut.outer * cut.x_len, "the operand of a window reduction");
    assert_eq!(out.len(), cut.outer * cut.out_len, "the result of a window reduction");
    if out.is_empty() {
        return;
    }
    let positions = cut.out_len / cut.inner;
    let work = cut.inner * cut.axes.iter().map(|axis| axis.window).product::<usize>();
    let share = (TASK / work.max(1)).max(1);
    let to = Shared(out.as_mut_ptr());
    let all = cut.outer * positions;
    let task = |task: usize| {
        let (first, last) = (task * share, ((task + 1) * share).min(all));
        // SAFETY: each task has its own positions of the result.
        let out =
            unsafe { std::slice::from_raw_parts_mut(to.get().add(first * cut.inner), (last - first) * cut.inner) };
        scratch::with(|walk: &mut Walk| fold_windows::<O>(isa, &cut, (first, positions), x, out, walk));
    };
    let tasks = all.div_ceil(share);
    if tasks == 1 { task(0) } else { pool.run(tasks, &task) }
}

per_isa! {
    fn fold_windows<O: Fold>(cut: &Cut<'_>, first: (usize, usize), x: &[O::X], out: &mut [O::X], walk: &mut Walk) = fold_windows_loop
}

/// The windows from position `first` on, of `positions` in each of the outer axes.
#[inline(always)]
fn fold_windows_loop<O: Fold, const FMA: bool>(
    cut: &Cut<'_>,
    (first, positions): (usize, usize),
    x: &[O::X],
    out: &mut [O::X],
    walk: &mut Walk,
) {
    walk.start(cut, first % positions);
    for (i, out) in out.chunks_mut(cut.inner).enumerate() {
        if i > 0 {
            walk.next(cut);
        }
        let outer = (first + i) / positions;
        let x = &x[outer * cut.x_len..(outer + 1) * cut.x_len];
        let offsets = walk.offsets(cut);
        let (whole, rest) = out.as_chunks_mut::<LANES>();
        for (chunk, out) in whole.iter_mut().enumerate() {
            // A number that the compiler knows: the sums are vectors in registers.
            fold_lanes::<O>(offsets, x, chunk * LANES, out);
        }
        let start = whole.len() * LANES;
        fold_lanes::<O>(offsets, x, start, rest);
    }
}

/// Folds the channels from `first` on, as many as `out` has, which are at most [`LANES`].
#[inline(always)]
fn fold_lanes<O: Fold>(offsets: &[usize], x: &[O::X], first: usize, out: &mut [O::X]) {
    let mut sums = [O::identity(); LANES];
    for &offset in offsets {
        for (sum, &x) in sums.iter_mut().zip(&x[offset + first..][..out.len()]) {
            *sum = O::apply(*sum, O::load(x));
        }
    }
    for (out, &sum) in out.iter_mut().zip(&sums) {
        *out = O::store(sum);
    }
}

/// The gradient of a windowed maximum (`max`) or minimum of `x`: `dx` is 0 but for the sums of the `source` values of the
/// windows in which the element is the selected one.
///
/// # Panics
/// If the operands do not have the sizes, there are more than [`MAX_AXES`] axes, the operand is dilated, or the machine
/// lacks `isa`.
pub fn select_and_scatter<T: Foldable>(
    pool: &Pool,
    isa: Isa,
    max: bool,
    axes: &[WindowAxis],
    x: &[T],
    source: &[T],
    dx: &mut [T],
) {
    let cut = Cut::new(axes);
    assert_eq!((x.len(), dx.len()), (cut.outer * cut.x_len, cut.outer * cut.x_len), "the operand of a selection");
    assert_eq!(source.len(), cut.outer * cut.out_len, "the source of a selection");
    assert!(axes.iter().all(|axis| axis.base_dilation == 1), "a selection from a dilated operand");
    if dx.is_empty() {
        return;
    }
    let chunk = if cut.inner.is_multiple_of(64) { 64 } else { RUN };
    let chunks = cut.inner.div_ceil(chunk);
    let to = Shared(dx.as_mut_ptr());
    let task = |task: usize| {
        let (outer, first) = (task / chunks, task % chunks * chunk);
        let channels = Channels {
            first,
            last: (first + chunk).min(cut.inner),
            dx: Shared(to.get().wrapping_add(outer * cut.x_len)),
        };
        let x = &x[outer * cut.x_len..(outer + 1) * cut.x_len];
        let source = &source[outer * cut.out_len..(outer + 1) * cut.out_len];
        // Kept outside of the kernels: what a closure does is compiled without their instruction set.
        scratch::with(|walk: &mut Walk| {
            let select = if max { select_max } else { select_min };
            select(isa, &cut, x, source, &channels, walk);
        });
    };
    let tasks = cut.outer * chunks;
    if x.len() < TASK { (0..tasks).for_each(task) } else { pool.run(tasks, &task) }
}

/// The channels of a task, of one of the outer axes, and where their gradient goes.
struct Channels<T> {
    first: usize,
    last: usize,
    dx: Shared<T>,
}

impl<T> Channels<T> {
    /// The gradient of the run of elements at `offset`.
    #[expect(clippy::mut_from_ref, reason = "the run is the task's alone; the slices do not outlive the use")]
    fn run(&self, cut: &Cut<'_>, offset: usize) -> &mut [T] {
        assert!(offset + cut.inner <= cut.x_len, "a run outside the operand");
        // SAFETY: the line above; no other task has these channels, and this one drops each slice before the next.
        unsafe { std::slice::from_raw_parts_mut(self.dx.get().add(offset + self.first), self.last - self.first) }
    }
}

per_isa! {
    fn select_max<T: Foldable>(cut: &Cut<'_>, x: &[T], source: &[T], channels: &Channels<T>, walk: &mut Walk) = select_max_loop
}

per_isa! {
    fn select_min<T: Foldable>(cut: &Cut<'_>, x: &[T], source: &[T], channels: &Channels<T>, walk: &mut Walk) = select_min_loop
}

#[inline(always)]
fn select_max_loop<T: Foldable, const FMA: bool>(
    cut: &Cut<'_>,
    x: &[T],
    source: &[T],
    channels: &Channels<T>,
    walk: &mut Walk,
) {
    select(cut, x, source, channels, walk, |x, best| x > best);
}

#[inline(always)]
fn select_min_loop<T: Foldable, const FMA: bool>(
    cut: &Cut<'_>,
    x: &[T],
    source: &[T],
    channels: &Channels<T>,
    walk: &mut Walk,
) {
    select(cut, x, source, channels, walk, |x, best| x < best);
}

#[inline(always)]
fn select<T: Foldable>(
    cut: &Cut<'_>,
    x: &[T],
    source: &[T],
    channels: &Channels<T>,
    walk: &mut Walk,
    better: impl Fn(T, T) -> bool,
) {
    let zero = <T::Sum as Fold>::store(<T::Sum as Fold>::identity());
    // Where windows tile the operand each element is written once, and nothing needs to be summed.
    let tiles = cut.tiles();
    if !tiles {
        for offset in (0..cut.x_len).step_by(cut.inner) {
            channels.run(cut, offset).fill(zero);
        }
    }
    for position in 0..cut.out_len / cut.inner {
        if position == 0 {
            walk.start(cut, 0);
        } else {
            walk.next(cut);
        }
        let window =
            Window { offsets: walk.offsets(cut), tiles, zero, source: &source[position * cut.inner..][..cut.inner] };
        let mut first = channels.first;
        while first + LANES <= channels.last {
            // A number that the compiler knows: the loops become vectors without a rest.
            select_lanes(&window, cut, x, channels, (first, LANES), &better);
            first += LANES;
        }
        if first < channels.last {
            select_lanes(&window, cut, x, channels, (first, channels.last - first), &better);
        }
    }
}

/// Channels that are compared in registers: two vectors of `f32`, with their winners.
const LANES: usize = 32;

/// One position of the window.
struct Window<'a, T> {
    /// The runs under its taps.
    offsets: &'a [usize],
    /// See [`Cut::tiles`].
    tiles: bool,
    zero: T,
    /// The gradient of its result.
    source: &'a [T],
}

/// At most [`LANES`] elements, then `rest`.
#[inline(always)]
fn lanes<T: Copy>(x: &[T], rest: T) -> [T; LANES] {
    let mut out = [rest; LANES];
    out[..x.len()].copy_from_slice(x);
    out
}

/// Gives the gradient of a window's result to its winners, for `len` channels from `first`.
#[inline(always)]
fn select_lanes<T: Foldable>(
    window: &Window<'_, T>,
    cut: &Cut<'_>,
    x: &[T],
    channels: &Channels<T>,
    (first, len): (usize, usize),
    better: &impl Fn(T, T) -> bool,
) {
    let Some((&start, rest)) = window.offsets.split_first() else { return };
    let (mut best, mut winner) = (lanes(&x[start + first..][..len], window.zero), [0u32; LANES]);
    for (tap, &offset) in (1..).zip(rest) {
        let x = lanes(&x[offset + first..][..len], window.zero);
        // New arrays: what would be written in part could not be read again at once.
        let wins: [bool; LANES] = std::array::from_fn(|i| better(x[i], best[i]) | (is_nan(x[i]) & !is_nan(best[i])));
        best = std::array::from_fn(|i| if wins[i] { x[i] } else { best[i] });
        winner = std::array::from_fn(|i| if wins[i] { tap } else { winner[i] });
    }
    let source = lanes(&window.source[first..][..len], window.zero);
    for (tap, &offset) in (0..).zip(window.offsets) {
        let dx = &mut channels.run(cut, offset)[first - channels.first..][..len];
        // Apart from `dx`, which might be anywhere: what is known to be nowhere else becomes vectors.
        let old = if window.tiles { [window.zero; LANES] } else { lanes(dx, window.zero) };
        let new: [T; LANES] = std::array::from_fn(|i| {
            let sum = <T::Sum as Fold>::apply(<T::Sum as Fold>::load(old[i]), <T::Sum as Fold>::load(source[i]));
            if winner[i] == tap { <T::Sum as Fold>::store(sum) } else { old[i] }
        });
        dx.copy_from_slice(&new[..len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, levels: f32) -> Vec<f32> {
        let number = |i: u32| (i.wrapping_mul(2_654_435_769) >> 8) as f32 / (1 << 24) as f32;
        (0..len as u32).map(|i| (number(i) * levels).floor() - levels / 2.0).collect()
    }

    /// The elements of the window at `position`, flat, in row-major order.
    fn window(axes: &[WindowAxis], position: &[usize]) -> Vec<usize> {
        axes.iter().zip(position).fold(vec![0], |found, (axis, &at)| {
            let taps =
                |base: usize| (0..axis.window).filter_map(move |tap| Some(base * axis.size + axis.element(at, tap)?));
            found.into_iter().flat_map(taps).collect()
        })
    }

    fn cases() -> Vec<Vec<WindowAxis>> {
        let pool = |size, window, stride, padding| WindowAxis::new(size, window, stride, padding, (1, 1));
        let plain = WindowAxis::plain;
        vec![
            vec![plain(2), pool(8, 2, 2, (0, 0)), pool(6, 2, 2, (0, 0)), plain(64)],
            vec![plain(3), pool(7, 3, 2, (1, 1)), pool(9, 3, 1, (0, 2)), plain(37)],
            vec![plain(2), plain(3), pool(9, 3, 2, (1, 1)), pool(5, 2, 1, (0, 0))],
            vec![pool(4, 2, 1, (0, 0)), plain(3), pool(5, 3, 2, (-1, 1)), plain(300)],
            vec![plain(1), WindowAxis::new(9, 3, 1, (2, 2), (1, 2)), plain(5)],
            vec![plain(4)],
            vec![pool(3, 5, 1, (0, 0)), plain(2)],
        ]
    }

    #[test]
    fn windows_are_folded() {
        let mut cases = cases();
        cases.push(vec![WindowAxis::plain(2), WindowAxis::new(5, 3, 2, (1, 2), (3, 2)), WindowAxis::plain(17)]);
        for axes in cases {
            let sizes: Vec<usize> = axes.iter().map(|axis| axis.out).collect();
            let x = numbers(axes.iter().map(|axis| axis.size).product(), 1000.0);
            for isa in Isa::available() {
                for threads in [1, 3] {
                    for kind in [ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min] {
                        let mut out = vec![5.5; sizes.iter().product()];
                        reduce_window(&Pool::new(threads), isa, kind, &axes, &x, &mut out);
                        for (i, &found) in out.iter().enumerate() {
                            let values = window(&axes, &index(i, &sizes)).into_iter().map(|at| x[at]);
                            let expected = match kind {
                                ReduceKind::Sum => values.sum(),
                                ReduceKind::Max => values.fold(f32::NEG_INFINITY, f32::max),
                                _ => values.fold(f32::INFINITY, f32::min),
                            };
                            assert_eq!(found, expected, "{isa} {kind:?} {axes:?} {i}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn gradients_go_to_the_first_extreme() {
        for axes in cases() {
            let sizes: Vec<usize> = axes.iter().map(|axis| axis.out).collect();
            // Few levels: many ties.
            let mut x = numbers(axes.iter().map(|axis| axis.size).product(), 4.0);
            x.iter_mut().step_by(41).for_each(|x| *x = f32::NAN);
            let source = numbers(sizes.iter().product(), 100.0);
            for (isa, max) in Isa::available().into_iter().flat_map(|isa| [(isa, true), (isa, false)]) {
                let mut expected = vec![0.0; x.len()];
                for (i, &value) in source.iter().enumerate() {
                    let inside = window(&axes, &index(i, &sizes));
                    let better = |a: f32, b: f32| !b.is_nan() && (a.is_nan() || if max { a > b } else { a < b });
                    let best = inside.into_iter().reduce(|best, at| if better(x[at], x[best]) { at } else { best });
                    if let Some(best) = best {
                        expected[best] += value;
                    }
                }
                for threads in [1, 3] {
                    let mut dx = vec![f32::NAN; x.len()];
                    select_and_scatter(&Pool::new(threads), isa, max, &axes, &x, &source, &mut dx);
                    assert_eq!(dx, expected, "{isa} {max} {axes:?}");
                }
            }
        }
    }

    fn index(mut flat: usize, sizes: &[usize]) -> Vec<usize> {
        let mut index = vec![0; sizes.len()];
        for (i, &size) in index.iter_mut().zip(sizes).rev() {
            *i = flat % size;
            flat /= size;
        }
        index
    }
}
