//! Products of matrices: `C = A · B` or `C += A · B`, in batches, with an epilogue on blocks of C that are still in cache.
//!
//! A and B are [`View`]s, so that the same loops serve strided and transposed matrices and convolutions. The driver cuts
//! C into blocks, one a task; a task walks over K in blocks of about `BLOCK_K` and, inside, over panels of B and the
//! rows of A (see `micro`). B is packed once into panels of the micro-kernel's width, unless so few rows of A use it
//! that it is better read in place. A is read in place where neighbours along K are neighbours in memory, else the
//! task packs its block.
//!
//! Where C is small and K long (the gradient of a kernel) there are too few blocks of C to share, so K is split into
//! chunks whose number depends on the sizes alone, each chunk's product goes to a buffer of its own, and those are added
//! in order. With a handful of rows and both operands contiguous along K, each element is a dot product (see `dots`).
//!
//! The order in which the products of an element are added depends on the sizes, the layout and the instruction set, not
//! on the number of threads.

mod block;
mod blocks;
mod dots;
mod driver;
mod few_rows;
mod micro;
mod pack;
mod packed;
mod pairs;
mod panels;
mod split;
mod view;

use std::marker::PhantomData;

pub(crate) use driver::FEW_ROWS;
pub use driver::gemm;
use micro::Kernels;
pub(crate) use micro::{Finishing, MAX_ROWS, Micro, part, put, swish};
use pack::Transpose8;
pub(crate) use pack::prefetch;
pub(crate) use packed::{Cut, Shared};
pub use packed::{Packed, PackedB};
pub use pairs::{Pair, interleave};
pub(crate) use panels::{Panel, multiply_panel};
pub use view::{Axis, Dim, Elements, MAX_DIMS, Space, View};

use crate::isa::Isa;
use crate::kernels::conv::{channelwise, strassen, winograd};

/// Most steps of K between two visits to C, which cost some 48 loads and stores for 24 multiplications a step. A panel of B
/// of 64 columns is then 96 KiB: it streams from the second-level cache, once for each group of rows. 256 was 3 to 5% faster
/// than 160 on a Zen 4, and 384 another 1 to 2% in Xception and MobileNetV2; on an Ice Lake 320 was as fast as 256.
pub(crate) const BLOCK_K: usize = 384;
/// The same where A is read by columns (gradients of kernels), from a copy that is to stay in the first-level cache beside
/// the panel: blocks of 320 were 10% slower.
pub(crate) const BLOCK_K_COLUMNS: usize = 160;

/// The element types that are multiplied: `f32`, `f64`, and [`Pair`] for bf16.
pub trait Real:
    Copy + Default + Send + Sync + PartialEq + std::fmt::Debug + std::ops::Add<Output = Self> + 'static
{
    /// 0.
    const ZERO: Self;
    /// The nearest value.
    fn from_f32(x: f32) -> Self;
    /// What is said of `f32`s, if these are `f32`s; there are no others that a swish is known of.
    fn finish(_: Finish<'_, f32>) -> Option<Finish<'_, Self>> {
        None
    }
    /// The micro-kernels.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is implemented here only")]
    fn kernels(isa: Isa) -> &'static Kernels<Self>;
    /// The 8 by 8 transposition, if there is one.
    #[doc(hidden)]
    fn transpose(isa: Isa) -> Option<Transpose8<Self>>;
    /// The dot-product kernels, if there are any.
    #[doc(hidden)]
    fn dots(isa: Isa) -> Option<dots::Dots<Self>>;
    /// Whether there are kernels of channelwise convolutions.
    const HAS_CHANNELWISE: bool;
    /// Those kernels.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is implemented here only")]
    fn channelwise(isa: Isa) -> Option<channelwise::Kernels<Self>>;
    /// Whether there are transforms for convolutions of 3 × 3 windows.
    const HAS_WINOGRAD: bool;
    /// Those transforms.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is implemented here only")]
    fn winograd(isa: Isa) -> Option<winograd::Transforms<Self>>;
    /// Whether there are the sums of Strassen's algorithm.
    const HAS_STRASSEN: bool;
    /// Those sums.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is implemented here only")]
    fn strassen(isa: Isa) -> Option<strassen::Sums<Self>>;
}

#[expect(private_interfaces, reason = "see the trait")]
impl Real for f32 {
    const ZERO: f32 = 0.0;
    #[inline(always)]
    fn from_f32(x: f32) -> f32 {
        x
    }
    fn finish(finish: Finish<'_, f32>) -> Option<Finish<'_, f32>> {
        Some(finish)
    }
    fn kernels(isa: Isa) -> &'static Kernels<f32> {
        micro::f32_kernels(isa)
    }
    fn transpose(isa: Isa) -> Option<Transpose8<f32>> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => Some(pack::transpose8_avx),
            _ => None,
        }
    }
    fn dots(isa: Isa) -> Option<dots::Dots<f32>> {
        Some(dots::f32_dots(isa))
    }
    const HAS_CHANNELWISE: bool = true;
    fn channelwise(isa: Isa) -> Option<channelwise::Kernels<f32>> {
        Some(channelwise::f32_kernels(isa))
    }
    const HAS_WINOGRAD: bool = true;
    fn winograd(isa: Isa) -> Option<winograd::Transforms<f32>> {
        Some(winograd::f32_transforms(isa))
    }
    const HAS_STRASSEN: bool = true;
    fn strassen(isa: Isa) -> Option<strassen::Sums<f32>> {
        Some(strassen::f32_sums(isa))
    }
}

#[expect(private_interfaces, reason = "see the trait")]
impl Real for f64 {
    const ZERO: f64 = 0.0;
    #[inline(always)]
    fn from_f32(x: f32) -> f64 {
        f64::from(x)
    }
    fn kernels(isa: Isa) -> &'static Kernels<f64> {
        micro::f64_kernels(isa)
    }
    fn transpose(_: Isa) -> Option<Transpose8<f64>> {
        None
    }
    fn dots(isa: Isa) -> Option<dots::Dots<f64>> {
        Some(dots::f64_dots(isa))
    }
    const HAS_CHANNELWISE: bool = true;
    fn channelwise(isa: Isa) -> Option<channelwise::Kernels<f64>> {
        Some(channelwise::f64_kernels(isa))
    }
    const HAS_WINOGRAD: bool = false;
    fn winograd(_: Isa) -> Option<winograd::Transforms<f64>> {
        None
    }
    const HAS_STRASSEN: bool = false;
    fn strassen(_: Isa) -> Option<strassen::Sums<f64>> {
        None
    }
}

/// A dimension that all operands share: its size and the elements between neighbours in each (0 where one is shared).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDim {
    /// How many values it takes.
    pub size: usize,
    /// In A.
    pub a: isize,
    /// In B; ignored for [`Rhs::Packed`], which has its own batches in the order of those dimensions that are not 0 here.
    pub b: isize,
    /// In C.
    pub c: isize,
}

/// The right operand.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made a call, on the stack")]
pub enum Rhs<'a, T> {
    /// As it is.
    View(View<'a, T>),
    /// Packed before, for operands that do not change between calls.
    Packed(Packed<'a, T>),
}

/// Where C goes: rows anywhere, columns next to each other or `col_stride` apart.
#[derive(Debug)]
pub struct Out<'a, T> {
    ptr: *mut T,
    len: usize,
    offset: usize,
    rows: Axis,
    cols: usize,
    col_stride: isize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a `&mut [T]`.
unsafe impl<T: Send> Send for Out<'_, T> {}
// SAFETY: through a shared reference only the kernels here write, to elements that they give to one task each.
unsafe impl<T: Send> Sync for Out<'_, T> {}

impl<'a, T> Out<'a, T> {
    /// Row 0, column 0 at `offset` of `data`.
    pub fn new(data: &'a mut [T], offset: usize, rows: Axis, cols: usize, col_stride: isize) -> Out<'a, T> {
        Out { ptr: data.as_mut_ptr(), len: data.len(), offset, rows, cols, col_stride, borrow: PhantomData }
    }

    /// A matrix with neighbouring columns next to each other and rows `row_stride` apart.
    pub fn matrix(data: &'a mut [T], (rows, cols): (usize, usize), row_stride: usize) -> Out<'a, T> {
        Out::new(data, 0, Axis::plain(rows, row_stride as isize), cols, 1)
    }

    /// As [`Out::new`], for a buffer that the epilogue also reaches by other ways.
    ///
    /// A null `data` is for a result that is not kept: blocks are made in memory of the task and shown to the epilogue, with the
    /// offsets that they would have in a buffer of `len` elements.
    ///
    /// # Safety
    /// `data` is null, or can be read and written for `len` elements as long as the result lives, and what else reads or
    /// writes them meanwhile is the epilogue, in its own tile.
    pub unsafe fn from_raw(
        data: *mut T,
        len: usize,
        offset: usize,
        rows: Axis,
        cols: usize,
        col_stride: isize,
    ) -> Self {
        Out { ptr: data, len, offset, rows, cols, col_stride, borrow: PhantomData }
    }

    /// Whether there is a buffer.
    fn is_kept(&self) -> bool {
        !self.ptr.is_null()
    }
}

/// A finished block of C: `rows` stretches of `cols` neighbouring elements, `row_stride` apart in the buffer of C. Of a C
/// that is not kept the elements are elsewhere, see [`Tile::strides`].
///
/// Rows that are not evenly spaced in the buffer come in several tiles.
#[derive(Debug)]
pub struct Tile<'a, T> {
    /// Which product of the batch (row-major over the batch dimensions).
    pub batch: usize,
    /// The first row.
    pub row0: usize,
    /// How many.
    pub rows: usize,
    /// The first column.
    pub col0: usize,
    /// How many.
    pub cols: usize,
    /// Where the first element lies in the buffer of C.
    pub offset: usize,
    /// Elements between rows in the buffer.
    pub row_stride: isize,
    /// Elements between columns in the buffer: 1 but for [`Out`]s that are otherwise.
    pub col_stride: isize,
    data: *mut T,
    strides: (isize, isize),
    borrow: PhantomData<&'a mut [T]>,
}

impl<T> Tile<'_, T> {
    /// Rows from `row0` of `cols` neighbours, from `offset` of the buffer of C that starts at `c`.
    ///
    /// # Safety
    /// The elements are in the buffer and the tile's alone.
    pub(crate) unsafe fn new(
        c: *mut T,
        offset: usize,
        (row0, rows): (usize, usize),
        cols: usize,
        row_stride: isize,
    ) -> Self {
        let data = c.wrapping_add(offset);
        let strides = (row_stride, 1);
        Tile {
            batch: 0,
            row0,
            rows,
            col0: 0,
            cols,
            offset,
            row_stride,
            col_stride: 1,
            data,
            strides,
            borrow: PhantomData,
        }
    }

    /// The elements of row `row0 + i`, for C with neighbouring columns next to each other.
    ///
    /// # Panics
    /// If there is no such row, or columns are apart.
    pub fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows && (self.strides.1 == 1 || self.cols == 1), "row {i} of {}", self.rows);
        // SAFETY: the tile is the only owner of its elements, which the driver checked to lie in C or has made.
        unsafe { std::slice::from_raw_parts_mut(self.data.offset(i as isize * self.strides.0), self.cols) }
    }

    /// Elements between its rows and columns where they are: those in C if it is kept.
    pub fn strides(&self) -> (isize, isize) {
        self.strides
    }

    /// The same elements, of a tile that is part of a larger C: its first row and column there, and where that part starts.
    pub(crate) fn moved(self, row0: usize, col0: usize, offset: usize) -> Self {
        Tile { row0, col0: self.col0 + col0, offset: self.offset + offset, ..self }
    }

    /// A pointer to its first element.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.data
    }
}

/// What is done with C, on the thread that computes it.
#[derive(Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// Called for each block of C when it is complete.
    pub tiles: &'a (dyn Fn(Tile<'_, T>) + Sync),
    /// The same, if it is as simple as this. Kernels that can do it where they write C call nothing.
    pub finish: Option<Finish<'a, T>>,
}

/// `c = clamp(c + bias + plus, low, high)`, where NaN stays NaN, then perhaps `c · logistic(c)`.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a, T> {
    /// The bias of the elements in the buffer of C, which it repeats over; or nothing.
    pub bias: &'a [T],
    /// As many elements as the buffer of C has, or nothing.
    pub plus: &'a [T],
    /// The least.
    pub low: T,
    /// The most.
    pub high: T,
    /// Whether the swish of all that is what is wanted.
    pub swish: bool,
    /// Whether what C held, if the product accumulates, is an addend that follows the bias as `plus` does, which is nothing then:
    /// so it is rounded as if it lay elsewhere. Kernels can do that if the terms are a single block.
    pub onto: bool,
}

impl<T: Real> Finish<'_, T> {
    /// How kernels do it that write neighbours from `at` of the buffer of C that starts at `c`.
    pub(crate) fn at(&self, c: *const T, at: usize) -> Finishing<T> {
        let start = |x: &[T], offset: usize| if x.is_empty() { std::ptr::null() } else { x[offset..].as_ptr() };
        let bias = start(self.bias, at % self.bias.len().max(1));
        Finishing { bias, plus: start(self.plus, 0), c, low: self.low, high: self.high, swish: self.swish }
    }

    /// Whether kernels can do it: each run of `n` elements of C sees neighbours of the bias, the same for all rows of a product.
    /// The runs start at `offset` and multiples of the steps of `rows` and `batches` from there.
    pub(crate) fn suits(
        &self,
        n: usize,
        offset: usize,
        mut rows: impl Iterator<Item = isize>,
        mut batches: impl Iterator<Item = isize>,
    ) -> bool {
        let period = self.bias.len();
        let whole = |step: isize, of: usize| step.unsigned_abs().is_multiple_of(of);
        let phases = period.is_multiple_of(n) && offset.is_multiple_of(n) && batches.all(|step| whole(step, n));
        period == 0 || (phases && rows.all(|step| whole(step, period)))
    }
}

impl<'a, T> Epilogue<'a, T> {
    /// One that is nothing simple.
    pub fn new(tiles: &'a (dyn Fn(Tile<'_, T>) + Sync)) -> Epilogue<'a, T> {
        Epilogue { tiles, finish: None }
    }
}

/// A product, or a batch of them.
pub struct Gemm<'a, T> {
    /// The left operand, `m` by `k`.
    pub a: View<'a, T>,
    /// The right operand, `k` by `n`.
    pub b: Rhs<'a, T>,
    /// The result, `m` by `n`.
    pub c: Out<'a, T>,
    /// Dimensions over which the product is repeated.
    pub batch: &'a [BatchDim],
    /// Add to C instead of overwriting it.
    pub accumulate: bool,
    /// What is done with C.
    pub epilogue: Option<Epilogue<'a, T>>,
}

#[cfg(test)]
mod tests;
