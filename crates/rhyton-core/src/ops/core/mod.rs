//! Operations of control and conversion: `keras.src.ops.core`.

mod conversion;

use super::record::OperationClass;

pub use conversion::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.core";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[conversion::CLASSES];
