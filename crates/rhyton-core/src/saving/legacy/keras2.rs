//! What Keras 2 wrote and Keras 3 calls otherwise or has no more. Where a value asks for what is gone, it stays, and reading
//! the configuration refuses it by name.

use serde_json::{Map, Value};

use crate::saving::function_json;

/// The argument by which any layer may say for which inputs it is.
pub(super) const INPUT_SHAPE: &str = "batch_input_shape";

/// An argument that Keras 3 has no more: of which classes, its name, and the value at which it changes nothing.
type Gone = (&'static [&'static str], &'static str, Inert);

/// At which value an argument changes nothing.
enum Inert {
    /// At any: it only chose how to compute.
    Any,
    Null,
    False,
    One,
}

const RECURRENT: &[&str] = &["RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"];
const GATED: &[&str] = &["LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell"];
const TRANSPOSED: &[&str] = &["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"];
const DEPTHWISE: &[&str] = &["DepthwiseConv1D", "DepthwiseConv2D"];
const SEPARABLE: &[&str] = &["SeparableConv1D", "SeparableConv2D"];
const SPATIAL: &[&str] = &["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"];
const AUGMENTING: &[&str] = &[
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
];
const INITIALIZERS: &[&str] = &[
    "Zeros",
    "Ones",
    "Constant",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Orthogonal",
    "Identity",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
];

/// Found by comparing the configurations of all layers of `tf_keras` 2.21 with those of Keras 3.15.
const GONE: &[Gone] = &[
    (RECURRENT, "time_major", Inert::False),
    (RECURRENT, "input_length", Inert::Any),
    (GATED, "implementation", Inert::Any),
    (&["Embedding"], "input_length", Inert::Any),
    (TRANSPOSED, "groups", Inert::One),
    (DEPTHWISE, "groups", Inert::One),
    (SEPARABLE, "groups", Inert::One),
    // The two steps of a separable convolution have arguments of their own; these were those of its base class.
    (SEPARABLE, "kernel_initializer", Inert::Any),
    (SEPARABLE, "kernel_regularizer", Inert::Null),
    (SEPARABLE, "kernel_constraint", Inert::Null),
    (&["CategoryEncoding"], "sparse", Inert::False),
    (&["MultiHeadAttention"], "query_shape", Inert::Any),
    (&["MultiHeadAttention"], "key_shape", Inert::Any),
    (&["MultiHeadAttention"], "value_shape", Inert::Any),
    (&["MultiHeadAttention"], "softmax_robust_masking", Inert::False),
    (SPATIAL, "noise_shape", Inert::Null),
    (AUGMENTING, "rng_type", Inert::Any),
    (&["Identity"], "gain", Inert::One),
    (INITIALIZERS, "dtype", Inert::Any),
    (&["BatchNormalization"], "fused", Inert::Any),
    (&["BatchNormalization"], "virtual_batch_size", Inert::Null),
    (&["BatchNormalization"], "adjustment", Inert::Null),
];

impl Inert {
    fn is(&self, value: &Value) -> bool {
        match self {
            Inert::Any => true,
            Inert::Null => value.is_null(),
            Inert::False => value.is_null() || value == &Value::Bool(false),
            Inert::One => value.is_null() || value.as_f64() == Some(1.0),
        }
    }
}

/// Brings the arguments of a layer or of what is in it into the form of Keras 3.
pub(super) fn mend(class: &str, config: &mut Map<String, Value>) {
    for (classes, key, inert) in GONE {
        if classes.contains(&class) && config.get(*key).is_some_and(|value| inert.is(value)) {
            config.shift_remove(*key);
        }
    }
    if class == "InputLayer"
        && let Some(shape) = config.shift_remove(INPUT_SHAPE)
    {
        config.insert("batch_shape".into(), shape);
    }
    // A list of one axis is that axis, as it comes from JSON also a number with a fraction of zero.
    let axis = match config.get("axis") {
        Some(Value::Array(axes)) if axes.len() == 1 => axes[0].as_f64(),
        Some(axis @ Value::Number(_)) if axis.is_f64() => axis.as_f64(),
        _ => None,
    };
    if let Some(axis) = axis {
        config.insert("axis".into(), (axis as i64).into());
    }
    if class == "LeakyReLU"
        && let Some(slope) = config.shift_remove("alpha")
    {
        config.insert("negative_slope".into(), slope);
    }
    for key in ["mean", "variance", "negative_slope", "max_value", "threshold"] {
        // Arrays of NumPy: {"class_name": "__numpy__", …} or {"type": "ndarray", "value": …}.
        if let Some(value) = config.get(key).filter(|v| v["type"] == "ndarray").map(|v| v["value"].clone()) {
            config.insert(key.into(), value);
        }
    }
}

/// An optimizer, without what Keras 3 has no more.
pub(super) fn optimizer(object: &Value) -> Value {
    let mut made = object.clone();
    // Keras 2 registers its own optimizers as if they were a user's.
    if let Some(class) = object["class_name"].as_str().and_then(|c| c.strip_prefix("Custom>")) {
        let known = crate::optimizers::CLASSES.iter().any(|c| c.name == class);
        if known {
            made["class_name"] = class.into();
        }
    }
    if let Some(Value::Object(config)) = made.get_mut("config") {
        for key in ["jit_compile", "is_legacy_optimizer", "decay", "dynamic"] {
            config.shift_remove(key);
        }
        if let Some(rate) = config.shift_remove("lr") {
            config.insert("learning_rate".into(), rate);
        }
        if let Some(inner) = config.get("inner_optimizer").map(optimizer) {
            config.insert("inner_optimizer".into(), inner);
        }
    }
    made
}

/// Losses and metrics, however nested. Keras 2 writes functions as their names, and that of a class beside its arguments.
pub(super) fn losses_and_metrics(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(losses_and_metrics).collect(),
        Value::Object(object) if object.contains_key("class_name") => {
            let mut made = object.clone();
            let wraps = matches!(object["class_name"].as_str(), Some("MeanMetricWrapper" | "LossFunctionWrapper"));
            if let Some(Value::Object(config)) = made.get_mut("config") {
                if config.get("reduction").is_some_and(|r| r == "auto") {
                    config.insert("reduction".into(), "sum_over_batch_size".into());
                }
                match config.get("fn").and_then(Value::as_str).map(str::to_owned) {
                    Some(name) if wraps => {
                        config.insert("fn".into(), function_json(&name));
                    }
                    Some(_) => {
                        config.shift_remove("fn");
                    }
                    None => {}
                }
            }
            Value::Object(made)
        }
        Value::Object(items) => Value::Object(items.iter().map(|(k, v)| (k.clone(), losses_and_metrics(v))).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mended(class: &str, config: Value) -> Value {
        let mut config = config.as_object().cloned().unwrap();
        mend(class, &mut config);
        Value::Object(config)
    }

    #[test]
    fn arguments_that_changed_nothing_go_and_others_stay_to_be_refused() {
        let given = json!({"units": 2, "time_major": false, "implementation": 2});
        assert_eq!(mended("LSTM", given), json!({"units": 2}));
        assert_eq!(mended("LSTM", json!({"time_major": true})), json!({"time_major": true}));
        assert_eq!(mended("DepthwiseConv2D", json!({"groups": 1})), json!({}));
        assert_eq!(mended("DepthwiseConv2D", json!({"groups": 2})), json!({"groups": 2}));
        assert_eq!(mended("BatchNormalization", json!({"axis": [3]})), json!({"axis": 3}));
        assert_eq!(mended("LeakyReLU", json!({"alpha": 0.1})), json!({"negative_slope": 0.1}));
    }

    #[test]
    fn optimizers_and_losses_of_keras_2_are_those_of_keras_3() {
        let adam = json!({"class_name": "Custom>Adam", "config": {"jit_compile": true, "lr": 0.1}});
        assert_eq!(optimizer(&adam), json!({"class_name": "Adam", "config": {"learning_rate": 0.1}}));
        let own = json!({"class_name": "Custom>Mine", "config": {}});
        assert_eq!(optimizer(&own), own);
        let loss = json!([{"class_name": "Huber", "config": {"reduction": "auto", "fn": "huber", "delta": 2.0}}]);
        let expected = json!([{"class_name": "Huber", "config": {"reduction": "sum_over_batch_size", "delta": 2.0}}]);
        assert_eq!(losses_and_metrics(&loss), expected);
    }
}
