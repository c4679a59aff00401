//! Elementwise functions on blocks: what the instructions of a fused loop call.
//!
//! Every function takes untyped pointers to `n` elements. A destination may be the very block that a source is (same
//! address), never a shifted one. The common dtypes and functions have loops here or SIMD kernels in
//! [`math`]; what is rare goes through the reference evaluation of the primitive.

use rhyton_ir::op::{Binary, BinaryKind, Direction, Op, ReduceKind, Unary, UnaryKind};
use rhyton_ir::{Array, DType, Element, Result, bf16, f16, with_element};

use super::math;
use crate::isa::Isa;

/// `dst[i] = f(src[i])`.
///
/// # Safety
/// `src` and `dst` are valid for `n` elements of `S` and `D`, aligned, and equal in address or disjoint.
unsafe fn map1<S: Copy, D>(src: *const u8, dst: *mut u8, n: usize, f: impl Fn(S) -> D) {
    let (src, dst) = (src.cast::<S>(), dst.cast::<D>());
    for i in 0..n {
        // SAFETY: i < n, and both are valid for n elements (caller).
        unsafe { dst.add(i).write(f(src.add(i).read())) };
    }
}

/// `dst[i] = f(a[i], b[i])`.
///
/// # Safety
/// As [`map1`], for both sources.
unsafe fn map2<S: Copy, D>(a: *const u8, b: *const u8, dst: *mut u8, n: usize, f: impl Fn(S, S) -> D) {
    let (a, b, dst) = (a.cast::<S>(), b.cast::<S>(), dst.cast::<D>());
    for i in 0..n {
        // SAFETY: i < n, and all are valid for n elements (caller).
        unsafe { dst.add(i).write(f(a.add(i).read(), b.add(i).read())) };
    }
}

/// Copies `n` elements into an array.
///
/// # Safety
/// `src` is valid for `n` elements of `dtype`.
pub(crate) unsafe fn to_array(dtype: DType, src: *const u8, dims: &[usize]) -> Array {
    let n = dims.iter().product();
    with_element!(dtype, T => {
        // SAFETY: valid for n elements of the type (caller).
        let values = unsafe { std::slice::from_raw_parts(if n == 0 { std::ptr::NonNull::<T>::dangling().as_ptr() } else { src.cast_mut().cast::<T>() }, n) };
        Array::new(dims, values.to_vec())
    })
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

/// The primitive's own evaluation, for what has no loop here.
unsafe fn evaluate(op: Op, dtype: DType, sources: &[*const u8], dst: *mut u8, n: usize) -> Result<()> {
    // SAFETY: every source is valid for n elements of dtype (caller).
    let arrays: Vec<Array> = sources.iter().map(|&s| unsafe { to_array(dtype, s, &[n]) }).collect();
    let out = op.eval(&arrays.iter().collect::<Vec<_>>())?;
    // SAFETY: dst is valid for n elements of the output's dtype (caller).
    unsafe { from_array(&out[0], dst) };
    Ok(())
}

/// The elementwise function `kind`.
///
/// # Safety
/// `src` is valid for `n` elements of `dtype`, `dst` for `n` of the result's; aligned, equal or disjoint.
pub(crate) unsafe fn unary(
    isa: Isa,
    kind: UnaryKind,
    dtype: DType,
    src: *const u8,
    dst: *mut u8,
    n: usize,
) -> Result<()> {
    // SAFETY: each call passes on the caller's guarantee for the element type that `dtype` names.
    unsafe {
        match dtype {
            DType::F32 => match kind {
                UnaryKind::IsFinite => map1(src, dst, n, |x: f32| u8::from(x.is_finite())),
                UnaryKind::IsNan => map1(src, dst, n, |x: f32| u8::from(x.is_nan())),
                _ if math::apply_unary(isa, kind, src.cast(), dst.cast(), n) => {}
                _ => return evaluate(Unary { kind }.into(), dtype, &[src], dst, n),
            },
            DType::F16 => return half_unary::<f16>(isa, kind, src, dst, n),
            DType::BF16 => return half_unary::<bf16>(isa, kind, src, dst, n),
            DType::F64 => return double_unary(kind, src, dst, n),
            DType::Bool if kind == UnaryKind::Not => map1(src, dst, n, |x: u8| x ^ 1),
            DType::I32 if kind == UnaryKind::Neg => map1(src, dst, n, |x: i32| x.wrapping_neg()),
            DType::I32 if kind == UnaryKind::Abs => map1(src, dst, n, |x: i32| x.wrapping_abs()),
            DType::U32 if kind == UnaryKind::Not => map1(src, dst, n, |x: u32| !x),
            _ => return evaluate(Unary { kind }.into(), dtype, &[src], dst, n),
        }
    }
    Ok(())
}

/// A 16-bit float type that computes as `f32`.
pub(crate) trait Half: Element {
    fn widen(self) -> f32;
    fn narrow(x: f32) -> Self;
}

impl Half for f16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }
    fn narrow(x: f32) -> f16 {
        f16::from_f32(x)
    }
}

impl Half for bf16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }
    fn narrow(x: f32) -> bf16 {
        bf16::from_f32(x)
    }
}

/// Elements converted at a time between 16 and 32 bits; 1 KiB of `f32` on the stack.
const WIDENED: usize = 256;

unsafe fn half_unary<T: Half>(isa: Isa, kind: UnaryKind, src: *const u8, dst: *mut u8, n: usize) -> Result<()> {
    let mut wide = [0f32; WIDENED];
    for start in (0..n).step_by(WIDENED) {
        let m = WIDENED.min(n - start);
        // SAFETY: start + m <= n; the stack block holds WIDENED >= m values.
        unsafe {
            let from = src.cast::<T>().add(start).cast::<u8>();
            map1(from, wide.as_mut_ptr().cast(), m, |x: T| x.widen());
            if matches!(kind, UnaryKind::IsFinite | UnaryKind::IsNan) {
                unary(isa, kind, DType::F32, wide.as_ptr().cast(), dst.add(start), m)?;
            } else {
                unary(isa, kind, DType::F32, wide.as_ptr().cast(), wide.as_mut_ptr().cast(), m)?;
                map1(wide.as_ptr().cast(), dst.cast::<T>().add(start).cast(), m, T::narrow);
            }
        }
    }
    Ok(())
}

unsafe fn double_unary(kind: UnaryKind, src: *const u8, dst: *mut u8, n: usize) -> Result<()> {
    // SAFETY: the caller's guarantee for f64, and bytes for the two predicates.
    unsafe {
        match kind {
            UnaryKind::Abs => map1(src, dst, n, f64::abs),
            UnaryKind::Neg => map1(src, dst, n, |x: f64| -x),
            UnaryKind::Exp => map1(src, dst, n, f64::exp),
            UnaryKind::Expm1 => map1(src, dst, n, f64::exp_m1),
            UnaryKind::Log => map1(src, dst, n, f64::ln),
            UnaryKind::Log1p => map1(src, dst, n, f64::ln_1p),
            UnaryKind::Sqrt => map1(src, dst, n, f64::sqrt),
            UnaryKind::Rsqrt => map1(src, dst, n, |x: f64| 1.0 / x.sqrt()),
            UnaryKind::Sin => map1(src, dst, n, f64::sin),
            UnaryKind::Cos => map1(src, dst, n, f64::cos),
            UnaryKind::Tanh => map1(src, dst, n, f64::tanh),
            UnaryKind::Logistic => map1(src, dst, n, |x: f64| 1.0 / (1.0 + (-x).exp())),
            UnaryKind::Floor => map1(src, dst, n, f64::floor),
            UnaryKind::Ceil => map1(src, dst, n, f64::ceil),
            UnaryKind::Trunc => map1(src, dst, n, f64::trunc),
            UnaryKind::RoundNearestEven => map1(src, dst, n, f64::round_ties_even),
            UnaryKind::IsFinite => map1(src, dst, n, |x: f64| u8::from(x.is_finite())),
            UnaryKind::IsNan => map1(src, dst, n, |x: f64| u8::from(x.is_nan())),
            _ => return evaluate(Unary { kind }.into(), DType::F64, &[src], dst, n),
        }
    }
    Ok(())
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
) -> Result<()> {
    // SAFETY: each call passes on the caller's guarantee for the element type that `dtype` names.
    let known = unsafe {
        match dtype {
            DType::F32 => math::apply_binary(isa, kind, a.cast(), b.cast(), dst.cast(), n),
            DType::F16 => return half_binary::<f16>(isa, kind, a, b, dst, n),
            DType::BF16 => return half_binary::<bf16>(isa, kind, a, b, dst, n),
            DType::F64 => double_binary(kind, a, b, dst, n),
            DType::Bool => bool_binary(kind, a, b, dst, n),
            DType::U8 => integer_binary::<u8>(kind, a, b, dst, n),
            DType::U16 => integer_binary::<u16>(kind, a, b, dst, n),
            DType::U32 => integer_binary::<u32>(kind, a, b, dst, n),
            DType::U64 => integer_binary::<u64>(kind, a, b, dst, n),
            DType::I8 => integer_binary::<i8>(kind, a, b, dst, n),
            DType::I16 => integer_binary::<i16>(kind, a, b, dst, n),
            DType::I32 => integer_binary::<i32>(kind, a, b, dst, n),
            DType::I64 => integer_binary::<i64>(kind, a, b, dst, n),
        }
    };
    if known {
        return Ok(());
    }
    // SAFETY: the caller's guarantee.
    unsafe { evaluate(Binary { kind }.into(), dtype, &[a, b], dst, n) }
}

unsafe fn half_binary<T: Half>(
    isa: Isa,
    kind: BinaryKind,
    a: *const u8,
    b: *const u8,
    dst: *mut u8,
    n: usize,
) -> Result<()> {
    if kind == BinaryKind::NextAfter {
        // The neighbour in 16 bits is not the neighbour in 32.
        // SAFETY: the caller's guarantee.
        return unsafe { evaluate(Binary { kind }.into(), T::DTYPE, &[a, b], dst, n) };
    }
    let (mut x, mut y) = ([0f32; WIDENED], [0f32; WIDENED]);
    for start in (0..n).step_by(WIDENED) {
        let m = WIDENED.min(n - start);
        // SAFETY: start + m <= n; the stack blocks hold WIDENED >= m values.
        unsafe {
            map1(a.cast::<T>().add(start).cast(), x.as_mut_ptr().cast(), m, |v: T| v.widen());
            map1(b.cast::<T>().add(start).cast(), y.as_mut_ptr().cast(), m, |v: T| v.widen());
            let out = x.as_mut_ptr();
            binary(isa, kind, DType::F32, x.as_ptr().cast(), y.as_ptr().cast(), out.cast(), m)?;
            map1(x.as_ptr().cast(), dst.cast::<T>().add(start).cast(), m, T::narrow);
        }
    }
    Ok(())
}

unsafe fn double_binary(kind: BinaryKind, a: *const u8, b: *const u8, dst: *mut u8, n: usize) -> bool {
    // SAFETY: the caller's guarantee for f64.
    unsafe {
        match kind {
            BinaryKind::Add => map2(a, b, dst, n, |x: f64, y: f64| x + y),
            BinaryKind::Sub => map2(a, b, dst, n, |x: f64, y: f64| x - y),
            BinaryKind::Mul => map2(a, b, dst, n, |x: f64, y: f64| x * y),
            BinaryKind::Div => map2(a, b, dst, n, |x: f64, y: f64| x / y),
            _ => return false,
        }
    }
    true
}

unsafe fn bool_binary(kind: BinaryKind, a: *const u8, b: *const u8, dst: *mut u8, n: usize) -> bool {
    // SAFETY: the caller's guarantee for bytes.
    unsafe {
        match kind {
            BinaryKind::And => map2(a, b, dst, n, |x: u8, y: u8| x & y),
            BinaryKind::Or => map2(a, b, dst, n, |x: u8, y: u8| x | y),
            BinaryKind::Xor => map2(a, b, dst, n, |x: u8, y: u8| x ^ y),
            _ => return false,
        }
    }
    true
}

/// An integer type with C's wrapping arithmetic.
pub(crate) trait Integer: Copy + Ord {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Integer for $t {
            fn add(self, other: Self) -> Self { self.wrapping_add(other) }
            fn sub(self, other: Self) -> Self { self.wrapping_sub(other) }
            fn mul(self, other: Self) -> Self { self.wrapping_mul(other) }
            fn and(self, other: Self) -> Self { self & other }
            fn or(self, other: Self) -> Self { self | other }
            fn xor(self, other: Self) -> Self { self ^ other }
        }
    )*};
}

integers!(u8 u16 u32 u64 i8 i16 i32 i64);

unsafe fn integer_binary<T: Integer>(kind: BinaryKind, a: *const u8, b: *const u8, dst: *mut u8, n: usize) -> bool {
    // SAFETY: the caller's guarantee for T.
    unsafe {
        match kind {
            BinaryKind::Add => map2(a, b, dst, n, T::add),
            BinaryKind::Sub => map2(a, b, dst, n, T::sub),
            BinaryKind::Mul => map2(a, b, dst, n, T::mul),
            BinaryKind::Maximum => map2(a, b, dst, n, T::max),
            BinaryKind::Minimum => map2(a, b, dst, n, T::min),
            BinaryKind::And => map2(a, b, dst, n, T::and),
            BinaryKind::Or => map2(a, b, dst, n, T::or),
            BinaryKind::Xor => map2(a, b, dst, n, T::xor),
            _ => return false,
        }
    }
    true
}

/// `x <relation> y` as bytes 0 or 1.
///
/// # Safety
/// As [`unary`]; `dst` is not a source unless the dtype has one byte.
pub(crate) unsafe fn compare(
    direction: Direction,
    dtype: DType,
    a: *const u8,
    b: *const u8,
    dst: *mut u8,
    n: usize,
) {
    unsafe fn of<T: Element>(direction: Direction, a: *const u8, b: *const u8, dst: *mut u8, n: usize) {
        // SAFETY: the caller's guarantee for T.
        unsafe {
            match direction {
                Direction::Eq => map2(a, b, dst, n, |x: T, y: T| u8::from(x == y)),
                Direction::Ne => map2(a, b, dst, n, |x: T, y: T| u8::from(x != y)),
                Direction::Lt => map2(a, b, dst, n, |x: T, y: T| u8::from(x < y)),
                Direction::Le => map2(a, b, dst, n, |x: T, y: T| u8::from(x <= y)),
                Direction::Gt => map2(a, b, dst, n, |x: T, y: T| u8::from(x > y)),
                Direction::Ge => map2(a, b, dst, n, |x: T, y: T| u8::from(x >= y)),
            }
        }
    }
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => unsafe { of::<T>(direction, a, b, dst, n) });
}

/// `dst[i] = p[i] ? a[i] : b[i]` for elements of `size` bytes.
///
/// # Safety
/// `p` is valid for `n` bytes, the others for `n` elements of `size` bytes, 1, 2, 4 or 8; equal or disjoint.
pub(crate) unsafe fn select(size: usize, p: *const u8, a: *const u8, b: *const u8, dst: *mut u8, n: usize) {
    unsafe fn of<T: Copy>(p: *const u8, a: *const u8, b: *const u8, dst: *mut u8, n: usize) {
        let (a, b, dst) = (a.cast::<T>(), b.cast::<T>(), dst.cast::<T>());
        for i in 0..n {
            // SAFETY: i < n, and all are valid for n elements (caller). Both sides are read so that it vectorises.
            unsafe {
                let (x, y) = (a.add(i).read(), b.add(i).read());
                dst.add(i).write(if p.add(i).read() != 0 { x } else { y });
            }
        }
    }
    // SAFETY: the caller's guarantee for the size.
    unsafe {
        match size {
            1 => of::<u8>(p, a, b, dst, n),
            2 => of::<u16>(p, a, b, dst, n),
            4 => of::<u32>(p, a, b, dst, n),
            _ => of::<u64>(p, a, b, dst, n),
        }
    }
}

/// Conversion as [`Data::cast`] defines it.
///
/// # Safety
/// As [`unary`]; the blocks are disjoint if the sizes of the dtypes differ.
pub(crate) unsafe fn convert(from: DType, to: DType, src: *const u8, dst: *mut u8, n: usize) {
    unsafe fn of<S: Element, D: Element>(src: *const u8, dst: *mut u8, n: usize) {
        // SAFETY: the caller's guarantee for S and D.
        unsafe {
            if S::DTYPE.is_float() || D::DTYPE.is_float() {
                map1(src, dst, n, |x: S| D::from_f64(x.to_f64()));
            } else {
                map1(src, dst, n, |x: S| D::from_i128(x.to_i128()));
            }
        }
    }
    // SAFETY: the caller's guarantee; the first arms are the same functions without the detour through f64.
    unsafe {
        match (from, to) {
            (a, b) if a == b => std::ptr::copy(src, dst, n * from.size()),
            (DType::BF16, DType::F32) => map1(src, dst, n, bf16::to_f32),
            (DType::F32, DType::BF16) => map1(src, dst, n, bf16::from_f32),
            (DType::F16, DType::F32) => map1(src, dst, n, f16::to_f32),
            (DType::F32, DType::F16) => map1(src, dst, n, f16::from_f32),
            (DType::Bool | DType::U8, DType::F32) => map1(src, dst, n, |x: u8| f32::from(x)),
            (DType::I32, DType::F32) => map1(src, dst, n, |x: i32| x as f32),
            (DType::F32, DType::I32) => map1(src, dst, n, |x: f32| x as i32),
            (DType::I32, DType::I64) => map1(src, dst, n, |x: i32| i64::from(x)),
            (DType::Bool, DType::I32) => map1(src, dst, n, |x: u8| i32::from(x)),
            _ => with_element!(from, S => with_element!(to, D => of::<S, D>(src, dst, n))),
        }
    }
}

/// The dtype in which a reduction of `dtype` is accumulated.
pub(crate) fn accumulator(dtype: DType) -> DType {
    if dtype.is_float() && dtype.size() == 2 { DType::F32 } else { dtype }
}

/// What a reduction of nothing gives, as the bytes of an element.
pub(crate) fn identity_bytes(kind: ReduceKind, dtype: DType) -> [u8; 8] {
    fn bytes<T: Element>(kind: ReduceKind) -> [u8; 8] {
        let value = match kind {
            ReduceKind::Sum | ReduceKind::Or => T::from_f64(0.0),
            ReduceKind::Prod | ReduceKind::And => T::from_f64(1.0),
            ReduceKind::Max => extreme::<T>(false),
            ReduceKind::Min => extreme::<T>(true),
        };
        let mut out = [0; 8];
        out[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
        out
    }
    with_element!(dtype, T => bytes::<T>(kind))
}

/// The largest or smallest value of a type, infinite for floats.
fn extreme<T: Element>(largest: bool) -> T {
    match T::DTYPE {
        d if d.is_float() => T::from_f64(if largest { f64::INFINITY } else { f64::NEG_INFINITY }),
        DType::Bool => T::from_f64(f64::from(u8::from(largest))),
        d => {
            let bits = 8 * d.size() as u32 - u32::from(d.is_signed_int());
            let top = (1i128 << bits) - 1;
            let bottom = if d.is_signed_int() { -(1i128 << bits) } else { 0 };
            T::from_i128(if largest { top } else { bottom })
        }
    }
}

/// An element that can be accumulated.
pub(crate) trait Accumulate: Copy {
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
}

macro_rules! accumulate_integers {
    ($($t:ty)*) => {$(
        impl Accumulate for $t {
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            fn larger(self, other: Self) -> Self { self.max(other) }
            fn smaller(self, other: Self) -> Self { self.min(other) }
        }
    )*};
}

accumulate_integers!(u8 u16 u32 u64 i8 i16 i32 i64);

macro_rules! accumulate_floats {
    ($($t:ty)*) => {$(
        impl Accumulate for $t {
            fn plus(self, other: Self) -> Self { self + other }
            fn times(self, other: Self) -> Self { self * other }
            // NaN wins on either side.
            fn larger(self, other: Self) -> Self { if self >= other || self.is_nan() { self } else { other } }
            fn smaller(self, other: Self) -> Self { if self <= other || self.is_nan() { self } else { other } }
        }
    )*};
}

accumulate_floats!(f32 f64);

/// Runs `$body` with `$T` the accumulating type of `$dtype` (`bool` as a byte).
macro_rules! with_accumulator {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::Bool | DType::U8 => { type $T = u8; $body }
            DType::U16 => { type $T = u16; $body }
            DType::U32 => { type $T = u32; $body }
            DType::U64 => { type $T = u64; $body }
            DType::I8 => { type $T = i8; $body }
            DType::I16 => { type $T = i16; $body }
            DType::I32 => { type $T = i32; $body }
            DType::I64 => { type $T = i64; $body }
            DType::F64 => { type $T = f64; $body }
            DType::F16 | DType::BF16 | DType::F32 => { type $T = f32; $body }
        }
    };
}

/// `acc[i] = reduce(acc[i], src[i])`; the dtype is an accumulator's.
///
/// # Safety
/// Both are valid for `n` elements of `dtype` and disjoint.
pub(crate) unsafe fn accumulate(isa: Isa, kind: ReduceKind, dtype: DType, acc: *mut u8, src: *const u8, n: usize) {
    if dtype == DType::F32 && n >= 16 {
        let binary = match kind {
            ReduceKind::Sum => BinaryKind::Add,
            ReduceKind::Prod => BinaryKind::Mul,
            ReduceKind::Max | ReduceKind::Or => BinaryKind::Maximum,
            ReduceKind::Min | ReduceKind::And => BinaryKind::Minimum,
        };
        // SAFETY: the caller's guarantee.
        unsafe { math::apply_binary(isa, binary, acc.cast(), src.cast(), acc.cast(), n) };
        return;
    }
    // SAFETY: the caller's guarantee.
    with_accumulator!(dtype, T => unsafe {
        match kind {
            ReduceKind::Sum => map2(acc, src, acc, n, T::plus),
            ReduceKind::Prod => map2(acc, src, acc, n, T::times),
            ReduceKind::Max | ReduceKind::Or => map2(acc, src, acc, n, T::larger),
            ReduceKind::Min | ReduceKind::And => map2(acc, src, acc, n, T::smaller),
        }
    });
}

/// `acc = reduce(acc, src[0], src[stride], …)` over `n` elements of an accumulator's dtype.
///
/// Contiguous sums run in eight lanes that are then added pairwise, so the result depends on `n` alone.
///
/// # Safety
/// `acc` is valid for one element and `src` for `n` that are `stride` apart.
pub(crate) unsafe fn reduce_into(isa: Isa, kind: ReduceKind, dtype: DType, acc: *mut u8, src: *const u8, n: usize) {
    if dtype == DType::F32 && n >= 16 {
        // SAFETY: src is valid for n elements and acc for one (caller).
        unsafe {
            let value = math::reduce(isa, kind, src.cast(), n);
            accumulate(isa, kind, dtype, acc, (&raw const value).cast(), 1);
        }
        return;
    }
    unsafe fn lanes<T: Accumulate>(src: *const T, n: usize, start: T, f: impl Fn(T, T) -> T) -> T {
        const LANES: usize = 8;
        let mut partial = [start; LANES];
        let whole = n / LANES * LANES;
        // SAFETY: every index is below n (caller).
        unsafe {
            if whole > 0 {
                for (l, p) in partial.iter_mut().enumerate() {
                    *p = src.add(l).read();
                }
                for i in (LANES..whole).step_by(LANES) {
                    for (l, p) in partial.iter_mut().enumerate() {
                        *p = f(*p, src.add(i + l).read());
                    }
                }
                let mut width = LANES / 2;
                while width > 0 {
                    for l in 0..width {
                        partial[l] = f(partial[l], partial[l + width]);
                    }
                    width /= 2;
                }
            }
            let mut total = if whole > 0 { f(start, partial[0]) } else { start };
            for i in whole..n {
                total = f(total, src.add(i).read());
            }
            total
        }
    }
    // SAFETY: the caller's guarantee.
    with_accumulator!(dtype, T => unsafe {
        let (acc, src) = (acc.cast::<T>(), src.cast::<T>());
        let start = acc.read();
        acc.write(match kind {
            ReduceKind::Sum => lanes(src, n, start, T::plus),
            ReduceKind::Prod => lanes(src, n, start, T::times),
            ReduceKind::Max | ReduceKind::Or => lanes(src, n, start, T::larger),
            ReduceKind::Min | ReduceKind::And => lanes(src, n, start, T::smaller),
        });
    });
}

/// Writes the element at `value` `n` times.
///
/// # Safety
/// `value` is valid for `size` bytes (1, 2, 4 or 8, aligned), `dst` for `n` times as many.
pub(crate) unsafe fn splat(size: usize, value: *const u8, dst: *mut u8, n: usize) {
    unsafe fn of<T: Copy>(value: *const u8, dst: *mut u8, n: usize) {
        // SAFETY: valid for one element and for n (caller).
        unsafe {
            let value = value.cast::<T>().read();
            let dst = dst.cast::<T>();
            for i in 0..n {
                dst.add(i).write(value);
            }
        }
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
    unsafe fn of<T: Element>(start: i64, step: i64, dst: *mut u8, n: usize) {
        for i in 0..n {
            let value = start + i as i64 * step;
            let value = if T::DTYPE.is_float() { T::from_f64(value as f64) } else { T::from_i128(i128::from(value)) };
            // SAFETY: i < n (caller).
            unsafe { dst.cast::<T>().add(i).write(value) };
        }
    }
    // SAFETY: the caller's guarantee.
    with_element!(dtype, T => unsafe { of::<T>(start, step, dst, n) });
}
