//! The bias with which LSTMs start so that they remember.

use rhyton_ir::DType;
use serde_json::Value;

use super::cell::join;
use crate::error::Result;
use crate::initializers::{Initializer, InitializerRef, Ones};
use crate::saving::KerasObject;
use crate::tensor::Tensor;

/// Ones for the second of four gates, the forget gate, and what `others` gives for the rest (Jozefowicz, Zaremba and
/// Sutskever, 2015). Part of the layer: it is not written into configurations.
#[derive(Clone, Debug)]
pub(super) struct UnitForgetBias {
    pub(super) others: InitializerRef,
}

impl UnitForgetBias {
    /// `bias`, or this over it if `wanted`.
    pub(super) fn over(bias: &InitializerRef, wanted: bool) -> InitializerRef {
        if wanted { UnitForgetBias { others: bias.clone() }.into() } else { bias.clone() }
    }
}

impl KerasObject for UnitForgetBias {
    fn class_name(&self) -> &'static str {
        "UnitForgetBias"
    }

    fn config(&self) -> Value {
        Value::Null
    }
}

impl Initializer for UnitForgetBias {
    fn call(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let units = shape.iter().product::<usize>() / 4;
        let forget = Ones::default().call(&[units], dtype)?;
        join(&[self.others.call(&[units], dtype)?, forget, self.others.call(&[2 * units], dtype)?])
    }
}
