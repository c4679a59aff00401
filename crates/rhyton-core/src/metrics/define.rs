//! How metrics are declared: their arguments, and for means of samples the function that gives their values.

use rhyton_ir::DType;
use serde_json::{Map, Value};

use super::Metric;
use crate::error::{Error, Result};

/// Declares a metric class: its default name (`None` for automatic ones) and dtype, how many of its arguments Keras writes
/// before name and dtype, the arguments with a builder, and those whose builder is written by hand.
macro_rules! metric {
    (
        $(#[$doc:meta])*
        $class:ident ($name:expr, $dtype:ident, $before:literal)
        { $($about:literal $(#[$meta:meta])* $field:ident: $ty:ty = $value:expr,)* }
        { $($(#[$by_hand_meta:meta])* $by_hand:ident: $by_hand_ty:ty = $by_hand_value:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $class {
            #[serde(skip)]
            base: crate::metrics::MetricBase,
            $($(#[$meta])* $field: $ty,)*
            $($(#[$by_hand_meta])* $by_hand: $by_hand_ty,)*
        }

        impl Default for $class {
            fn default() -> $class {
                let base = crate::metrics::MetricBase::new($name, rhyton_ir::DType::$dtype);
                $class { base, $($field: $value,)* $($by_hand: $by_hand_value,)* }
            }
        }

        impl crate::saving::KerasObject for $class {
            fn class_name(&self) -> &'static str {
                stringify!($class)
            }
            fn config(&self) -> serde_json::Value {
                crate::metrics::define::with_identity(self, crate::saving::config_of(self), $before)
            }
        }

        impl $class {
            /// The name, under which histories list it.
            pub fn name(self, name: impl Into<String>) -> $class {
                self.base.set_name(name);
                self
            }

            /// In which dtype it is computed.
            pub fn dtype(self, dtype: rhyton_ir::DType) -> $class {
                self.base.set_dtype(dtype);
                self
            }

            $(
                #[doc = $about]
                pub fn $field(mut self, $field: $ty) -> $class {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}
pub(crate) use metric;

/// Declares a metric that is the mean of a function of the samples.
macro_rules! mean_metric {
    (
        $(#[$doc:meta])*
        $class:ident $name:literal $direction:expr, $call:expr;
        { $($about:literal $(#[$meta:meta])* $field:ident: $ty:ty = $value:expr,)* }
        { $($(#[$by_hand_meta:meta])* $by_hand:ident: $by_hand_ty:ty = $by_hand_value:expr,)* }
    ) => {
        crate::metrics::define::metric! {
            $(#[$doc])*
            $class (Some($name), F32, 0)
            { $($about $(#[$meta])* $field: $ty = $value,)* }
            { $($(#[$by_hand_meta])* $by_hand: $by_hand_ty = $by_hand_value,)* }
        }

        impl $class {
            /// With Keras's defaults.
            pub fn new() -> $class {
                $class::default()
            }
        }

        impl crate::metrics::Metric for $class {
            fn base(&self) -> &crate::metrics::MetricBase {
                &self.base
            }

            fn build(&self) {
                crate::metrics::reduction::mean_variables(self);
            }

            fn update_state(
                &self,
                y_true: &crate::tensor::Tensor,
                y_pred: &crate::tensor::Tensor,
                sample_weight: Option<&crate::tensor::Tensor>,
            ) -> crate::error::Result<()> {
                let call: fn(&$class, &crate::tensor::Tensor, &crate::tensor::Tensor) -> crate::tensor::Tensor = $call;
                let values = call(self, &y_true.without_mask(), &y_pred.without_mask());
                crate::metrics::reduction::update_mean_of(self, &values, y_pred.mask(), sample_weight)
            }

            fn result(&self) -> crate::error::Result<crate::tensor::Tensor> {
                crate::metrics::reduction::mean_result(self)
            }

            fn direction(&self) -> Option<crate::metrics::Direction> {
                $direction
            }
        }
    };
}
pub(crate) use mean_metric;

/// `config` with the metric's name and dtype put in after its first `before` keys.
pub(crate) fn with_identity(metric: &dyn Metric, config: Value, before: usize) -> Value {
    let own = match config {
        Value::Object(own) => own,
        _ => Map::new(),
    };
    let mut out = Map::new();
    let mut own = own.into_iter();
    out.extend(own.by_ref().take(before));
    out.insert("name".into(), metric.name().into());
    out.insert("dtype".into(), metric.dtype().to_string().into());
    out.extend(own);
    Value::Object(out)
}

/// Takes name and dtype out of a configuration.
pub(crate) fn take_identity(config: &mut Value) -> Result<(Option<String>, Option<DType>)> {
    let Some(map) = config.as_object_mut() else { return Ok((None, None)) };
    let name = map.shift_remove("name").and_then(|n| n.as_str().map(str::to_owned));
    let dtype = match map.shift_remove("dtype") {
        None | Some(Value::Null) => None,
        Some(value) => Some(crate::DTypePolicy::from_json(&value)?.compute_dtype()),
    };
    Ok((name, dtype))
}

/// The error for an argument out of its range.
pub(crate) fn out_of_range(metric: &dyn Metric, what: String, fix: &str) -> Error {
    Error::argument(metric.name(), what, fix)
}
