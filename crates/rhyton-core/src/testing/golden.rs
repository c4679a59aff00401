//! Golden files: what real Keras did.

use std::path::Path;

use rhyton_ir::{Array, DType};
use serde_json::Value;

use crate::nest::{Args, Nest};
use crate::tensor::Tensor;

/// One call of a layer and what it gave; see `fixtures/golden.py`.
#[derive(Clone, Debug)]
pub(crate) struct Case(Value);

/// A weight as recorded.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    pub(crate) path: String,
    pub(crate) trainable: bool,
    pub(crate) value: Array,
}

/// The cases of `fixtures/layers/<name>.json`.
pub(crate) fn cases(name: &str) -> Vec<Case> {
    recorded(&format!("layers/{name}")).into_iter().map(Case).collect()
}

/// The cases of `fixtures/<name>.json` as they are written.
pub(crate) fn recorded(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let cases = file["cases"].as_array().cloned().unwrap_or_default();
    assert!(!cases.is_empty(), "{} has no cases", path.display());
    cases
}

impl Case {
    /// The serialized layer.
    pub(crate) fn layer(&self) -> &Value {
        &self.0["layer"]
    }

    /// The arguments of the call: floating-point tensors in `float`, or as recorded.
    pub(crate) fn args(&self, float: Option<DType>) -> Args {
        let mut masks = arrays(&self.0["masks"]).into_iter();
        let mut convert = |value: &Value| nest(value, float, &mut masks);
        let positional = self.0["args"].as_array().into_iter().flatten().map(&mut convert).collect();
        let named = self.0["kwargs"].as_object().into_iter().flatten();
        let named = named.map(|(k, v)| (k.clone(), convert(v))).collect();
        Args { positional, named }
    }

    /// The weights before the call.
    pub(crate) fn weights(&self) -> Vec<Weight> {
        let weight = |v: &Value| Weight {
            path: v["path"].as_str().unwrap_or_default().to_owned(),
            trainable: v["trainable"].as_bool().unwrap_or_default(),
            value: array(v),
        };
        self.0["weights"].as_array().into_iter().flatten().map(weight).collect()
    }

    /// Arrays recorded under `key`; `None` where there was none.
    pub(crate) fn arrays(&self, key: &str) -> Option<Vec<Option<Array>>> {
        self.0.get(key).map(arrays)
    }

    /// What else was recorded under `key`; `null` if nothing.
    pub(crate) fn get(&self, key: &str) -> &Value {
        &self.0[key]
    }
}

fn arrays(value: &Value) -> Vec<Option<Array>> {
    value.as_array().into_iter().flatten().map(|v| (!v.is_null()).then(|| array(v))).collect()
}

/// A recorded array.
pub(crate) fn array(value: &Value) -> Array {
    let dtype = value["dtype"].as_str().unwrap();
    let shape: Vec<usize> = value["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    if dtype == crate::text::STRING {
        let texts = value["values"].as_array().unwrap().iter().map(|v| v.as_str().unwrap());
        return crate::text::encode_shaped(&shape, texts).unwrap();
    }
    let number = |v: &Value| match v {
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::String(text) => text.parse().unwrap(),
        number => number.as_f64().unwrap(),
    };
    let values: Vec<f64> = value["values"].as_array().unwrap().iter().map(number).collect();
    Array::new(shape, values).cast(dtype.parse().unwrap())
}

/// A recorded argument or result, without masks.
pub(crate) fn recorded_nest(value: &Value) -> Nest {
    nest(value, None, &mut std::iter::empty())
}

fn nest(value: &Value, float: Option<DType>, masks: &mut impl Iterator<Item = Option<Array>>) -> Nest {
    if let Some(items) = value.as_array() {
        return Nest::List(items.iter().map(|v| nest(v, float, masks)).collect());
    }
    if let Some(items) = value.get("dict").and_then(Value::as_object) {
        return Nest::Dict(items.iter().map(|(k, v)| (k.clone(), nest(v, float, masks))).collect());
    }
    if let Some(recorded) = value.get("array") {
        let array = array(recorded);
        let array = match float {
            Some(dtype) if array.dtype().is_float() => array.cast(dtype),
            _ => array,
        };
        let mask = masks.next().flatten().map(Tensor::from);
        return Nest::Tensor(Tensor::from(array).with_mask(mask));
    }
    Nest::Plain(value["plain"].clone())
}
