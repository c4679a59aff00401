//! `convert`: change of dtype.

use serde::{Deserialize, Serialize};

/// Converts as [`Data::cast`](crate::Data::cast): float to integer truncates and saturates, NaN becomes 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convert {
    /// The new dtype.
    pub dtype: DType,
}
