//! Operations of neural networks: `keras.src.ops.nn`.

use super::record::OperationClass;

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[];
