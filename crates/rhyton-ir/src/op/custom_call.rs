//! `custom_call`: a function of the host.

use serde::{Deserialize, Serialize};

use std::sync::Arc;
use crate::array::Array;
/// A function of the host that graphs can call; the opening for what the primitives cannot express.
pub trait HostFunction: Send + Sync + std::fmt::Debug {
    /// The name under which it is written in text.
    fn name(&self) -> &str;
    /// The types of the outputs.
    ///
    /// # Errors
    /// If the operands do not fit.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>>;
    /// The outputs.
    ///
    /// # Errors
    /// If they cannot be computed.
    fn call(&self, inputs: &[&Array]) -> Result<Vec<Array>>;
}
/// Calls `target`. Equality, text and cache keys go by its name; a target read from text is unresolved until it is given
/// by `text::parse_with`. Has no gradient: wrap it in a [`CustomGradient`](super::CustomGradient).
#[derive(Clone, Debug)]
pub struct CustomCall {
    /// The function.
    pub target: Arc<dyn HostFunction>,
}
