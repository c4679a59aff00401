//! Models as Keras's configurations, both ways.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use rhyton_ir::Array;
use serde_json::{Map, Value, json};

use super::{FunctionalGraph, Model, Sequential, foreign, is_input};
use crate::error::{Error, Result};
use crate::layers::{self, Context, Layer, LayerObject, LayerRef, call_layer, shape_to_json};
use crate::naming::snake_case;
use crate::nest::{Args, Nest};
use crate::ops::{self, OperationLayer};
use crate::saving::{Parts, custom, unknown, unknown_class};
use crate::tensor::Tensor;
use crate::text;

/// The full form of a layer, operation or model.
pub fn serialize_layer(layer: &dyn Layer) -> Value {
    let mut object = Map::new();
    let registered = layer.registered_name();
    let custom = registered.as_ref().is_some_and(|name| name.contains('>'));
    object.insert("module".into(), if custom { Value::Null } else { layer.module().into() });
    object.insert("class_name".into(), layer.class_name().into());
    object.insert("config".into(), layer.config());
    object.insert("registered_name".into(), registered.into());
    // Operations have nothing to build, and Keras's classes of them do not take it.
    if let Some(build) = layer.build_config().filter(|_| !layer.is_operation()) {
        object.insert("build_config".into(), build);
    }
    Value::Object(object)
}

/// The layer, operation or model that `value` describes, built if it was when it was saved.
///
/// # Errors
/// If its class is not known, or its configuration is not what the class takes.
pub fn deserialize_layer(value: &Value) -> Result<LayerRef> {
    let parts = Parts::of(value, "layer")?;
    let name = parts.config["name"].as_str().unwrap_or(&parts.class_name).to_owned();
    let layer = instance(&parts).map_err(|e| e.within(&name))?;
    if let Some(build) = parts.rest.get("build_config").filter(|b| !b.is_null())
        && !layer.base().built()
    {
        layer.build_from_config(build)?;
    }
    Ok(layer)
}

fn instance(parts: &Parts) -> Result<LayerRef> {
    let class = parts.class_name.as_str();
    let config = parts.config.clone();
    if let Some(make) = custom::find::<dyn Layer>(parts)? {
        return make(config);
    }
    if parts.module.starts_with("keras.src.ops") {
        let found = ops::classes().find(|c| c.name == class);
        let found = found.ok_or_else(|| unknown("operation", class, ops::classes().map(|c| c.name)))?;
        return operation(found, config);
    }
    if let Some(error) = foreign::refused(class) {
        return Err(error);
    }
    match class {
        "Functional" | "Model" if config.get("input_layers").is_some() => functional_from_config(config),
        "Sequential" => sequential_from_config(config),
        _ => {
            let found = layers::classes().find(|c| c.name == class);
            let found = found
                .ok_or_else(|| unknown_class::<dyn Layer>("layer class", class, layers::classes().map(|c| c.name)))?;
            (found.from_config)(config)
        }
    }
}

fn operation(class: &ops::OperationClass, config: Value) -> Result<LayerRef> {
    let mut config = config;
    let name = config.as_object_mut().and_then(|c| c.remove("name"));
    let layer = OperationLayer::new((class.from_config)(config)?);
    if let Some(name) = name.as_ref().and_then(Value::as_str) {
        layer.base().set_name(name);
    }
    Ok(Arc::new(layer))
}

/// Names as Keras gives them to layers in a list when it saves weights: `layers/dense`, `layers/dense_1`, …
pub(crate) fn container_names(container: &str, layers: Vec<LayerRef>) -> Vec<(String, LayerRef)> {
    let mut used: HashMap<String, usize> = HashMap::new();
    let named = layers.into_iter().map(|layer| {
        let name = snake_case(layer.python_class());
        let count = used.entry(name.clone()).and_modify(|n| *n += 1).or_insert(0);
        let unique = if *count == 0 { name } else { format!("{name}_{count}") };
        (format!("{container}/{unique}"), layer)
    });
    named.collect()
}

pub(super) fn model_config(model: &Model) -> Value {
    if let Some(layer) = model.body_layer() {
        return layer.config();
    }
    let mut config = Map::new();
    config.insert("name".into(), Layer::name(model).into());
    config.insert("trainable".into(), model.base().trainable().into());
    if let Some(stack) = model.stack() {
        config.insert("dtype".into(), model.base().policy().to_json());
        config.insert("layers".into(), stack.layers().iter().map(|l| serialize_layer(l.as_ref())).collect());
        if let Some(input) = model.inputs().first() {
            config.insert("build_input_shape".into(), shape_to_json(input.shape()));
        }
    } else if let Some(graph) = model.graph() {
        graph_config(&graph, &mut config);
    }
    Value::Object(config)
}

pub(super) fn model_build_config(model: &Model) -> Option<Value> {
    if model.is_sequential() {
        return model.inputs().first().map(|input| json!({"input_shape": shape_to_json(input.shape())}));
    }
    match model.body_layer() {
        Some(layer) => layer.build_config(),
        None => Some(json!({"input_shape": null})),
    }
}

/// Adds `layers`, `input_layers` and `output_layers`.
fn graph_config(graph: &FunctionalGraph, config: &mut Map<String, Value>) {
    let indices = NodeIndices::of(graph);
    let mut layers = Vec::new();
    for layer in graph.layers() {
        let Value::Object(mut object) = serialize_layer(layer.as_ref()) else { continue };
        object.insert("name".into(), layer.name().into());
        let mut calls: Vec<_> = graph.nodes().iter().filter(|n| n.layer.base().is(layer.base())).collect();
        calls.sort_by_key(|n| n.index);
        let nodes: Vec<Value> = calls
            .iter()
            .filter(|n| !is_input(n))
            .map(|n| {
                let args: Vec<Value> = n.arguments.positional.iter().map(|a| indices.nest(a)).collect();
                let kwargs: Map<String, Value> =
                    n.arguments.named.iter().map(|(k, a)| (k.clone(), indices.nest(a))).collect();
                json!({"args": args, "kwargs": kwargs})
            })
            .collect();
        object.insert("inbound_nodes".into(), nodes.into());
        layers.push(Value::Object(object));
    }
    config.insert("layers".into(), layers.into());
    config.insert("input_layers".into(), indices.structure(graph.inputs()));
    config.insert("output_layers".into(), indices.structure(graph.outputs()));
}

/// Which call of its layer each node is, counting only those of the graph.
struct NodeIndices(HashMap<usize, usize>);

impl NodeIndices {
    fn of(graph: &FunctionalGraph) -> NodeIndices {
        let mut by_layer: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        for node in graph.nodes() {
            by_layer.entry(node.layer.base().key()).or_default().push((node.index, Arc::as_ptr(node) as usize));
        }
        let mut indices = HashMap::new();
        for mut calls in by_layer.into_values() {
            calls.sort_unstable();
            indices.extend(calls.into_iter().enumerate().map(|(i, (_, node))| (node, i)));
        }
        NodeIndices(indices)
    }

    fn history(&self, symbol: &Tensor, models_count_from_1: bool) -> Value {
        let Some(history) = symbol.history() else { return Value::Null };
        let index = self.0.get(&(Arc::as_ptr(&history.node) as usize)).copied().unwrap_or(0);
        // Keras reserves node 0 of a functional model for the model itself, here but not in keras_history.
        let first = usize::from(models_count_from_1 && history.node.layer.class_name() == "Functional");
        json!([history.layer_name(), index + first, history.output])
    }

    /// An argument of a call.
    fn nest(&self, nest: &Nest) -> Value {
        match nest {
            Nest::Tensor(t) if t.is_symbol() => json!({
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": shape_to_json(t.shape()),
                    "dtype": text::dtype_name(t.ty()),
                    "keras_history": self.history(t, false),
                },
            }),
            Nest::Tensor(t) => constant_to_json(t),
            Nest::List(items) => items.iter().map(|n| self.nest(n)).collect(),
            Nest::Dict(items) => Value::Object(items.iter().map(|(k, n)| (k.clone(), self.nest(n))).collect()),
            Nest::Plain(value) => value.clone(),
        }
    }

    /// The inputs or outputs of a model.
    fn structure(&self, nest: &Nest) -> Value {
        match nest {
            Nest::Tensor(t) => self.history(t, true),
            Nest::List(items) => items.iter().map(|n| self.structure(n)).collect(),
            Nest::Dict(items) => Value::Object(items.iter().map(|(k, n)| (k.clone(), self.structure(n))).collect()),
            Nest::Plain(value) => value.clone(),
        }
    }
}

/// A constant in a call, as Keras writes tensors.
fn constant_to_json(tensor: &Tensor) -> Value {
    fn nested(values: &[Value], shape: &[usize]) -> Value {
        match shape {
            [] => values.first().cloned().unwrap_or(Value::Null),
            [_] => values.to_vec().into(),
            [n, rest @ ..] => {
                let each = values.len() / (*n).max(1);
                (0..*n).map(|i| nested(&values[i * each..(i + 1) * each], rest)).collect()
            }
        }
    }
    let Ok(array) = tensor.eval() else { return Value::Null };
    let value = |i: usize| {
        if array.dtype().is_float() {
            Value::from(array.data().get_f64(i))
        } else if array.dtype() == rhyton_ir::DType::Bool {
            Value::from(array.data().get_f64(i) != 0.0)
        } else {
            Value::from(array.data().get_f64(i) as i64)
        }
    };
    let values: Vec<Value> = (0..array.len()).map(value).collect();
    json!({
        "class_name": "__tensor__",
        "config": {"value": nested(&values, array.shape()), "dtype": array.dtype().name()},
    })
}

fn sequential_from_config(config: Value) -> Result<LayerRef> {
    let model = Sequential::new();
    if let Some(name) = config["name"].as_str() {
        model.base().set_name(name);
    }
    // Keras leaves "trainable" and "dtype" of a stack out when it reads one: the layers have their own.
    let layers = config["layers"].as_array().ok_or_else(|| missing("Sequential", "layers"))?;
    let model = layers.iter().try_fold(model, |model, layer| Ok::<_, Error>(model.add(deserialize_layer(layer)?)))?;
    if let Some(stack) = model.stack() {
        stack.check()?;
    }
    if let Some(shape) = config.get("build_input_shape").filter(|s| !s.is_null())
        && model.graph().is_none()
        && let Ok(shapes) = layers::InputShapes::from_json(&json!({"input_shape": shape}))
    {
        layers::build_layer(&model, &shapes)?;
    }
    Ok(Arc::new(model))
}

fn missing(what: &str, key: &str) -> Error {
    Error::content(what, format!("the configuration has no {key:?}"), "the file is damaged or not Keras's")
}

fn functional_from_config(config: Value) -> Result<LayerRef> {
    let entries = config["layers"].as_array().ok_or_else(|| missing("Functional", "layers"))?;
    let mut created: IndexMap<String, Created> = IndexMap::new();
    for entry in entries {
        let layer = deserialize_layer(entry)?;
        let name = entry["name"].as_str().unwrap_or(layer.name()).to_owned();
        let pending = entry["inbound_nodes"].as_array().cloned().unwrap_or_default();
        let calls = match layer.as_any().downcast_ref::<layers::InputLayer>() {
            Some(input) => vec![vec![input.symbol().check()?.clone()]],
            None => Vec::new(),
        };
        created.insert(name, Created { layer, pending: pending.into(), calls });
    }
    // Calls may be listed before what they need (shared layers): go round until all are made.
    loop {
        let mut progress = false;
        for k in 0..created.len() {
            while let Some(node) = created[k].pending.front().cloned() {
                let Some(args) = revive_args(&node, &created)? else { break };
                let outputs = call_layer(&created[k].layer.clone(), args, &mut Context::default())?;
                let entry = &mut created[k];
                entry.calls.push(outputs.tensors().into_iter().cloned().collect());
                entry.pending.pop_front();
                progress = true;
            }
        }
        if !progress {
            break;
        }
    }
    if let Some((name, _)) = created.iter().find(|(_, c)| !c.pending.is_empty()) {
        return Err(Error::content(
            "Functional",
            format!("the inputs of layer {name:?} are never computed"),
            "the graph in the configuration has a loop or lacks a layer",
        ));
    }
    let inputs = structure_of(&config["input_layers"], &created)?;
    let outputs = structure_of(&config["output_layers"], &created)?;
    let model = Model::new(inputs, outputs)?;
    if let Some(name) = config["name"].as_str() {
        model.base().set_name(name);
    }
    if let Some(trainable) = config["trainable"].as_bool() {
        model.base().set_own_trainable(trainable);
    }
    Ok(Arc::new(model))
}

/// A layer of a configuration, with the calls that have been made and those still to be.
struct Created {
    layer: LayerRef,
    pending: std::collections::VecDeque<Value>,
    calls: Vec<Vec<Tensor>>,
}

/// The arguments of a call; `None` if an operand has not been computed yet.
fn revive_args(node: &Value, created: &IndexMap<String, Created>) -> Result<Option<Args>> {
    let mut args = Args::default();
    for argument in node["args"].as_array().into_iter().flatten() {
        let Some(nest) = revive(argument, created)? else { return Ok(None) };
        args.positional.push(nest);
    }
    for (name, argument) in node["kwargs"].as_object().into_iter().flatten() {
        let Some(nest) = revive(argument, created)? else { return Ok(None) };
        args.named.insert(name.clone(), nest);
    }
    Ok(Some(args))
}

fn revive(value: &Value, created: &IndexMap<String, Created>) -> Result<Option<Nest>> {
    match value {
        Value::Object(object) => match object.get("class_name").and_then(Value::as_str) {
            Some("__keras_tensor__") => {
                let history = &value["config"]["keras_history"];
                Ok(find(history, created, false)?.map(Nest::Tensor))
            }
            Some("__tensor__" | "__numpy__") => constant_from_json(&value["config"]).map(|t| Some(Nest::Tensor(t))),
            Some(_) => Ok(Some(Nest::Plain(value.clone()))),
            None => {
                let mut items = IndexMap::new();
                for (key, item) in object {
                    let Some(nest) = revive(item, created)? else { return Ok(None) };
                    items.insert(key.clone(), nest);
                }
                Ok(Some(Nest::Dict(items)))
            }
        },
        Value::Array(items) => {
            // A list without tensors, such as a constant, stays as it is.
            if !value.to_string().contains("__keras_tensor__") {
                return Ok(Some(Nest::Plain(value.clone())));
            }
            let nests = items.iter().map(|i| revive(i, created)).collect::<Result<Option<Vec<Nest>>>>()?;
            Ok(nests.map(Nest::List))
        }
        plain => Ok(Some(Nest::Plain(plain.clone()))),
    }
}

/// The symbol that `[layer, call, output]` names; `None` if the call has not been made yet.
fn find(history: &Value, created: &IndexMap<String, Created>, models_count_from_1: bool) -> Result<Option<Tensor>> {
    let wrong = || {
        Error::content(
            "Functional",
            format!("{history} names no output of a layer"),
            "it must be [layer, call, output]",
        )
    };
    let name = history[0].as_str().ok_or_else(wrong)?;
    let mut call = history[1].as_u64().ok_or_else(wrong)? as usize;
    let output = history[2].as_u64().ok_or_else(wrong)? as usize;
    let Created { layer, calls, pending } = created.get(name).ok_or_else(wrong)?;
    if models_count_from_1 && layer.class_name() == "Functional" {
        call = call.checked_sub(1).ok_or_else(wrong)?;
    }
    match calls.get(call) {
        Some(outputs) => outputs.get(output).cloned().map(Some).ok_or_else(wrong),
        None if call < calls.len() + pending.len() => Ok(None),
        None => Err(wrong()),
    }
}

/// Inputs or outputs: one `[layer, call, output]`, or lists or dictionaries of such.
fn structure_of(value: &Value, created: &IndexMap<String, Created>) -> Result<Nest> {
    match value {
        Value::Array(items) if items.len() == 3 && items[0].is_string() => {
            let symbol = find(value, created, true)?;
            symbol.map(Nest::Tensor).ok_or_else(|| missing("Functional", "call that an output names"))
        }
        Value::Array(items) => Ok(Nest::List(items.iter().map(|i| structure_of(i, created)).collect::<Result<_>>()?)),
        Value::Object(items) => {
            let items = items.iter().map(|(k, i)| Ok((k.clone(), structure_of(i, created)?)));
            Ok(Nest::Dict(items.collect::<Result<_>>()?))
        }
        other => Err(Error::content("Functional", format!("{other} names no tensor"), "the file is damaged")),
    }
}

fn constant_from_json(config: &Value) -> Result<Tensor> {
    let operand = ops::Operand::from_nest(&Nest::Plain(config["value"].clone()))?;
    let dtype = config["dtype"].as_str().and_then(|d| d.parse().ok()).unwrap_or(rhyton_ir::DType::F32);
    let array: Array = operand.to_tensor(dtype).eval()?;
    Ok(array.into())
}
