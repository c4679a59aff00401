//! The one check that every layer goes through; see [`crate::testing`].

use rhyton_ir::{Array, DType, Shape, TensorType};
use serde_json::Value;

use super::close::{Tolerance, assert_close};
use super::golden::{Case, cases};
use crate::dtype_policy::DTypePolicy;
use crate::layers::{Context, LayerRef, call_layer, shape_to_json, unknown_dim};
use crate::model::{deserialize_layer, serialize_layer};
use crate::nest::Args;
use crate::ops;
use crate::tensor::{Tensor, gradients};
use crate::variable::Variable;

/// Checks all cases of `fixtures/layers/<name>.json`.
#[track_caller]
pub(crate) fn check_layer(name: &str) {
    let mut failures = Vec::new();
    for (i, case) in cases(name).iter().enumerate() {
        let class = case.layer()["class_name"].as_str().unwrap_or_default();
        let check = Check { case, at: format!("{name}.json, case {i} ({class} {})", case.layer()["config"]) };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check.configuration();
            check.golden();
            check.differences();
            check.compiled();
            check.unknown_batch();
            check.mixed_precision();
            check.training_step();
        }));
        if let Err(failure) = outcome {
            failures.push((i, failure));
        }
    }
    let numbers: Vec<usize> = failures.iter().map(|(i, _)| *i).collect();
    if let Some((_, failure)) = failures.into_iter().next() {
        eprintln!("{name}.json: cases {numbers:?} fail");
        std::panic::resume_unwind(failure);
    }
}

struct Check<'c> {
    case: &'c Case,
    at: String,
}

impl Check<'_> {
    /// What went wrong where.
    fn at(&self, what: &str) -> String {
        format!("{}: {what}", self.at)
    }

    /// The layer in another dtype policy, if one is given; not built.
    fn fresh(&self, policy: Option<DTypePolicy>) -> LayerRef {
        let mut object = self.case.layer().clone();
        if let Value::Object(object) = &mut object {
            object.remove("build_config");
        }
        if let Some(policy) = policy {
            replace_policies(&mut object["config"], &policy.to_json());
        }
        deserialize_layer(&object).unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())))
    }

    /// A layer that has been built by the call and has the recorded weights.
    fn loaded(&self, policy: Option<DTypePolicy>) -> LayerRef {
        let layer = self.fresh(policy);
        let float = policy.map(|p| p.compute_dtype());
        self.call(&layer, self.case.args(float));
        self.set_weights(&layer);
        layer
    }

    fn set_weights(&self, layer: &LayerRef) {
        for (weight, recorded) in layer.weights().iter().zip(self.case.weights()) {
            weight.assign(Tensor::from(recorded.value)).unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())));
        }
    }

    fn call(&self, layer: &LayerRef, args: Args) -> Vec<Tensor> {
        self.call_in(layer, args, &mut Context::default())
    }

    fn call_in(&self, layer: &LayerRef, args: Args, cx: &mut Context) -> Vec<Tensor> {
        let outputs = call_layer(layer, args, cx).unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())));
        outputs.tensors().into_iter().cloned().collect()
    }

    fn value(&self, tensor: &Tensor) -> Array {
        tensor.eval().unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())))
    }

    /// The looser of the dtype's and the case's tolerance.
    fn tolerance(&self, dtype: DType) -> Tolerance {
        let usual = Tolerance::of(dtype);
        let given = self.case.get("tolerance").as_f64().unwrap_or(0.0);
        if dtype.is_float() { Tolerance::relative(usual.relative.max(given)) } else { usual }
    }

    #[track_caller]
    fn close(&self, what: &str, actual: &Tensor, expected: &Array) {
        assert_close(&self.at(what), &self.value(actual), expected, self.tolerance(expected.dtype()));
    }

    /// The configuration written back is Keras's, and rebuilds the weights.
    fn configuration(&self) {
        let rebuilt = deserialize_layer(self.case.layer()).unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())));
        assert_same_json(&self.at("configuration"), &serialize_layer(rebuilt.as_ref()), self.case.layer());
        let layer = self.fresh(None);
        self.call(&layer, self.case.args(None));
        assert_same_json(&self.at("configuration after the call"), &serialize_layer(layer.as_ref()), self.case.layer());
        let recorded = self.case.weights();
        for layer in [&layer, &rebuilt] {
            let paths: Vec<String> = layer.weights().iter().map(|w| w.path().to_owned()).collect();
            let expected: Vec<&str> = recorded.iter().map(|w| w.path.as_str()).collect();
            // An inner layer that the configuration says is built is built before the outer one names it.
            let same =
                paths.len() == expected.len() && paths.iter().zip(&expected).all(|(p, e)| e.ends_with(p.as_str()));
            assert!(same, "{}", self.at(&format!("paths of weights: {paths:?}, expected {expected:?}")));
            for (weight, recorded) in layer.weights().iter().zip(&recorded) {
                assert_eq!(weight.shape(), recorded.value.shape(), "{}", self.at(weight.path()));
                assert_eq!(weight.dtype(), recorded.value.dtype(), "{}", self.at(weight.path()));
                assert_eq!(weight.trainable(), recorded.trainable, "{}", self.at(weight.path()));
            }
            let count: usize = recorded.iter().map(|w| w.value.len()).sum();
            assert_eq!(layer.count_params(), count, "{}", self.at("count of weights"));
        }
    }

    /// Outputs, masks, losses, gradients and changed weights are Keras's.
    fn golden(&self) {
        let layer = self.loaded(None);
        let args = self.case.args(None);
        let sources = Sources::of(&layer, &args);
        let mut cx = Context::default();
        let outputs = self.call_in(&layer, args, &mut cx);
        let expected = self.case.arrays("outputs").unwrap_or_default();
        assert_eq!(outputs.len(), expected.len(), "{}", self.at("count of outputs"));
        let found = self.case.arrays("input_gradients").map(|recorded| {
            let loss = product(&outputs);
            let found = gradients(&loss, &sources.all()).unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())));
            (found, recorded)
        });
        for (k, (output, expected)) in outputs.iter().zip(&expected).enumerate() {
            let expected = expected.as_ref().expect("outputs are recorded");
            assert_eq!(output.shape(), &Shape::from(expected.shape()), "{}", self.at("inferred shape"));
            self.close(&format!("output {k}"), output, expected);
        }
        let masks = self.case.arrays("output_masks").unwrap_or_default();
        for (k, (output, expected)) in outputs.iter().zip(&masks).enumerate() {
            match (output.mask(), expected) {
                (Some(mask), Some(expected)) => self.close(&format!("mask of output {k}"), mask, expected),
                (mask, expected) => assert_eq!(mask.is_some(), expected.is_some(), "{}", self.at("there is a mask")),
            }
        }
        if let Some((found, inputs)) = found {
            let weights = self.case.arrays("weight_gradients").unwrap_or_default();
            assert_eq!(found.len(), inputs.len() + weights.len(), "{}", self.at("count of gradients"));
            let names = sources.names();
            for ((name, found), expected) in names.iter().zip(&found).zip(inputs.iter().chain(&weights)) {
                let expected = expected.as_ref().expect("gradients are recorded");
                // A gradient that is zero but for rounding (a bias before a softmax) is different noise everywhere.
                const NOISE: f64 = 1e-6;
                if self.value(found).to_f64_vec().iter().chain(&expected.to_f64_vec()).all(|g| g.abs() < NOISE) {
                    continue;
                }
                self.close(&format!("gradient by {name}"), found, expected);
            }
        }
        self.losses(&layer, &cx);
        let after = self.case.arrays("weights_after");
        let after = after.unwrap_or_else(|| self.case.weights().into_iter().map(|w| Some(w.value)).collect());
        for (weight, after) in layer.weights().iter().zip(&after) {
            let after = after.as_ref().expect("weights are recorded");
            self.close(&format!("{} after the call", weight.path()), &weight.value(), after);
        }
    }

    /// Losses that the call adds, then those of weights.
    fn losses(&self, layer: &LayerRef, cx: &Context) {
        let penalty = |w: &Variable| w.regularizer().map(|r| r.call(&w.value()).unwrap());
        let weights = layer.trainable_weights();
        let losses: Vec<Tensor> = cx.losses.iter().cloned().chain(weights.iter().filter_map(penalty)).collect();
        let expected = self.case.get("losses").as_array().cloned().unwrap_or_default();
        assert_eq!(losses.len(), expected.len(), "{}", self.at("count of losses"));
        for (loss, expected) in losses.iter().zip(&expected) {
            let expected = Array::scalar_of(DType::F32, expected.as_f64().unwrap_or(f64::NAN));
            self.close("a loss", loss, &expected);
        }
    }

    /// In `float64`, gradients are the slopes along random directions.
    fn differences(&self) {
        if self.case.get("input_gradients").is_null() || self.case.get("differences") == &Value::Bool(false) {
            return;
        }
        const STEP: f64 = 1e-6;
        let layer = self.loaded(Some(DTypePolicy::of(DType::F64)));
        let args = self.case.args(Some(DType::F64));
        let sources = Sources::of(&layer, &args);
        let loss = product(&self.call(&layer, args.clone()));
        let found = gradients(&loss, &sources.all()).unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())));
        let loss_at = |source: usize, direction: &[f64], step: f64| {
            self.set_weights(&layer);
            let moved = |t: &Tensor| {
                let moved = t.to_vec::<f64>().unwrap().iter().zip(direction).map(|(v, d)| v + step * d).collect();
                let shape = t.eval().unwrap().shape().to_vec();
                Tensor::new::<f64>(shape, Vec::from_iter::<Vec<f64>>(moved)).with_mask(t.mask().cloned())
            };
            let mut at = 0;
            let moved_args = args.map(&mut |t| {
                let float = t.dtype().is_float();
                let this = float && at == source;
                at += usize::from(float);
                Ok(if this { moved(t) } else { t.clone() })
            });
            if let Some(weight) = source.checked_sub(sources.inputs.len()).map(|w| &sources.weights[w]) {
                weight.assign(moved(&weight.value())).unwrap();
            }
            let loss = product(&self.call(&layer, moved_args.unwrap()));
            self.value(&loss).data().get_f64(0)
        };
        for (source, (name, found)) in sources.names().iter().zip(&found).enumerate() {
            let gradient = self.value(found).to_f64_vec();
            for seed in 0..2u64 {
                let direction = directions(gradient.len(), seed);
                let slope = (loss_at(source, &direction, STEP) - loss_at(source, &direction, -STEP)) / (2.0 * STEP);
                let along: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
                let size: f64 = gradient.iter().zip(&direction).map(|(g, d)| (g * d).abs()).sum();
                assert!(
                    (slope - along).abs() <= 1e-5 * size.max(1e-3),
                    "{}",
                    self.at(&format!("the slope by {name} is {slope}, its gradient says {along}"))
                );
            }
        }
    }

    /// The call gives the same compiled.
    fn compiled(&self) {
        let layer = self.loaded(None);
        if !layer.supports_jit() {
            return;
        }
        let args = self.case.args(None);
        let inputs: Vec<Tensor> = args.tensors().into_iter().cloned().collect();
        let program = crate::jit(|arguments| {
            let mut arguments = inputs.iter().zip(arguments);
            let args = args.map(&mut |_| {
                let (original, traced) = arguments.next().expect("as many as before");
                Ok(traced.with_mask(original.mask().cloned()))
            })?;
            Ok(call_layer(&layer, args, &mut Context::default())?.tensors().into_iter().cloned().collect())
        });
        let outputs = program.call(&inputs).unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())));
        for (output, expected) in outputs.iter().zip(self.case.arrays("outputs").unwrap_or_default().iter().flatten()) {
            self.close("compiled output", output, expected);
        }
    }

    /// Types are inferred for an unknown batch.
    fn unknown_batch(&self) {
        let expected = self.case.get("symbolic");
        if expected.is_null() {
            return;
        }
        let outputs = self.call(&self.fresh(None), abstracted(self.case.args(None)));
        // On symbols Keras gives results of integers its compute dtype, though values stay integers: follow the values.
        let integers = self.case.args(None).tensors().iter().any(|t| !t.dtype().is_float());
        let types = |shape: Value, dtype: Value| {
            if integers {
                serde_json::json!({ "shape": shape })
            } else {
                serde_json::json!({"shape": shape, "dtype": dtype})
            }
        };
        let inferred: Value =
            outputs.iter().map(|t| types(shape_to_json(t.shape()), t.dtype().name().into())).collect();
        let recorded = expected.as_array().into_iter().flatten();
        let expected: &Value = &recorded.map(|t| types(t["shape"].clone(), t["dtype"].clone())).collect();
        assert_eq!(&inferred, expected, "{}", self.at("inferred for an unknown batch"));
    }

    /// Outputs under `mixed_bfloat16` have Keras's dtypes, and weights stay `float32`.
    fn mixed_precision(&self) {
        let expected = self.case.get("mixed_dtypes");
        if expected.is_null() {
            return;
        }
        let layer = self.fresh(Some(DTypePolicy::mixed(DType::BF16)));
        let outputs = self.call(&layer, self.case.args(None));
        let dtypes: Value = outputs.iter().map(|t| t.dtype().name()).collect();
        assert_eq!(&dtypes, expected, "{}", self.at("dtypes under mixed_bfloat16"));
        outputs.iter().for_each(|t| drop(self.value(t)));
        for weight in layer.weights() {
            assert!(!weight.dtype().is_float() || weight.dtype() == DType::F32, "{}", self.at(weight.path()));
        }
    }

    /// A step along the gradient in training stays finite, and moves the weights that have a gradient.
    fn training_step(&self) {
        let layer = self.loaded(None);
        let weights = layer.trainable_weights();
        if weights.is_empty() || self.case.get("input_gradients").is_null() {
            return;
        }
        let step = || -> crate::Result<Vec<(Tensor, Tensor)>> {
            let args = self.case.args(None);
            let outputs = call_layer(&layer, args, &mut Context::new(true))?;
            // As the call left them: a layer may assign its weights.
            let before: Vec<Tensor> = weights.iter().map(Variable::value).collect();
            let outputs: Vec<Tensor> = outputs.tensors().into_iter().cloned().collect();
            let found = gradients(&product(&outputs), &before)?;
            for ((weight, before), gradient) in weights.iter().zip(&before).zip(&found) {
                weight.assign(before - gradient * 0.01)?;
            }
            Ok(before.into_iter().zip(found).collect())
        };
        let moved = step().unwrap_or_else(|e| panic!("{}", self.at(&e.to_string())));
        for (weight, (before, gradient)) in weights.iter().zip(&moved) {
            let now = self.value(&weight.value()).to_f64_vec();
            assert!(now.iter().all(|v| v.is_finite()), "{}", self.at(&format!("{} after a step", weight.path())));
            let still = self.value(gradient).to_f64_vec().iter().all(|&g| g.abs() < 1e-4);
            assert!(
                still || now != self.value(before).to_f64_vec(),
                "{}",
                self.at(&format!("{} moves", weight.path()))
            );
        }
    }
}

/// What gradients are taken by: the floating-point inputs, then the weights that train.
struct Sources {
    inputs: Vec<Tensor>,
    weights: Vec<Variable>,
}

impl Sources {
    fn of(layer: &LayerRef, args: &Args) -> Sources {
        let inputs = args.tensors().into_iter().filter(|t| t.dtype().is_float()).cloned().collect();
        Sources { inputs, weights: layer.trainable_weights() }
    }

    fn all(&self) -> Vec<Tensor> {
        self.inputs.iter().cloned().chain(self.weights.iter().map(Variable::value)).collect()
    }

    fn names(&self) -> Vec<String> {
        let inputs = (0..self.inputs.len()).map(|i| format!("input {i}"));
        inputs.chain(self.weights.iter().map(|w| w.path().to_owned())).collect()
    }
}

/// The scalar product of the floating-point outputs with the cotangents of `fixtures/golden.py`.
fn product(outputs: &[Tensor]) -> Tensor {
    let products = outputs.iter().filter(|t| t.dtype().is_float()).map(|t| {
        let shape = t.shape().known().expect("computed outputs have known shapes");
        let count = shape.iter().product();
        let cotangent: Vec<f64> = (0..count).map(|i: usize| ((i * 7 % 11) as f64 - 5.0) / 4.0).collect();
        let cotangent = Tensor::from(Array::new(shape, cotangent).cast(t.dtype()));
        ops::sum(&(t * &cotangent), ops::Axes::All, false)
    });
    products.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::from(0.0f32))
}

/// Placeholders with an unknown batch for the tensors.
fn abstracted(args: Args) -> Args {
    let open = |t: &Tensor| {
        let mut shape = t.shape().clone();
        if shape.rank() > 0 {
            shape[0] = unknown_dim(0);
        }
        let mask = t.mask().map(|m| {
            let mut shape = m.shape().clone();
            shape[0] = unknown_dim(0);
            Tensor::placeholder(TensorType::new(m.dtype(), shape))
        });
        Ok(Tensor::placeholder(TensorType::new(t.dtype(), shape)).with_mask(mask))
    };
    args.map(&mut |t| open(t)).expect("nothing in it fails")
}

/// Numbers in [−1, 1] without a pattern that a layer could share.
fn directions(count: usize, seed: u64) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ (seed + 1);
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    };
    (0..count).map(next).collect()
}

/// Puts `policy` in place of every dtype policy in a configuration.
fn replace_policies(config: &mut Value, policy: &Value) {
    match config {
        Value::Object(items) => {
            for (key, value) in items {
                if key == "dtype" && (value["class_name"] == "DTypePolicy" || value == "float32") {
                    *value = policy.clone();
                } else {
                    replace_policies(value, policy);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| replace_policies(v, policy)),
        _ => {}
    }
}

/// Asserts that two JSON values are the same, the order of keys included; numbers compare by value.
#[track_caller]
pub(crate) fn assert_same_json(what: &str, actual: &Value, expected: &Value) {
    fn same(a: &Value, e: &Value) -> bool {
        match (a, e) {
            (Value::Object(a), Value::Object(e)) => {
                a.len() == e.len() && a.iter().zip(e).all(|((ka, va), (ke, ve))| ka == ke && same(va, ve))
            }
            (Value::Array(a), Value::Array(e)) => a.len() == e.len() && a.iter().zip(e).all(|(a, e)| same(a, e)),
            (Value::Number(a), Value::Number(e)) => a.as_f64() == e.as_f64(),
            (a, e) => a == e,
        }
    }
    assert!(same(actual, expected), "{what}\n  actual   {actual}\n  expected {expected}");
}
