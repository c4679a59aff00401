//! Dtype policies: in which dtype a layer computes and in which it keeps its weights.

use std::str::FromStr;
use std::sync::Mutex;

use rhyton_ir::DType;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// In which dtype a layer computes and in which it keeps its weights (Keras's `DTypePolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DTypePolicy {
    mixed: bool,
    compute: DType,
}

static GLOBAL: Mutex<Option<DTypePolicy>> = Mutex::new(None);

impl DTypePolicy {
    /// Computes in and keeps `dtype`.
    pub const fn of(dtype: DType) -> DTypePolicy {
        DTypePolicy { mixed: false, compute: dtype }
    }

    /// Computes in `compute` (`float16` or `bfloat16`) and keeps `float32`.
    pub const fn mixed(compute: DType) -> DTypePolicy {
        DTypePolicy { mixed: true, compute }
    }

    /// The policy of layers that are not given one: that which was set, or of [`floatx`](crate::config::floatx).
    pub fn global() -> DTypePolicy {
        let global = *GLOBAL.lock().unwrap_or_else(|e| e.into_inner());
        global.unwrap_or_else(|| DTypePolicy::of(crate::config::floatx()))
    }

    /// Forgets what [`DTypePolicy::set_global`] set.
    pub(crate) fn reset_global() {
        *GLOBAL.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }

    /// Sets the policy of layers that are not given one, from now on.
    pub fn set_global(policy: DTypePolicy) {
        *GLOBAL.lock().unwrap_or_else(|e| e.into_inner()) = Some(policy);
    }

    /// The dtype of computations.
    pub fn compute_dtype(&self) -> DType {
        self.compute
    }

    /// The dtype of weights.
    pub fn variable_dtype(&self) -> DType {
        if self.mixed { DType::F32 } else { self.compute }
    }

    /// Keras's name: `float32`, `mixed_bfloat16`, …
    pub fn name(&self) -> String {
        format!("{}{}", if self.mixed { "mixed_" } else { "" }, self.compute)
    }

    /// As Keras writes it into configurations.
    pub fn to_json(&self) -> Value {
        json!({"module": "keras", "class_name": "DTypePolicy", "config": {"name": self.name()}, "registered_name": null})
    }

    /// From what Keras writes: an object, or a name.
    ///
    /// # Errors
    /// If it is a policy that is not known, such as a quantized one.
    pub fn from_json(value: &Value) -> Result<DTypePolicy> {
        let name = match value {
            Value::Null => return Ok(DTypePolicy::global()),
            Value::String(name) => Some(name.as_str()),
            object => object["config"]["name"].as_str(),
        };
        name.and_then(|n| n.parse().ok()).ok_or_else(|| {
            Error::content(
                "dtype policy",
                format!("{value} is not a known policy"),
                "known are the floating-point and integer dtypes, mixed_float16 and mixed_bfloat16",
            )
        })
    }
}

impl From<DType> for DTypePolicy {
    fn from(dtype: DType) -> DTypePolicy {
        DTypePolicy::of(dtype)
    }
}

impl FromStr for DTypePolicy {
    type Err = Error;

    fn from_str(name: &str) -> Result<DTypePolicy> {
        match name.strip_prefix("mixed_") {
            None => name.parse().map(DTypePolicy::of).ok(),
            Some("float16") => Some(DTypePolicy::mixed(DType::F16)),
            Some("bfloat16") => Some(DTypePolicy::mixed(DType::BF16)),
            Some(_) => None,
        }
        .ok_or_else(|| {
            Error::argument(
                "dtype policy",
                format!("{name:?} is not a known policy"),
                "known are the dtypes, mixed_float16 and mixed_bfloat16",
            )
        })
    }
}
