//! Elementwise functions on blocks: what the instructions of a fused loop call.
//!
//! Every function takes untyped pointers to `n` elements and hands typed slices to the kernels. A destination never
//! overlaps a source.

use rhyton_ir::op::{BinaryKind, Direction, ReduceKind, UnaryKind};
use rhyton_ir::{Array, DType, Element, with_element};

use crate::isa::Isa;
use crate::kernels::fold::{Fold, Foldable};
use crate::kernels::math::{self, per_isa};
use crate::kernels::reduce;
use crate::pool::Pool;

/// `n` elements to read.
///
/// # Safety
/// `src` is aligned and valid for `n` elements of `T` that nothing writes meanwhile, if `n` is not 0.
pub(crate) unsafe fn read<'a, T>(src: *const u8, n: usize) -> &'a [T] {
    // SAFETY: the caller's guarantee.
    if n == 0 { &[] } else { unsafe { std::slice::from_raw_parts(src.cast(), n) } }
}

/// `n` elements to write. They hold values of `T` already, if old ones: memory of the executor starts as zeros.
///
/// # Safety
/// `dst` is aligned and valid for `n` elements of `T` that nothing else reads or writes meanwhile, if `n` is not 0; any
/// bytes there are a value of `T`, or `T` is only written.
pub(crate) unsafe fn write<'a, T>(dst: *mut u8, n: usize) -> &'a mut [T] {
    // SAFETY: the caller's guarantee.
    if n == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(dst.cast(), n) } }
}

/// Copies `n` elements into an array.
///
/// # Safety
/// `src` is valid for the product of `dims` elements of `dtype`.
pub(crate) unsafe fn to_array(dtype: DType, src: *const u8, dims: &[usize]) -> Array {
    let n = dims.iter().product();
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => Array::new(dims, unsafe { read::<T>(src, n) }.to_vec()))
}

/// Copies the elements of an array out.
///
/// # Safety
/// `dst` is valid for the array's bytes and does not overlap them.
pub(crate) unsafe fn from_array(array: &Array, dst: *mut u8) {
    let bytes = array.data().bytes();
    // SAFETY: valid for these bytes (caller).
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), dst, bytes.len()) };
}

/// The elementwise function `kind`.
///
/// # Safety
/// `src` is valid for `n` elements of `dtype`, `dst` for `n` of the result's; aligned and disjoint.
pub(crate) unsafe fn unary(isa: Isa, kind: UnaryKind, dtype: DType, src: *const u8, dst: *mut u8, n: usize) {
    // SAFETY: the caller's guarantee for the element type that `dtype` names, and bytes for the predicates.
    with_element!(dtype, T => unsafe {
        match kind {
            UnaryKind::IsFinite => math::is_finite::<T>(read(src, n), write(dst, n)),
            UnaryKind::IsNan => math::is_nan::<T>(read(src, n), write(dst, n)),
            _ => math::apply_unary::<T>(isa, kind, read(src, n), write(dst, n)),
        }
    });
}

/// The elementwise function `kind` of two blocks of `dtype`.
///
/// # Safety
/// As [`unary`], for both sources.
pub(crate) unsafe fn binary(
    isa: Isa,
    kind: BinaryKind,
    dtype: DType,
    a: *const u8,
    b: *const u8,
    dst: *mut u8,
    n: usize,
) {
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => unsafe { math::apply_binary::<T>(isa, kind, read(a, n), read(b, n), write(dst, n)) });
}

/// `x <relation> y` as bytes 0 or 1.
///
/// # Safety
/// As [`unary`].
pub(crate) unsafe fn compare(
    isa: Isa,
    direction: Direction,
    dtype: DType,
    a: *const u8,
    b: *const u8,
    dst: *mut u8,
    n: usize,
) {
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => unsafe { math::compare::<T>(isa, direction, read(a, n), read(b, n), write(dst, n)) });
}

/// `dst[i] = p[i] ? a[i] : b[i]`.
///
/// # Safety
/// `p` is valid for `n` bytes 0 or 1, the others for `n` elements of `dtype`; disjoint from `dst`.
pub(crate) unsafe fn select(isa: Isa, dtype: DType, p: *const u8, a: *const u8, b: *const u8, dst: *mut u8, n: usize) {
    /// # Safety
    /// The caller's, for elements of the dtype's size.
    unsafe fn of<T: math::Bits>(isa: Isa, p: *const u8, a: *const u8, b: *const u8, dst: *mut u8, n: usize) {
        // SAFETY: as above.
        unsafe { math::select::<T>(isa, read(p, n), read(a, n), read(b, n), write(dst, n)) }
    }
    // SAFETY: the caller's guarantee.
    unsafe {
        match dtype.size() {
            1 => of::<u8>(isa, p, a, b, dst, n),
            2 => of::<u16>(isa, p, a, b, dst, n),
            4 => of::<u32>(isa, p, a, b, dst, n),
            _ => of::<u64>(isa, p, a, b, dst, n),
        }
    }
}

/// Conversion as [`Data::cast`](rhyton_ir::Data::cast) defines it.
///
/// # Safety
/// As [`unary`].
pub(crate) unsafe fn convert(isa: Isa, from: DType, to: DType, src: *const u8, dst: *mut u8, n: usize) {
    if from == to {
        // SAFETY: the caller's guarantee.
        return unsafe { std::ptr::copy_nonoverlapping(src, dst, n * from.size()) };
    }
    // SAFETY: the caller's guarantee.
    with_element!(from, S => with_element!(to, D => unsafe { math::convert::convert::<S, D>(isa, read(src, n), write(dst, n)) }));
}

/// The dtype in which a reduction of `dtype` is accumulated.
pub(crate) fn accumulator(dtype: DType) -> DType {
    if dtype.is_float() && dtype.size() == 2 { DType::F32 } else { dtype }
}

/// Calls `$f::<O>($args)` with `O` the fold that `$kind` names for `$T`.
macro_rules! with_fold {
    ($kind:expr, $T:ident, $f:ident($($arg:expr),*)) => {
        match $kind {
            ReduceKind::Sum | ReduceKind::Or => $f::<<$T as Foldable>::Sum>($($arg),*),
            ReduceKind::Prod | ReduceKind::And => $f::<<$T as Foldable>::Prod>($($arg),*),
            ReduceKind::Max => $f::<<$T as Foldable>::Max>($($arg),*),
            ReduceKind::Min => $f::<<$T as Foldable>::Min>($($arg),*),
        }
    };
}

/// The bytes of what a reduction of nothing gives.
pub(crate) fn identity(kind: ReduceKind, dtype: DType) -> [u8; 8] {
    fn bytes<O: Fold>() -> [u8; 8] {
        let value = O::store(O::identity());
        let mut out = [0; 8];
        out[..size_of::<O::X>()].copy_from_slice(bytemuck::bytes_of(&value));
        out
    }
    with_element!(dtype, T => with_fold!(kind, T, bytes()))
}

per_isa! {
    fn accumulate_isa<O: Fold>(acc: &mut [O::X], src: &[O::X]) = accumulate_loop
}

/// Folds each stretch of `acc.len()` elements of `src` into `acc`, elementwise.
#[inline(always)]
fn accumulate_loop<O: Fold, const FMA: bool>(acc: &mut [O::X], src: &[O::X]) {
    for row in src.chunks_exact(acc.len()) {
        for (a, &x) in acc.iter_mut().zip(row) {
            *a = O::store(O::apply(O::load(*a), O::load(x)));
        }
    }
}

/// `acc[i] = reduce(acc[i], src[i], src[n + i], …)` over `rows` rows of `n` elements of an accumulator's dtype.
///
/// # Safety
/// `acc` is valid for `n` elements of `dtype`, `src` for `rows·n`; disjoint.
pub(crate) unsafe fn accumulate(
    isa: Isa,
    kind: ReduceKind,
    dtype: DType,
    acc: *mut u8,
    src: *const u8,
    rows: usize,
    n: usize,
) {
    if n == 0 {
        return;
    }
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => unsafe {
        with_fold!(kind, T, accumulate_isa(isa, write::<T>(acc, n), read::<T>(src, rows * n)));
    });
}

/// `dst[r] = reduce(src[r·row..][..row])` for `rows` rows, in an order of additions that depends on `row` alone.
///
/// # Safety
/// `src` is valid for `rows·row` elements of `dtype`, `dst` for `rows`; disjoint.
#[expect(clippy::too_many_arguments, reason = "a kernel's operands and sizes")]
pub(crate) unsafe fn reduce_rows(
    pool: &Pool,
    isa: Isa,
    kind: ReduceKind,
    dtype: DType,
    src: *const u8,
    dst: *mut u8,
    rows: usize,
    row: usize,
) {
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => unsafe {
        reduce::reduce::<T>(pool, isa, kind, read(src, rows * row), (rows, row, 1), write(dst, rows));
    });
}

/// Writes the element at `value` `n` times.
///
/// # Safety
/// `value` is valid for `size` bytes (1, 2, 4 or 8, aligned), `dst` for `n` times as many.
pub(crate) unsafe fn splat(size: usize, value: *const u8, dst: *mut u8, n: usize) {
    unsafe fn of<T: Copy>(value: *const u8, dst: *mut u8, n: usize) {
        // SAFETY: valid for one element and for n (caller).
        unsafe { write::<T>(dst, n).fill(value.cast::<T>().read()) };
    }
    // SAFETY: the caller's guarantee for the size.
    unsafe {
        match size {
            1 => std::ptr::write_bytes(dst, value.read(), n),
            2 => of::<u16>(value, dst, n),
            4 => of::<u32>(value, dst, n),
            _ => of::<u64>(value, dst, n),
        }
    }
}

/// `dst[i] = src[i·stride]` for elements of `size` bytes.
///
/// # Safety
/// `src` is valid at those places, `dst` for `n` elements; disjoint.
pub(crate) unsafe fn gather_strided(size: usize, src: *const u8, stride: isize, dst: *mut u8, n: usize) {
    unsafe fn of<T: Copy>(src: *const u8, stride: isize, dst: *mut u8, n: usize) {
        let (src, dst) = (src.cast::<T>(), dst.cast::<T>());
        for i in 0..n {
            // SAFETY: the caller's guarantee for index i.
            unsafe { dst.add(i).write(src.offset(i as isize * stride).read()) };
        }
    }
    // SAFETY: the caller's guarantee for the size.
    unsafe {
        match (stride, size) {
            (1, _) => std::ptr::copy_nonoverlapping(src, dst, n * size),
            (0, _) => splat(size, src, dst, n),
            (_, 1) => of::<u8>(src, stride, dst, n),
            (_, 2) => of::<u16>(src, stride, dst, n),
            (_, 4) => of::<u32>(src, stride, dst, n),
            _ => of::<u64>(src, stride, dst, n),
        }
    }
}

/// `dst[i] = start + i·step` in `dtype`, wrapping as conversion of the integer does.
///
/// # Safety
/// `dst` is valid for `n` elements of `dtype`.
pub(crate) unsafe fn count(dtype: DType, start: i64, step: i64, dst: *mut u8, n: usize) {
    fn of<T: Element>(start: i64, step: i64, dst: &mut [T]) {
        for (i, d) in dst.iter_mut().enumerate() {
            let value = start + i as i64 * step;
            *d = if T::DTYPE.is_float() { T::from_f64(value as f64) } else { T::from_i128(i128::from(value)) };
        }
    }
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => of::<T>(start, step, unsafe { write(dst, n) }));
}
