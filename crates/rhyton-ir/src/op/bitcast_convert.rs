//! `bitcast_convert`: the same bits as another dtype of the same size.

use serde::{Deserialize, Serialize};

/// Reinterprets the bits; the sizes of both dtypes are equal and neither is `bool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BitcastConvert {
    /// The new dtype.
    pub dtype: DType,
}
