//! The kernels: the inner loops of everything the executor runs, on slices and strides, without graphs.
//!
//! Each has one safe entry that checks its operands with `assert!`, takes the [`Isa`](crate::isa::Isa) to use and, if
//! it is worth it, the [`Pool`](crate::pool::Pool) to run on. Results depend on the instruction set, and on nothing
//! else but the operands.

pub mod conv;
pub mod direct;
pub mod fft;
pub mod fold;
pub mod gemm;
pub mod linalg;
pub mod math;
pub mod reduce;
pub mod scratch;
pub mod simd;
pub mod sort;
pub mod window;
