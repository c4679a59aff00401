//! Operations of control and conversion: `keras.src.ops.core`.

use super::record::OperationClass;

/// Every operation of this folder that configurations may name.
pub(crate) const CLASSES: &[OperationClass] = &[];
