//! Operations named after NumPy's: `keras.src.ops.numpy`.

mod arithmetic;
mod elementwise;
mod matmul;
mod reduction;
mod shape;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::record::{Operation, OperationClass};
use crate::error::Result;
use crate::saving::from_config;

pub use arithmetic::*;
pub use elementwise::*;
pub use matmul::*;
pub use reduction::*;
pub use shape::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.numpy";

/// Rebuilds an operation whose configuration is what serde makes of it.
pub(crate) fn make<O: Operation + DeserializeOwned + 'static>(config: Value) -> Result<Arc<dyn Operation>> {
    Ok(Arc::new(from_config::<O>("operation", config)?))
}

/// Every operation of this folder that configurations may name.
pub(crate) const CLASSES: &[OperationClass] = &[
    OperationClass { name: "Add", from_config: make::<Add> },
    OperationClass { name: "Subtract", from_config: make::<Subtract> },
    OperationClass { name: "Multiply", from_config: make::<Multiply> },
    OperationClass { name: "TrueDivide", from_config: make::<TrueDivide> },
    OperationClass { name: "Maximum", from_config: make::<Maximum> },
    OperationClass { name: "Minimum", from_config: make::<Minimum> },
    OperationClass { name: "Sum", from_config: make::<Sum> },
    OperationClass { name: "Mean", from_config: make::<Mean> },
    OperationClass { name: "Max", from_config: make::<Max> },
    OperationClass { name: "Matmul", from_config: make::<Matmul> },
    OperationClass { name: "Reshape", from_config: make::<Reshape> },
    OperationClass { name: "Min", from_config: make::<Min> },
];
