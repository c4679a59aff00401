//! `f32` functions on blocks.

use rhyton_ir::op::{BinaryKind, ReduceKind, UnaryKind};

use crate::isa::Isa;

/// `dst[i] = kind(src[i])`; false if there is no loop for `kind`.
///
/// # Safety
/// Both are valid for `n` elements, and equal or disjoint.
pub(crate) unsafe fn apply_unary(_isa: Isa, kind: UnaryKind, src: *const f32, dst: *mut f32, n: usize) -> bool {
    let map = |f: fn(f64) -> f64| {
        for i in 0..n {
            // SAFETY: i < n (caller).
            unsafe { dst.add(i).write(f(f64::from(src.add(i).read())) as f32) };
        }
    };
    match kind {
        UnaryKind::Abs => map(f64::abs),
        UnaryKind::Neg => map(|x| -x),
        UnaryKind::Exp => map(f64::exp),
        UnaryKind::Expm1 => map(f64::exp_m1),
        UnaryKind::Log => map(f64::ln),
        UnaryKind::Log1p => map(f64::ln_1p),
        UnaryKind::Sqrt => map(f64::sqrt),
        UnaryKind::Rsqrt => map(|x| 1.0 / x.sqrt()),
        UnaryKind::Sin => map(f64::sin),
        UnaryKind::Cos => map(f64::cos),
        UnaryKind::Tanh => map(f64::tanh),
        UnaryKind::Logistic => map(|x| 1.0 / (1.0 + (-x).exp())),
        UnaryKind::Floor => map(f64::floor),
        UnaryKind::Ceil => map(f64::ceil),
        UnaryKind::Trunc => map(f64::trunc),
        UnaryKind::RoundNearestEven => map(f64::round_ties_even),
        _ => return false,
    }
    true
}

/// `dst[i] = kind(a[i], b[i])`; false if there is no loop for `kind`.
///
/// # Safety
/// All are valid for `n` elements, and equal or disjoint.
pub(crate) unsafe fn apply_binary(
    _isa: Isa,
    kind: BinaryKind,
    a: *const f32,
    b: *const f32,
    dst: *mut f32,
    n: usize,
) -> bool {
    let map = |f: fn(f32, f32) -> f32| {
        for i in 0..n {
            // SAFETY: i < n (caller).
            unsafe { dst.add(i).write(f(a.add(i).read(), b.add(i).read())) };
        }
    };
    match kind {
        BinaryKind::Add => map(|x, y| x + y),
        BinaryKind::Sub => map(|x, y| x - y),
        BinaryKind::Mul => map(|x, y| x * y),
        BinaryKind::Div => map(|x, y| x / y),
        BinaryKind::Maximum => map(|x, y| if x >= y || x.is_nan() { x } else { y }),
        BinaryKind::Minimum => map(|x, y| if x <= y || x.is_nan() { x } else { y }),
        _ => return false,
    }
    true
}

/// The reduction of `n` elements; at least one.
///
/// # Safety
/// `src` is valid for `n` elements.
pub(crate) unsafe fn reduce(_isa: Isa, kind: ReduceKind, src: *const f32, n: usize) -> f32 {
    let f = |x: f32, y: f32| match kind {
        ReduceKind::Sum => x + y,
        ReduceKind::Prod => x * y,
        ReduceKind::Max | ReduceKind::Or => if x >= y || x.is_nan() { x } else { y },
        ReduceKind::Min | ReduceKind::And => if x <= y || x.is_nan() { x } else { y },
    };
    // SAFETY: every index is below n (caller).
    (1..n).fold(unsafe { src.read() }, |acc, i| f(acc, unsafe { src.add(i).read() }))
}
