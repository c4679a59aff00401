//! Operations of control and conversion: `keras.src.ops.core`.

mod control;
mod conversion;
mod slicing;
mod transformation;

use super::record::OperationClass;

pub use control::*;
pub use conversion::*;
pub use slicing::*;
pub use transformation::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.core";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[conversion::CLASSES, slicing::CLASSES];
