//! Further mathematics: `keras.src.ops.math`.

mod bessel;
mod complex;
mod fourier;
mod segment;
mod special;
mod top_k;

use super::record::OperationClass;

pub use bessel::*;
pub use complex::*;
pub use fourier::*;
pub use segment::*;
pub use special::*;
pub use top_k::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.math";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[
    bessel::UNARY,
    fourier::CLASSES,
    segment::CLASSES,
    special::BINARY,
    special::UNARY,
    special::CLASSES,
    top_k::CLASSES,
];
