//! Comparison of applications with what real Keras made of the same arguments; see `fixtures/make.py`.

use std::path::Path;

use rhyton_core::activations::Activation;
use rhyton_core::layers::{Input, Layer};
use rhyton_core::model::Model;
use rhyton_core::{Array, DType, Result, Tensor};
use serde_json::{Value, json};

use crate::{Arguments, InputShape, Pooling, Weights};

/// One application with arguments, and what Keras made of it.
pub(crate) struct Case(Value);

/// Checks every case of `fixtures/<family>.json`: the configuration, the weights, and the outputs where they are recorded.
pub(crate) fn check_application(family: &str, network: impl Fn(&Case) -> Result<Model>) {
    for case in recorded(family)["cases"].as_array().unwrap().iter().cloned().map(Case) {
        rhyton_core::naming::reset_names();
        let what = format!("{} {}", case.application(), case.0["arguments"]);
        let model = network(&case).unwrap_or_else(|e| panic!("{what}: {e}"));
        case.check_layers(&what, &model);
        case.check_outputs(&what, &model);
    }
}

/// A file of `fixtures`.
pub(crate) fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Case {
    pub(crate) fn application(&self) -> &str {
        self.0["application"].as_str().unwrap()
    }

    /// An argument that only this application takes.
    pub(crate) fn own(&self, name: &str) -> Option<&Value> {
        self.0["arguments"].get(name)
    }

    pub(crate) fn arguments(&self) -> Arguments {
        let mut a = Arguments { weights: Weights::None, ..Arguments::default() };
        for (name, value) in self.0["arguments"].as_object().unwrap() {
            match name.as_str() {
                "include_top" => a.include_top = value.as_bool().unwrap(),
                "weights" => a.weights = Weights::from(value.as_str()),
                "input_shape" => a.input_shape = shape(value),
                "pooling" => a.pooling = Some(if value == "avg" { Pooling::Avg } else { Pooling::Max }),
                "classes" => a.classes = value.as_u64().unwrap() as usize,
                "classifier_activation" => {
                    a.classifier_activation = value.as_str().map(|name| name.parse::<Activation>().unwrap());
                }
                "preprocessed" => {
                    let input = Input::open(shape(value).0.unwrap());
                    a.input_tensor = Some(crate::mobilenet_v2::preprocess_input(&input.symbol()));
                }
                "name" => a.name = value.as_str().map(str::to_owned),
                own => assert_eq!(own, "alpha", "an argument that the test does not know"),
            }
        }
        a
    }

    fn check_layers(&self, what: &str, model: &Model) {
        let config = model.to_json();
        let layers = config["config"]["layers"].as_array().unwrap();
        let lines: Vec<String> = layers.iter().map(line).collect();
        for (i, expected) in self.0["layers"].as_array().into_iter().flatten().enumerate() {
            let wanted = expected.as_str().unwrap();
            let found = lines.get(i).map_or("none", String::as_str);
            assert_eq!(found, wanted, "{what}: layer {i}: {}", layers.get(i).unwrap_or(&Value::Null));
        }
        assert_eq!(lines.len() as u64, self.0["layer_count"].as_u64().unwrap(), "{what}: number of layers");
        let weights: Vec<String> =
            model.weights().iter().map(|w| format!("{} {:?} {}", w.path(), w.shape(), w.made_trainable())).collect();
        let model_lines = [lines.join("\n"), weights.join("\n")];
        for (key, lines) in ["layers_digest", "weights_digest"].iter().zip(model_lines) {
            assert_eq!(format!("{:016x}", fnv(&lines)), self.0[*key], "{what}: {key}");
        }
        assert_eq!(model.count_params() as u64, self.0["params"].as_u64().unwrap(), "{what}: parameters");
        assert_eq!(config["config"]["name"], self.0["name"], "{what}: name");
        let ends = json!([config["config"]["input_layers"], config["config"]["output_layers"]]);
        assert_eq!(ends, self.0["ends"], "{what}: inputs and outputs");
    }

    fn check_outputs(&self, what: &str, model: &Model) {
        let Some(outputs) = self.0.get("outputs") else { return };
        seed(model);
        let x = images(self.0["images"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect());
        let y = model.predict(x).unwrap_or_else(|e| panic!("{what}: {e}")).remove(0);
        let expected: Vec<f64> = outputs.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_outputs(what, &y.to_f64_vec(), &expected);
    }
}

/// The differences of sums in another order, through a hundred layers, in the scale of the outputs.
const TOLERANCE: f64 = 1e-5;

#[track_caller]
pub(crate) fn assert_outputs(what: &str, actual: &[f64], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len(), "{what}: number of outputs");
    let scale = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (a - e).abs() <= TOLERANCE * scale,
            "{what}: output {i} is {a} where {e} was expected, of up to {scale}"
        );
    }
}

fn shape(value: &Value) -> InputShape {
    let sizes: Vec<Option<usize>> = value.as_array().unwrap().iter().map(|d| d.as_u64().map(|n| n as usize)).collect();
    <[Option<usize>; 3]>::try_from(sizes).unwrap().into()
}

/// A layer in a line: name, class, and a digest of its configuration and calls.
pub(crate) fn line(layer: &Value) -> String {
    let name = |key: &str| layer[key].as_str().unwrap_or_default().to_owned();
    format!("{} {} {:016x}", name("name"), name("class_name"), fnv(&canonical(layer)))
}

/// JSON without spaces, floating-point numbers by their bits, and without arguments of calls that are at their defaults, of
/// which Keras writes some (`mask` and, for some layers, `training`) and leaves out others.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(items) => {
            let text = |(key, value): (&String, &Value)| match value {
                Value::Object(given) if key == "kwargs" => {
                    let kept = given.iter().filter(|(_, v)| !v.is_null() && **v != Value::Bool(false));
                    let kept = kept.map(|(k, v)| (k.clone(), v.clone())).collect();
                    format!("\"{key}\":{}", canonical(&Value::Object(kept)))
                }
                _ => format!("\"{key}\":{}", canonical(value)),
            };
            format!("{{{}}}", items.iter().map(text).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(number) if number.is_f64() => format!("{:016x}", number.as_f64().unwrap().to_bits()),
        other => other.to_string(),
    }
}

/// FNV-1a of 64 bits.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `count` numbers from 0 to 1 that hang on `seed` alone: SplitMix64 (Steele et al., 2014) started at the seed's digest.
fn uniform(seed: &str, count: usize) -> Vec<f64> {
    let start = fnv(seed);
    let number = |i: u64| {
        let mut z = start.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count as u64).map(number).collect()
}

/// Random images with pixels from 0 to 255.
pub(crate) fn images(shape: Vec<usize>) -> Array {
    let values: Vec<f64> = uniform("images", shape.iter().product()).into_iter().map(|u| 255.0 * u).collect();
    Array::new(shape, values).cast(DType::F32)
}

/// Sets every weight by its path, in a range that keeps signals at their scale.
pub(crate) fn seed(model: &Model) {
    for weight in model.weights() {
        let shape = weight.shape().to_vec();
        let name = weight.path().rsplit('/').next().unwrap_or_default().to_owned();
        let (low, high) = match name.as_str() {
            "gamma" | "moving_variance" | "variance" => (0.5, 1.5),
            "beta" | "moving_mean" | "bias" => (-0.2, 0.2),
            "mean" => (0.0, 1.0),
            "count" => continue,
            _ => {
                // Kernels are (…, inputs, outputs), those of depthwise convolutions (…, channels, 1).
                let depthwise = name == "depthwise_kernel" || (shape.len() == 4 && shape[3] == 1);
                let inputs: usize =
                    if depthwise { shape[..2].iter().product() } else { shape[..shape.len() - 1].iter().product() };
                let bound = (6.0 / inputs as f64).sqrt();
                (-bound, bound)
            }
        };
        let values = uniform(weight.path(), weight.count()).into_iter().map(|u| low + (high - low) * u);
        let array = Array::new(shape, values.collect::<Vec<f64>>()).cast(DType::F32);
        weight.assign(Tensor::from(array)).unwrap();
    }
}
