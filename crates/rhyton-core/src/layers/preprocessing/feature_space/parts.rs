//! The layers of Keras's that only feature spaces have.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::MODULE;
use crate::error::Result;
use crate::keras_layer_object;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::Tensor;

/// Gives its input: the preprocessor of plain numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TFDIdentity {
    #[serde(skip)]
    base: Base,
}

keras_layer_object!(TFDIdentity);

impl TFDIdentity {
    /// Named `name`, in `float32`.
    pub(super) fn named(name: &str) -> TFDIdentity {
        let base = Base::default();
        base.set_name(name);
        base.set_policy(rhyton_ir::DType::F32);
        TFDIdentity { base }
    }
}

impl Layer for TFDIdentity {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        inputs.first().cloned()
    }

    fn module(&self) -> &'static str {
        MODULE
    }

    fn registered_name(&self) -> Option<String> {
        Some("TFDIdentity".into())
    }

    fn config(&self) -> Value {
        json!({"name": self.name(), "dtype": self.base.policy().to_json(), "trainable": self.base.trainable()})
    }
}

/// Joins the encoded features.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TFDConcat {
    #[serde(skip)]
    base: Base,
    axis: i64,
}

keras_layer_object!(TFDConcat);

impl Default for TFDConcat {
    fn default() -> TFDConcat {
        TFDConcat { base: Base::default(), axis: -1 }
    }
}

impl Layer for TFDConcat {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let parts: Vec<Tensor> = inputs.list()?.into_iter().cloned().collect();
        Ok(ops::concatenate(&parts, self.axis).check()?.into())
    }

    fn module(&self) -> &'static str {
        MODULE
    }

    fn registered_name(&self) -> Option<String> {
        Some("TFDConcat".into())
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["xs"]
    }

    fn config(&self) -> Value {
        json!({
            "name": self.name(),
            "axis": self.axis,
            "trainable": self.base.trainable(),
            "dtype": self.base.policy().to_json(),
        })
    }
}
