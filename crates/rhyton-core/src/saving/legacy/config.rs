//! Configurations in the legacy form, `{"class_name": …, "config": {…}}`, as objects of Keras 3 and back.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{keras2, object};
use crate::{layers, ops};

/// What `value` is in Keras 3: objects have modules and registered names, calls have `args` and `kwargs`, and arguments that
/// Keras 2 alone had are gone. What is in that form already stays as it is, and so does what is not known: reading it as a
/// layer gives the error.
pub(in crate::saving) fn modern(value: &Value) -> Value {
    // Only objects of the legacy form have no module; in others, what has none is not for us to change.
    Reader { legacy: value.get("module").is_none() }.value(value)
}

struct Reader {
    legacy: bool,
}

impl Reader {
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|v| self.value(v)).collect(),
            Value::Object(object) => match (object.get("class_name").and_then(Value::as_str), object.get("config")) {
                (Some("__tuple__" | "TensorShape"), None) => object.get("items").map_or(Value::Null, |v| self.value(v)),
                (Some(class), Some(_)) if class.starts_with("__") => value.clone(),
                (Some(class), Some(config)) => self.object(object, class, config),
                _ => Value::Object(object.iter().map(|(k, v)| (k.clone(), self.value(v))).collect()),
            },
            plain => plain.clone(),
        }
    }

    fn object(&self, given: &Map<String, Value>, class: &str, config: &Value) -> Value {
        let mut config = match config {
            // The oldest form of a stack is the bare list of its layers.
            Value::Array(layers) if class == "Sequential" => json!({"layers": self.value(&layers.clone().into())}),
            config => self.value(config),
        };
        let mut made = given.clone();
        let registered = given.get("registered_name").and_then(Value::as_str).unwrap_or(class);
        let has_module = given.contains_key("module");
        if let Value::Object(config) = &mut config
            && !registered.contains('>')
            && (has_module || self.legacy)
        {
            keras2::mend(class, config);
            match class {
                "Sequential" => name_the_input(config),
                "Functional" | "Model" => calls_of_layers(config),
                _ => {}
            }
        }
        if !has_module && self.legacy {
            let registered = if class.contains('>') { Value::from(class) } else { Value::Null };
            let module = config.as_object().map_or(Value::Null, |config| module(class, config));
            made.insert("module".into(), module);
            made.insert("class_name".into(), class.rsplit('>').next().unwrap_or(class).into());
            made.insert("registered_name".into(), registered);
        }
        made.insert("config".into(), config);
        Value::Object(made)
    }
}

/// The module that tells an operation from a layer of the same name: every layer but the input has `trainable`.
fn module(class: &str, config: &Map<String, Value>) -> Value {
    let is_layer = class == "InputLayer" || config.contains_key("trainable") || config.contains_key("layers");
    let is_operation = ops::classes().any(|c| c.name == class);
    let known = layers::classes().any(|c| c.name == class);
    match is_operation && (!known || !is_layer && config.keys().all(|k| k == "name")) {
        true => "keras.src.ops".into(),
        false => Value::Null,
    }
}

/// A stack whose first layer says for which inputs it is has no input layer of its own.
fn name_the_input(config: &mut Map<String, Value>) {
    let Some(Value::Array(layers)) = config.get_mut("layers") else { return };
    let (mut shape, mut name) = (None, String::from("input"));
    for (i, layer) in layers.iter_mut().enumerate() {
        let Some(Value::Object(own)) = layer.get_mut("config") else { continue };
        let found = own.shift_remove(keras2::INPUT_SHAPE);
        if i == 0 {
            name = own.get("name").and_then(Value::as_str).map_or(name, |name| format!("{name}_input"));
            shape = found;
        }
    }
    if let Some(shape) = shape {
        let mut input = object("InputLayer", json!({"batch_shape": shape, "dtype": "float32", "name": name}));
        input.insert("module".into(), "keras.layers".into());
        input.insert("registered_name".into(), Value::Null);
        layers.insert(0, Value::Object(input));
    }
}

/// Brings the calls of the layers of a graph, `[[[layer, call, output, arguments], …], …]`, into the form of Keras 3.
fn calls_of_layers(config: &mut Map<String, Value>) {
    let Some(Value::Array(layers)) = config.get("layers") else { return };
    let first_calls = first_calls(config, layers);
    let is_old = |node: &Value| node.is_array() || node.is_object() && node.get("args").is_none();
    let convert = |layer: &Value| {
        let mut layer = layer.clone();
        if let Some(Value::Object(own)) = layer.get_mut("config") {
            own.shift_remove(keras2::INPUT_SHAPE);
        }
        if let Some(Value::Array(nodes)) = layer.get_mut("inbound_nodes") {
            for node in nodes.iter_mut().filter(|n| is_old(n)) {
                *node = modern_call(node, &first_calls);
            }
        }
        layer
    };
    let layers: Vec<Value> = layers.iter().map(convert).collect();
    config.insert("layers".into(), layers.into());
}

/// For each layer the number that its first call has: Keras 2 counts the making of a nested model as call 0 of it.
fn first_calls(config: &Map<String, Value>, layers: &[Value]) -> HashMap<String, u64> {
    let mut first = HashMap::new();
    let is_model = |layer: &&Value| matches!(layer["class_name"].as_str(), Some("Functional" | "Model" | "Sequential"));
    for name in layers.iter().filter(is_model).filter_map(|l| l["name"].as_str()) {
        first.insert(name.to_owned(), u64::MAX);
    }
    let mut note = |reference: &Value| {
        if let (Some(name), Some(call)) = (reference[0].as_str(), reference[1].as_u64())
            && let Some(least) = first.get_mut(name)
        {
            *least = call.min(*least);
        }
    };
    let calls = layers.iter().filter_map(|l| l["inbound_nodes"].as_array()).flatten();
    calls.filter_map(Value::as_array).flatten().for_each(&mut note);
    config.get("output_layers").and_then(Value::as_array).into_iter().flatten().for_each(&mut note);
    first.retain(|_, least| *least == 1);
    first
}

/// A call: the arguments of its first input, the other inputs, and the keyword arguments, which follow the last input.
fn modern_call(node: &Value, first_calls: &HashMap<String, u64>) -> Value {
    let symbol = |reference: &Value| {
        let name = reference[0].as_str().unwrap_or_default();
        let call = reference[1].as_u64().unwrap_or(0);
        let call = call - first_calls.get(name).copied().unwrap_or(0).min(call);
        json!({
            "class_name": "__keras_tensor__",
            "config": {"keras_history": [name, call, reference.get(2).cloned().unwrap_or(0.into())]},
        })
    };
    let is_symbol = |value: &Value| {
        value.as_array().is_some_and(|v| v.len() == 3 && v[0].is_string() && v[1].is_u64() && v[2].is_u64())
    };
    let argument = |value: &Value| if is_symbol(value) { symbol(value) } else { value.clone() };
    let kwargs = |input: &Value| -> Map<String, Value> {
        let given = input.get(3).and_then(Value::as_object);
        given.into_iter().flatten().map(|(k, v)| (k.clone(), argument(v))).collect()
    };
    match node {
        Value::Object(inputs) => {
            let named: Map<String, Value> = inputs.iter().map(|(k, input)| (k.clone(), symbol(input))).collect();
            json!({"args": [named], "kwargs": inputs.values().next_back().map(kwargs).unwrap_or_default()})
        }
        _ => {
            let inputs = node.as_array().cloned().unwrap_or_default();
            let symbols: Vec<Value> = inputs.iter().map(symbol).collect();
            let first = if symbols.len() == 1 { symbols[0].clone() } else { Value::Array(symbols) };
            json!({"args": [first], "kwargs": inputs.last().map(kwargs).unwrap_or_default()})
        }
    }
}

/// The compilation that a `training_config` describes.
pub(super) fn modern_training(training: &Value) -> Value {
    let mut made = training.as_object().cloned().unwrap_or_default();
    let optimizer = made.shift_remove("optimizer_config").map_or(Value::Null, |o| modern(&keras2::optimizer(&o)));
    made.shift_remove("sample_weight_mode");
    for part in ["loss", "metrics", "weighted_metrics"] {
        if let Some(value) = made.get_mut(part) {
            let given = if part == "loss" { value.clone() } else { metrics_of_names(value) };
            *value = modern(&keras2::losses_and_metrics(&given));
        }
    }
    let mut compilation = Map::from_iter([("optimizer".to_owned(), optimizer)]);
    compilation.extend(made);
    Value::Object(compilation)
}

/// Metrics that were given by name. Keras makes instances of them when it reads this format, which have the names of their
/// classes (`mean_absolute_error` for `"mae"`); only those that the shapes choose stay names.
fn metrics_of_names(value: &Value) -> Value {
    let by_shape = ["accuracy", "acc", "crossentropy", "ce"];
    match value {
        Value::String(name) if !by_shape.contains(&name.as_str()) => {
            let known = |class: &str| class == name || crate::naming::snake_case(class) == *name;
            match crate::metrics::metric_classes().iter().find(|c| known(c.name)) {
                Some(class) => Value::Object(object(class.name, json!({}))),
                None => value.clone(),
            }
        }
        Value::Array(items) => items.iter().map(metrics_of_names).collect(),
        Value::Object(items) if !items.contains_key("class_name") => {
            Value::Object(items.iter().map(|(k, v)| (k.clone(), metrics_of_names(v))).collect())
        }
        other => other.clone(),
    }
}

/// A layer or model in the legacy form: without modules, and without what only `.keras` files hold.
pub(super) fn legacy(value: &Value) -> Value {
    let (class, registered) = (value["class_name"].as_str().unwrap_or_default(), value["registered_name"].as_str());
    // A user's class is known by the name that it is registered under, one of Keras by its own.
    let class_name = registered.filter(|name| name.contains('>')).unwrap_or(class);
    let mut config = value["config"].clone();
    if matches!(class, "Functional" | "Sequential")
        && let Some(Value::Array(layers)) = config.get_mut("layers")
    {
        layers.iter_mut().for_each(|layer| *layer = legacy(layer));
    }
    let mut made = object(class_name, config);
    for key in ["name", "inbound_nodes"] {
        if let Some(part) = value.get(key) {
            made.insert(key.to_owned(), part.clone());
        }
    }
    Value::Object(made)
}

/// A compilation in the legacy form.
pub(super) fn legacy_training(compilation: &Value) -> Value {
    let mut training = compilation.as_object().cloned().unwrap_or_default();
    let optimizer = training.shift_remove("optimizer").unwrap_or_default();
    for part in ["loss", "metrics", "weighted_metrics"] {
        if let Some(value) = training.get_mut(part) {
            *value = legacy_leaves(value);
        }
    }
    training.insert("optimizer_config".into(), legacy(&optimizer));
    Value::Object(training)
}

/// Losses and metrics: functions become their names, objects lose their modules.
fn legacy_leaves(value: &Value) -> Value {
    if let Some(name) = crate::saving::function_name(value) {
        return name.into();
    }
    match value {
        Value::Array(items) => items.iter().map(legacy_leaves).collect(),
        Value::Object(items) if items.contains_key("class_name") => legacy(value),
        Value::Object(items) => Value::Object(items.iter().map(|(k, v)| (k.clone(), legacy_leaves(v))).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_legacy_form_says_survives_both_ways() {
        let layer = json!({
            "module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "trainable": true, "units": 2},
            "registered_name": null, "build_config": {"input_shape": [null, 3]},
        });
        let stack = json!({
            "module": "keras", "class_name": "Sequential", "registered_name": null,
            "config": {"name": "s", "trainable": true, "layers": [layer]},
        });
        let written = legacy(&stack);
        assert_eq!(written["config"]["layers"][0]["config"], layer["config"]);
        assert!(written.get("module").is_none() && written["config"]["layers"][0].get("build_config").is_none());
        let read = modern(&written);
        assert_eq!(read["config"]["layers"][0]["class_name"], "Dense");
        assert_eq!(read["config"]["layers"][0]["config"], layer["config"]);
    }

    #[test]
    fn the_first_layer_of_a_stack_may_say_for_which_inputs_it_is() {
        let first = json!({"class_name": "Dense", "config": {
            "name": "d", "trainable": true, "units": 2, "batch_input_shape": [null, 3],
        }});
        // The oldest form of a stack.
        let read = modern(&json!({"class_name": "Sequential", "config": [first]}));
        let model = crate::saving::model_from_json(&read).unwrap();
        assert_eq!(model.input_names(), ["d_input"]);
        assert_eq!(crate::layers::Layer::count_params(&model), 8);
    }

    #[test]
    fn calls_of_keras_2_become_calls_of_keras_3() {
        let config = json!({"class_name": "Functional", "config": {
            "name": "m",
            "layers": [
                {"class_name": "InputLayer", "name": "x", "config": {"batch_input_shape": [null, 2]}, "inbound_nodes": []},
                {"class_name": "Functional", "name": "inner", "config": {"layers": []}, "inbound_nodes": [[["x", 0, 0, {}]]]},
                {"class_name": "Add", "name": "add", "config": {"name": "add", "trainable": true},
                 "inbound_nodes": [[["x", 0, 0, {}], ["inner", 1, 0, {"scale": ["x", 0, 0], "training": false}]]]},
            ],
            "input_layers": [["x", 0, 0]], "output_layers": [["add", 0, 0]],
        }});
        let read = modern(&config);
        let layers = &read["config"]["layers"];
        assert_eq!(layers[0]["config"], json!({"batch_shape": [null, 2]}));
        let node = &layers[2]["inbound_nodes"][0];
        assert_eq!(node["args"][0][0]["config"]["keras_history"], json!(["x", 0, 0]));
        assert_eq!(node["args"][0][1]["config"]["keras_history"], json!(["inner", 0, 0]));
        assert_eq!(node["kwargs"]["scale"]["config"]["keras_history"], json!(["x", 0, 0]));
        assert_eq!(node["kwargs"]["training"], json!(false));
    }

    #[test]
    fn operations_are_told_from_layers_of_their_name() {
        let module =
            |class: &str, config: Value| modern(&json!({"class_name": class, "config": config}))["module"].clone();
        assert_eq!(module("Multiply", json!({"name": "multiply"})), "keras.src.ops");
        assert_eq!(module("Multiply", json!({"name": "multiply", "trainable": true})), Value::Null);
        assert_eq!(module("Relu", json!({"name": "relu"})), "keras.src.ops");
        assert_eq!(module("Dense", json!({"units": 2})), Value::Null);
    }
}
