//! Matrices as the kernels see them: views of a buffer in which a row or a column index may stand for several axes, and
//! elements may lie in the padding of an image.
//!
//! A row index and a column index each give a [`Pos`]: an offset into the buffer and a movement in up to three spatial
//! coordinates. The element is `data[offset(row) + offset(col)]` if the sum of the coordinates lies inside the image,
//! else 0. Strided and transposed matrices have no coordinates; the im2col matrix of a convolution, whose rows are
//! output pixels and whose columns are taps and channels, has up to three, and is never written out.

use half::{bf16, f16};

/// The most dimensions of an [`Axis`]: batch, three spatial, and features.
pub const MAX_DIMS: usize = 5;

/// The elements behind a [`View`]; 16-bit floats are converted while they are packed.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a, T> {
    /// Of the type that is computed in.
    Native(&'a [T]),
    /// Half precision.
    F16(&'a [f16]),
    /// Brain floats.
    Bf16(&'a [bf16]),
}

impl<T> Elements<'_, T> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Elements::Native(data) => data.len(),
            Elements::F16(data) => data.len(),
            Elements::Bf16(data) => data.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T> From<&'a [T]> for Elements<'a, T> {
    fn from(data: &'a [T]) -> Self {
        Elements::Native(data)
    }
}

/// One of the dimensions that an index is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dim {
    /// How many values it takes.
    pub size: usize,
    /// Elements between neighbours, movement through space not counted.
    pub stride: isize,
    /// Movement in each spatial coordinate between neighbours.
    pub steps: [i32; 3],
}

impl Dim {
    /// A dimension that does not move through space.
    pub fn plain(size: usize, stride: isize) -> Dim {
        Dim { size, stride, steps: [0; 3] }
    }
}

/// An index made of dimensions, the last the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    dims: [Dim; MAX_DIMS],
    rank: usize,
}

impl Axis {
    /// Of these dimensions, the last the fastest. Dimensions of size 1 are dropped and those that continue each other
    /// are joined.
    ///
    /// # Panics
    /// If more than [`MAX_DIMS`] are left.
    pub fn new(dims: &[Dim]) -> Axis {
        let mut axis = Axis { dims: [Dim::default(); MAX_DIMS], rank: 0 };
        for &dim in dims.iter().filter(|dim| dim.size != 1) {
            let last = axis.rank.checked_sub(1).map(|i| &mut axis.dims[i]);
            match last {
                Some(last)
                    if last.stride == dim.size as isize * dim.stride && last.steps == [0; 3] && dim.steps == [0; 3] =>
                {
                    *last = Dim::plain(last.size * dim.size, dim.stride);
                }
                _ => {
                    assert!(axis.rank < MAX_DIMS, "an axis of more than {MAX_DIMS} dimensions");
                    axis.dims[axis.rank] = dim;
                    axis.rank += 1;
                }
            }
        }
        axis
    }

    /// One dimension of `size` with `stride`.
    pub fn plain(size: usize, stride: isize) -> Axis {
        Axis::new(&[Dim::plain(size, stride)])
    }

    /// How many values the index takes.
    pub fn len(&self) -> usize {
        self.dims().iter().map(|dim| dim.size).product()
    }

    /// Whether it takes none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The dimensions that are left.
    pub fn dims(&self) -> &[Dim] {
        &self.dims[..self.rank]
    }

    /// The stride, if there is a single dimension that does not move through space; 1 if there is but one value.
    pub fn uniform_stride(&self) -> Option<isize> {
        match self.dims() {
            [] => Some(1),
            [dim] if dim.steps == [0; 3] => Some(dim.stride),
            _ => None,
        }
    }
}

/// The image that a [`View`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The coordinates of row 0, column 0 (negative in the padding before the image).
    pub origin: [i32; 3],
    /// The size of the image; 1 for coordinates that are not used.
    pub extent: [i32; 3],
    /// Elements between neighbours along each coordinate.
    pub strides: [isize; 3],
}

impl Space {
    /// No image: coordinates stay at 0.
    pub const NONE: Space = Space { origin: [0; 3], extent: [1; 3], strides: [0; 3] };
}

/// Where an index leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pos {
    pub(crate) offset: isize,
    pub(crate) at: [i32; 3],
}

impl Pos {
    #[inline(always)]
    pub(crate) fn plus(self, other: Pos) -> Pos {
        Pos {
            offset: self.offset.wrapping_add(other.offset),
            at: [self.at[0] + other.at[0], self.at[1] + other.at[1], self.at[2] + other.at[2]],
        }
    }
}

/// A stretch of an index whose elements lie next to each other: its length, and where it starts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) len: usize,
    pub(crate) pos: Pos,
}

/// A matrix of `rows.len()` by `cols.len()` elements somewhere in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    pub(crate) data: Elements<'a, T>,
    pub(crate) offset: isize,
    pub(crate) rows: Axis,
    pub(crate) cols: Axis,
    pub(crate) space: Space,
}

impl<'a, T> View<'a, T> {
    /// The element at row 0, column 0 is the one at `offset` if `space.origin` is 0. That everything lies inside the
    /// buffer is checked by the kernels.
    pub fn new(data: impl Into<Elements<'a, T>>, offset: isize, rows: Axis, cols: Axis, space: Space) -> View<'a, T> {
        View { data: data.into(), offset, rows, cols, space }
    }

    /// A strided matrix: element (i, j) is `data[i · row_stride + j · col_stride]`.
    pub fn strided(
        data: impl Into<Elements<'a, T>>,
        (rows, cols): (usize, usize),
        (row_stride, col_stride): (isize, isize),
    ) -> View<'a, T> {
        View::new(data, 0, Axis::plain(rows, row_stride), Axis::plain(cols, col_stride), Space::NONE)
    }

    /// The transposed matrix.
    pub fn transposed(self) -> View<'a, T> {
        View { rows: self.cols, cols: self.rows, ..self }
    }

    /// The number of rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows.len(), self.cols.len())
    }

    /// Whether any element may lie outside the image.
    pub(crate) fn is_spatial(&self) -> bool {
        self.rows.dims().iter().chain(self.cols.dims()).any(|dim| dim.steps != [0; 3]) || self.space.origin != [0; 3]
    }

    /// Where row 0, column 0 lies.
    pub(crate) fn origin(&self) -> Pos {
        let moved: isize = (0..3).map(|d| self.space.origin[d] as isize * self.space.strides[d]).sum();
        Pos { offset: self.offset + moved, at: self.space.origin }
    }

    /// Elements between neighbours of a dimension, movement through space counted.
    pub(crate) fn step(&self, dim: &Dim) -> isize {
        dim.stride + (0..3).map(|d| dim.steps[d] as isize * self.space.strides[d]).sum::<isize>()
    }

    /// Whether a position lies inside the image.
    #[inline(always)]
    pub(crate) fn holds(&self, at: [i32; 3]) -> bool {
        let inside = |d: usize| (at[d] as u32) < self.space.extent[d] as u32;
        inside(0) & inside(1) & inside(2)
    }

    /// How many of the last dimensions of `axis` form one stretch of neighbouring elements that does not move through
    /// space: 0 or 1.
    pub(crate) fn fine(&self, axis: &Axis) -> usize {
        match axis.dims().last() {
            Some(dim) if dim.steps == [0; 3] && dim.stride == 1 => 1,
            _ => 0,
        }
    }

    /// Whether the dimension before the last `fine` continues their stretch while moving along a single coordinate;
    /// which one, and how far the last of it lies from the first.
    pub(crate) fn coarse(&self, axis: &Axis) -> Option<(usize, i32)> {
        let fine = self.fine(axis);
        let dims = axis.dims();
        let dim = dims.len().checked_sub(fine + 1).map(|i| &dims[i])?;
        let run: usize = dims[dims.len() - fine..].iter().map(|dim| dim.size).product();
        let mut moving = (0..3).filter(|&d| dim.steps[d] != 0);
        match (moving.next(), moving.next()) {
            (Some(d), None) if self.step(dim) == run as isize && dim.steps[d] > 0 => {
                Some((d, (dim.size as i32 - 1) * dim.steps[d]))
            }
            _ => None,
        }
    }

    /// Splits `first..last` of `axis` where a stretch of the last `inner` dimensions ends. With `inner` 0 each index
    /// is a run of its own.
    pub(crate) fn runs(&self, axis: &Axis, inner: usize, first: usize, last: usize, out: &mut Vec<Run>) {
        out.clear();
        let (outer, inner) = axis.dims().split_at(axis.rank - inner);
        let run: usize = inner.iter().map(|dim| dim.size).product();
        let mut steps = [0isize; MAX_DIMS];
        for (step, dim) in steps.iter_mut().zip(outer) {
            *step = self.step(dim);
        }
        // The index of the first run, one number a dimension.
        let mut index = [0usize; MAX_DIMS];
        let mut rest = first / run.max(1);
        let mut pos = Pos::default();
        for (d, dim) in outer.iter().enumerate().rev() {
            index[d] = rest % dim.size;
            rest /= dim.size;
            pos.offset += index[d] as isize * steps[d];
            for c in 0..3 {
                pos.at[c] += index[d] as i32 * dim.steps[c];
            }
        }
        if let ([dim], [], [0, 0, 0]) = (outer, inner, outer.first().map_or([0; 3], |dim| dim.steps)) {
            let step = self.step(dim);
            out.extend((first..last).map(|i| Run { len: 1, pos: Pos { offset: i as isize * step, at: [0; 3] } }));
            return;
        }
        let mut at = first;
        while at < last {
            let skipped = at % run;
            let len = (run - skipped).min(last - at);
            out.push(Run { len, pos: Pos { offset: pos.offset + skipped as isize, at: pos.at } });
            at += len;
            for (d, dim) in outer.iter().enumerate().rev() {
                index[d] += 1;
                pos.offset += steps[d];
                for c in 0..3 {
                    pos.at[c] += dim.steps[c];
                }
                if index[d] < dim.size {
                    break;
                }
                index[d] = 0;
                pos.offset -= dim.size as isize * steps[d];
                for c in 0..3 {
                    pos.at[c] -= dim.size as i32 * dim.steps[c];
                }
            }
        }
    }

    /// The position of each of `first..last` of `axis`.
    pub(crate) fn positions(&self, axis: &Axis, first: usize, last: usize, out: &mut Vec<Run>) {
        self.runs(axis, 0, first, last, out);
    }

    /// Checks that all elements inside the image, for every value of the batch dimensions, are in the buffer.
    pub(crate) fn check(&self, batch: impl Iterator<Item = (usize, isize)>, name: &str) {
        if self.rows.is_empty() || self.cols.is_empty() || self.space.extent.contains(&0) {
            return;
        }
        let (mut least, mut most) = (self.offset as i128, self.offset as i128);
        let axes = self.rows.dims().iter().chain(self.cols.dims()).map(|dim| (dim.size, dim.stride));
        let space = (0..3).map(|d| (self.space.extent[d] as usize, self.space.strides[d]));
        for (size, stride) in axes.chain(space).chain(batch) {
            if size == 0 {
                return;
            }
            let far = (size as i128 - 1) * stride as i128;
            least += far.min(0);
            most += far.max(0);
        }
        let len = self.data.len();
        assert!(least >= 0 && most < len as i128, "{name}: elements {least} to {most} of a buffer of {len}");
        // Coordinates are 32-bit: they must not wrap into the image.
        for d in 0..3 {
            let dims = self.rows.dims().iter().chain(self.cols.dims());
            let reach: i128 = dims.map(|dim| (dim.size as i128 - 1) * (dim.steps[d] as i128).abs()).sum();
            let reach = reach + (self.space.origin[d] as i128).abs();
            assert!(self.space.extent[d] >= 0 && reach < i32::MAX as i128, "{name}: the image is too large");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_that_continue_each_other_are_joined() {
        let axis = Axis::new(&[Dim::plain(2, 12), Dim::plain(1, 7), Dim::plain(3, 4), Dim::plain(4, 1)]);
        assert_eq!(axis.dims(), [Dim::plain(24, 1)]);
        let axis = Axis::new(&[Dim::plain(2, 16), Dim::plain(3, 4), Dim::plain(4, 1)]);
        assert_eq!(axis.dims(), [Dim::plain(2, 16), Dim::plain(12, 1)]);
        assert_eq!(axis.len(), 24);
    }

    #[test]
    fn runs_end_where_neighbours_end() {
        let data = [0.0f32; 100];
        let axis = Axis::new(&[Dim::plain(3, 20), Dim::plain(5, 1)]);
        let view = View::new(&data[..], 0, axis, Axis::plain(1, 0), Space::NONE);
        let mut runs = Vec::new();
        view.runs(&axis, 1, 3, 12, &mut runs);
        let found: Vec<_> = runs.iter().map(|run| (run.len, run.pos.offset)).collect();
        assert_eq!(found, [(2, 3), (5, 20), (2, 40)]);
        view.positions(&axis, 4, 6, &mut runs);
        assert_eq!(runs.iter().map(|run| run.pos.offset).collect::<Vec<_>>(), [4, 20]);
    }

    #[test]
    #[should_panic(expected = "elements 0 to 12 of a buffer of 12")]
    fn a_view_past_the_end_is_refused() {
        let data = [0.0f32; 12];
        View::strided(&data[..], (3, 4), (4, 1)).check([(2, 1)].into_iter(), "a");
    }
}
