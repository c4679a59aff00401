//! Every operation against Keras: `fixtures/ops/*.json`, made by `fixtures/make_ops.py`.

use std::path::Path;
use std::sync::Arc;

use rhyton_ir::{Array, DType};
use serde_json::{Map, Value};

use super::Operation;
use crate::nest::{Args, Nest};
use crate::ops;
use crate::tensor::{Tensor, gradients};

/// What one case of a fixture file says.
struct Case<'a> {
    json: &'a Value,
    operation: Arc<dyn Operation>,
    tensors: Vec<Tensor>,
}

impl<'a> Case<'a> {
    fn of(json: &'a Value) -> Result<Case<'a>, String> {
        let name = json["class_name"].as_str().unwrap();
        let class = ops::classes().find(|c| c.name == name).ok_or_else(|| format!("there is no class {name}"))?;
        let operation = (class.from_config)(json["config"].clone()).map_err(|e| e.to_string())?;
        let tensors = json["tensors"].as_array().unwrap().iter().map(|t| Tensor::from(array(t))).collect();
        Ok(Case { json, operation, tensors })
    }

    /// An argument as the loader of models makes one of its JSON.
    fn nest(&self, value: &Value) -> Nest {
        match value {
            Value::Array(items) => Nest::List(items.iter().map(|v| self.nest(v)).collect()),
            Value::Object(o) if o.contains_key("tensor") => {
                Nest::Tensor(self.tensors[o["tensor"].as_u64().unwrap() as usize].clone())
            }
            plain => Nest::Plain(plain.clone()),
        }
    }

    fn args(&self) -> Args {
        let named = self.json["kwargs"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), self.nest(v)));
        Args {
            positional: self.json["args"].as_array().unwrap().iter().map(|v| self.nest(v)).collect(),
            named: named.collect(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.operation.module() != self.json["module"] {
            return Err(format!("the module is {}, Keras has {}", self.operation.module(), self.json["module"]));
        }
        if !same(&self.operation.config(), &self.json["config"]) {
            return Err(format!("the config is {}, Keras has {}", self.operation.config(), self.json["config"]));
        }
        let nest = self.operation.compute(&self.args()).map_err(|e| e.to_string())?;
        let outputs: Vec<Tensor> = nest.tensors().into_iter().cloned().collect();
        let expected = self.json["outputs"].as_array().unwrap();
        if outputs.len() != expected.len() {
            return Err(format!("{} results, Keras has {}", outputs.len(), expected.len()));
        }
        if let Some(wanted) = self.json.get("gradients") {
            self.check_gradients(&outputs, wanted.as_array().unwrap())?;
        }
        for (i, (output, expected)) in outputs.iter().zip(expected).enumerate() {
            close(&output.eval().map_err(|e| e.to_string())?, &array(expected))
                .map_err(|e| format!("result {i}: {e}"))?;
        }
        Ok(())
    }

    fn check_gradients(&self, outputs: &[Tensor], wanted: &[Value]) -> Result<(), String> {
        let mut loss = Tensor::from(0.0f32);
        for output in outputs.iter().filter(|t| t.dtype().is_float()) {
            let shape = output.shape().known().unwrap();
            let count: usize = shape.iter().product();
            let weights: Vec<f32> = (0..count).map(|i| (i as f32).cos()).collect();
            loss = loss + ops::sum(&(output.cast(DType::F32) * Tensor::new(shape, weights)), ops::Axes::All, false);
        }
        for (i, (source, wanted)) in self.tensors.iter().zip(wanted).enumerate() {
            // TensorFlow says None where nothing flows; here, that is zeros.
            if wanted.is_null() || !source.dtype().is_float() {
                continue;
            }
            let found = gradients(&loss, std::slice::from_ref(source)).and_then(|g| g[0].eval());
            let found = found.map_err(|e| format!("gradient {i}: {e}"))?;
            close(&found, &array(wanted)).map_err(|e| format!("gradient {i}: {e}"))?;
        }
        Ok(())
    }
}

fn array(json: &Value) -> Array {
    let number = |v: &Value| v.as_f64().unwrap_or_else(|| v.as_str().unwrap().parse().unwrap());
    let shape: Vec<usize> = json["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let values: Vec<f64> = json["values"].as_array().unwrap().iter().map(number).collect();
    Array::new(shape, values).cast(json["dtype"].as_str().unwrap().parse().unwrap())
}

/// Equality as Python has it: 1 and 1.0 are equal.
fn same(a: &Value, b: &Value) -> bool {
    let keys = |o: &Map<String, Value>| o.keys().cloned().collect::<Vec<_>>();
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => keys(x) == keys(y) && x.iter().all(|(k, v)| same(v, &y[k])),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Number(x), Value::Number(y)) => x.as_f64() == y.as_f64(),
        _ => a == b,
    }
}

fn close(actual: &Array, expected: &Array) -> Result<(), String> {
    if actual.dtype() != expected.dtype() || actual.shape() != expected.shape() {
        let ty = |a: &Array| format!("{}{:?}", a.dtype(), a.shape());
        return Err(format!("{} instead of {}", ty(actual), ty(expected)));
    }
    let relative = match expected.dtype() {
        DType::F16 => 5e-3,
        DType::BF16 => 1e-2,
        _ => 1e-5,
    };
    let (actual, expected) = (actual.to_f64_vec(), expected.to_f64_vec());
    let scale = expected.iter().filter(|v| v.is_finite()).fold(0.0, |m: f64, v| m.max(v.abs()));
    for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
        let fits = a == e || (a.is_nan() && e.is_nan()) || (a - e).abs() <= relative * (e.abs() + 0.2 * scale);
        if !fits {
            return Err(format!("element {i} is {a}, Keras has {e}"));
        }
    }
    Ok(())
}

#[test]
fn operations_give_what_keras_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ops");
    let (mut count, mut failures) = (0, Vec::new());
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for case in json["cases"].as_array().unwrap() {
            count += 1;
            if let Err(error) = Case::of(case).and_then(|c| c.check()) {
                let text = |v: &Value| v.to_string().chars().take(160).collect::<String>();
                let name = file.file_stem().unwrap().to_string_lossy();
                failures.push(format!(
                    "{name} {} {} {}: {error}",
                    case["function"],
                    text(&case["config"]),
                    text(&case["tensors"])
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 600, "only {count} cases: the fixtures are not all there");
}

/// Calls of functions on symbols are recorded in Keras's form: the class, the keys of its configuration, how many arguments
/// go by position and which go by name.
#[test]
fn functions_record_the_calls_that_keras_records() {
    let input = |shape: &[usize]| crate::layers::Input::new(shape.to_vec()).symbol();
    let (x, m, v) = (input(&[3, 4]), input(&[4, 4]), input(&[]));
    let image = input(&[5, 6, 2]);
    let weights = ops::ones([4], None);
    let kernel = ops::ones([2, 2, 2, 3], None);
    let all = ops::Axes::All;
    let recorded: Vec<(&str, Tensor)> = vec![
        ("add", ops::add(&x, 1.0)),
        ("absolute", ops::absolute(&x)),
        ("where", ops::r#where(ops::greater(&x, 0), &x, 0.0)),
        ("isclose", ops::isclose(&x, &x, 1e-5, 1e-8, false)),
        ("clip", ops::clip(&x, 0, 1)),
        ("average", ops::average(&x, -1, Some(&weights))),
        ("max", ops::max(&x, all.clone(), false)),
        ("argmax", ops::argmax(&x, Some(-1), false)),
        ("transpose", ops::transpose(&x, all.clone())),
        ("reshape", ops::reshape(&x, &[-1, 6])),
        ("concatenate", ops::concatenate(&[x.clone(), x.clone()], -1)),
        ("stack", ops::stack(&[x.clone(), x.clone()], 1)),
        ("split", ops::split(&x, 2, -1).swap_remove(0)),
        ("pad", ops::pad(&x, [[0, 0], [1, 1], [0, 0]], "constant", None)),
        ("get_item", ops::get_item(&x, (.., 0))),
        ("take", ops::take(&x, ops::arange(2, None, None, None), Some(1))),
        ("meshgrid", ops::meshgrid(&[v.clone(), v.clone()], "xy").swap_remove(0)),
        ("einsum", ops::einsum("bij,bkj->bik", &[&x, &x])),
        ("matmul", ops::matmul(&m, &m)),
        ("full_like", ops::full_like(&x, 2)),
        ("linspace", ops::linspace(&v, &v, 3, true, None, 0)),
        ("softmax", ops::softmax(&x, -1)),
        ("gelu", ops::gelu(&x, true)),
        ("one_hot", ops::one_hot(&v, 3, -1, None)),
        ("conv", ops::conv(&image, &kernel, 1, "valid", None, 1)),
        ("max_pool", ops::max_pool(&image, 2, None, "valid", None)),
        ("moments", ops::moments(&x, -1, false, false).0),
        ("batch_normalization", ops::batch_normalization(&x, &weights, &weights, -1, None, Some(&weights), 1e-3)),
        ("layer_normalization", ops::layer_normalization(&x, Some(&weights), None, -1, None, false)),
        ("rms_normalization", ops::rms_normalization(&x, None, -1, None)),
        ("categorical_crossentropy", ops::categorical_crossentropy(&x, &x, false, -1)),
        ("top_k", ops::top_k(&x, 2, true).0),
        ("logsumexp", ops::logsumexp(&x, all, false)),
        ("cast", ops::cast(&x, DType::I32)),
        ("slice", ops::slice(&image, [0, 1, 2, 0], &[1, 2, 2, 2])),
        ("rearrange", ops::rearrange(&x, "a b (c d) -> a (b c) d", &[("c", 2)])),
        ("solve", ops::solve(&m, &m)),
        ("rfft", ops::rfft(&x, None).0),
        ("fft", ops::fft((&x, &x)).0),
        ("image.resize", ops::image::resize(&image, [2, 2], "bilinear", false, Default::default(), None)),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ops");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        cases.extend(json["cases"].as_array().unwrap().iter().cloned());
    }
    for (function, output) in recorded {
        let node = &output.history().unwrap_or_else(|| panic!("{function}: {output:?}")).node;
        let found = (
            node.layer.class_name().to_owned(),
            node.layer.config().as_object().unwrap().keys().filter(|k| *k != "name").cloned().collect::<Vec<_>>(),
            node.arguments.positional.len(),
            // Lengths of axes are named freely.
            node.arguments.named.keys().filter(|_| function != "rearrange").cloned().collect::<Vec<_>>(),
        );
        let form = |case: &Value| {
            let keys = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            let named = if function == "rearrange" { vec![] } else { keys(&case["kwargs"]) };
            let class = case["class_name"].as_str().unwrap().to_owned();
            (class, keys(&case["config"]), case["args"].as_array().unwrap().len(), named)
        };
        let forms: Vec<_> = cases.iter().filter(|c| c["function"] == function).map(form).collect();
        assert!(forms.contains(&found), "{function} is recorded as {found:?}, by Keras as one of {forms:?}");
    }
}
