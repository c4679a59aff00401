//! Optimizers and schedules against what Keras computed; the data is made by `fixtures/make_optimizers.py`.

use std::path::Path;

use rhyton_core::optimizers::schedules::{ExponentialDecay, ScheduleRef};
use rhyton_core::optimizers::{LossScaleOptimizer, Muon, Optimizer, OptimizerRef};
use rhyton_core::prelude::*;
use rhyton_core::{VariableOptions, jit};
use serde_json::Value;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/optimizers").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn sizes(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|n| n as usize).collect()
}

fn f32s(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|v| v as f32).collect()
}

/// The variables and gradients that all cases start from.
fn start(data: &Value, bad_steps: &[usize]) -> (Vec<Variable>, Vec<Vec<Array>>) {
    let shapes: Vec<(String, Vec<usize>)> =
        data["shapes"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), sizes(v))).collect();
    let variable = |(path, shape): &(String, Vec<usize>)| {
        let name = path.rsplit('/').next().unwrap().to_owned();
        let options = VariableOptions { name, path: path.clone(), trainable: true, ..VariableOptions::default() };
        Variable::new(Array::new(shape.clone(), f32s(&data["initial"][path])), options)
    };
    let gradients = data["gradients"].as_array().unwrap().iter().enumerate().map(|(step, gradients)| {
        let gradient = |(i, (_, shape)): (usize, &(String, Vec<usize>))| {
            let mut values = f32s(&gradients[i]);
            if i == 0 && bad_steps.contains(&step) {
                values[3] = if step % 2 == 1 { f32::INFINITY } else { f32::NAN };
            }
            Array::new(shape.clone(), values)
        };
        shapes.iter().enumerate().map(gradient).collect()
    });
    (shapes.iter().map(variable).collect(), gradients.collect())
}

fn assert_close(actual: &[f64], expected: &[f64], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let close = (a - e).abs() <= 1e-5 * e.abs() + 1e-6 * scale || a == e || (a.is_nan() && e.is_nan());
        assert!(close, "{what}[{i}]: {a} is not {e}\n{actual:?}\n{expected:?}");
    }
}

fn assert_values(variables: &[Variable], expected: &Value, what: &str) {
    for (variable, expected) in variables.iter().zip(expected.as_array().unwrap()) {
        assert_close(
            &variable.array().unwrap().to_f64_vec(),
            &numbers(expected),
            &format!("{what} {}", variable.path()),
        );
    }
}

/// The same but for whole numbers that Python kept as integers.
fn assert_same(actual: &Value, expected: &Value, at: &str) {
    match (actual, expected) {
        (Value::Object(a), Value::Object(e)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), e.keys().collect::<Vec<_>>(), "{at}");
            a.iter().for_each(|(k, v)| assert_same(v, &e[k], &format!("{at}/{k}")));
        }
        (Value::Number(a), Value::Number(e)) => assert_eq!(a.as_f64(), e.as_f64(), "{at}"),
        _ => assert_eq!(actual, expected, "{at}"),
    }
}

/// What configurations do not hold.
fn with_exclusions(class: &str, patterns: &[&str]) -> OptimizerRef {
    match class {
        "SGD" => SGD::new(0.1)
            .momentum(0.9)
            .nesterov(true)
            .weight_decay(0.05)
            .name("sgd")
            .exclude_from_weight_decay(patterns)
            .into(),
        "AdamW" => {
            AdamW::new(0.1).weight_decay(0.1).amsgrad(true).name("adam_w").exclude_from_weight_decay(patterns).into()
        }
        "Muon" => Muon::new(0.1)
            .weight_decay(0.1)
            .adam_weight_decay(None)
            .name("muon")
            .exclude_from_weight_decay(patterns)
            .into(),
        other => panic!("no case of {other} excludes variables"),
    }
}

fn check_case(data: &Value, case: &Value, label: &str, compiled: bool) {
    let bad: Vec<usize> = case.get("bad_steps").map(sizes).unwrap_or_default();
    let (variables, gradients) = start(data, &bad);
    let patterns: Vec<&str> = case["exclude"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    let optimizer = match patterns.as_slice() {
        [] => OptimizerRef::from_json(&case["config"]).unwrap(),
        patterns => with_exclusions(case["config"]["class_name"].as_str().unwrap(), patterns),
    };
    assert_same(&optimizer.to_json(), &case["config"], label);
    optimizer.build(&variables).unwrap();
    let step = jit(|args| optimizer.apply(args, &variables).map(|()| vec![]));
    for (i, gradients) in gradients.iter().enumerate() {
        let tensors: Vec<Tensor> = gradients.iter().cloned().map(Tensor::from).collect();
        if compiled {
            step.call(&tensors).unwrap();
        } else {
            optimizer.apply(&tensors, &variables).unwrap();
        }
        match i {
            0 => assert_values(&variables, &case["first"], &format!("{label}, after the first step")),
            i if i + 1 == 4 => assert_values(&variables, &case["last"], &format!("{label}, after the last step")),
            _ => {}
        }
    }
    let expected = case["optimizer_variables"].as_array().unwrap();
    let slots = optimizer.variables();
    let paths: Vec<&str> = slots.iter().map(Variable::path).collect();
    assert_eq!(paths, expected.iter().map(|e| e["path"].as_str().unwrap()).collect::<Vec<_>>(), "{label}");
    for (slot, expected) in slots.iter().zip(expected) {
        assert_eq!(slot.dtype().name(), expected["dtype"], "{label} {}", slot.path());
        assert_eq!(slot.shape(), sizes(&expected["shape"]), "{label} {}", slot.path());
        assert_close(
            &slot.array().unwrap().to_f64_vec(),
            &numbers(&expected["values"]),
            &format!("{label} {}", slot.path()),
        );
    }
    optimizer.finalize(&variables).unwrap();
    assert_values(&variables, &case["finalized"], &format!("{label}, finalized"));
}

fn check_family(name: &str) {
    let (data, family) = (fixture("data"), fixture(name));
    for (i, case) in family["cases"].as_array().unwrap().iter().enumerate() {
        check_case(&data, case, &format!("{name} {i}"), false);
        check_case(&data, case, &format!("{name} {i} compiled"), true);
    }
}

macro_rules! families {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check_family(stringify!($name));
        }
    )*};
}

families! {
    sgd adam adamw rmsprop adagrad adadelta adamax nadam ftrl lion lamb adafactor muon schedulefreeadamw
    lossscaleoptimizer
}

#[test]
fn fits_with_validation_have_keras_histories() {
    for case in fixture("fit")["cases"].as_array().unwrap() {
        let label = case["config"].to_string();
        let model = Sequential::new().add(Input::new([3])).add(Dense::new(1));
        model.set_weights(&[Array::new([3, 1], f32s(&case["kernel"])), Array::new([1], vec![0.0f32])]).unwrap();
        let optimizer = OptimizerRef::from_json(&case["config"]).unwrap();
        model.compile_with(Compile::new(optimizer).loss("mse")).unwrap();
        let data = Data::new(Array::new([10, 3], f32s(&case["x"])), Array::new([10, 1], f32s(&case["y"])));
        let options = Fit::new().epochs(3).batch_size(2).shuffle(false).validation_split(0.4).verbose(0);
        let callbacks = callbacks::from_json(&case["callbacks"]).unwrap();
        let history = model.fit(&data, options.callbacks(callbacks)).unwrap();
        for name in ["loss", "val_loss"] {
            assert_close(&history.get(name), &numbers(&case["history"][name]), &format!("{label} {name}"));
        }
        assert_values(&model.weights(), &case["weights"], &label);
    }
}

#[test]
fn weights_on_which_the_loss_does_not_depend_stay_as_they_are() {
    let data = &fixture("fit")["idle"];
    let input = Input::new([3]);
    let idle = Dense::new(2).use_bias(false).name("idle").kernel_constraint("NonNeg".parse::<ConstraintRef>().unwrap());
    let hidden = ops::stop_gradient(&idle.call(&input));
    let model = Model::new(&input, Dense::new(1).use_bias(false).name("busy").call(&hidden)).unwrap();
    let start = [Array::new([3, 2], f32s(&data["start"][0])), Array::new([2, 1], f32s(&data["start"][1]))];
    model.set_weights(&start).unwrap();
    let adam = AdamW::new(0.1).weight_decay(0.1).use_ema(true).ema_momentum(0.75).name("adam_w");
    model.compile_with(Compile::new(adam).loss("mse")).unwrap();
    let samples = Data::new(Array::new([4, 3], f32s(&data["x"])), Array::new([4, 1], f32s(&data["y"])));
    model.fit(&samples, Fit::new().epochs(2).batch_size(2).shuffle(false).verbose(0)).unwrap();
    assert_values(&model.weights(), &data["weights"], "weights");
    let slots = model.optimizer().unwrap().variables();
    let expected: Vec<Value> = data["slots"].as_array().unwrap().iter().map(|s| s["values"].clone()).collect();
    assert_values(&slots, &expected.into(), "slots");

    let nothing = Model::new(&input, ops::stop_gradient(&idle.call(&input))).unwrap();
    nothing.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
    let error = nothing
        .fit(&Data::new(Array::new([4, 3], f32s(&data["x"])), Array::zeros(DType::F32, [4, 2])), Fit::new().verbose(0));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no gradients for any variable") && error.contains("idle/kernel"), "{error}");
}

#[test]
fn schedules_have_keras_values() {
    let data = fixture("schedules");
    let steps = numbers(&data["steps"]);
    for case in data["cases"].as_array().unwrap() {
        let schedule = ScheduleRef::from_json(&case["config"]).unwrap();
        assert_same(&serde_json::to_value(&schedule).unwrap(), &case["config"], "schedule");
        let rates: Result<Vec<f64>> =
            steps.iter().map(|s| schedule.call(&Tensor::from(*s as i64)).and_then(|rate| rate.item())).collect();
        assert_close(&rates.unwrap(), &numbers(&case["values"]), &case["config"].to_string());
    }
}

fn scalar(value: f32) -> Variable {
    Variable::state("w", Array::scalar(value))
}

#[test]
fn names_are_found_whatever_the_case() {
    for (name, class) in [("adam", "Adam"), ("RMSprop", "RMSprop"), ("rmsprop", "RMSprop"), ("ADAMW", "AdamW")] {
        assert_eq!(name.parse::<OptimizerRef>().unwrap().class_name(), class);
    }
    assert!("adan".parse::<OptimizerRef>().is_err());
    let unknown = serde_json::json!({"class_name": "Adam", "config": {"beta": 0.5}});
    assert!(OptimizerRef::from_json(&unknown).unwrap_err().to_string().contains("beta"));
}

#[test]
fn constraints_are_applied_after_the_update() {
    let options = VariableOptions {
        name: "w".into(),
        path: "w".into(),
        constraint: Some("NonNeg".parse().unwrap()),
        ..VariableOptions::default()
    };
    let w = Variable::new(Array::new([2], vec![0.5f32, 0.5]), options);
    SGD::new(1.0).apply(&[Tensor::new([2], vec![1.0f32, 0.25])], std::slice::from_ref(&w)).unwrap();
    assert_eq!(w.array().unwrap().to_f64_vec(), [0.0, 0.25]);
}

#[test]
fn arguments_out_of_range_are_refused() {
    let w = scalar(1.0);
    let refused =
        |optimizer: OptimizerRef| matches!(optimizer.build(std::slice::from_ref(&w)).unwrap_err(), Error::Argument(_));
    assert!(refused(SGD::new(0.1).momentum(2.0).into()));
    assert!(refused(SGD::new(0.1).clipnorm(1.0).clipvalue(1.0).into()));
    assert!(refused(SGD::new(0.1).gradient_accumulation_steps(1).into()));
    assert!(refused(SGD::new(0.1).exclude_from_weight_decay(&["("]).into()));
    assert!(refused(Adam::new(ExponentialDecay::new(0.1, 0.0, 0.5)).into()));
    assert!(refused(LossScaleOptimizer::new(SGD::new(0.1).loss_scale_factor(2.0)).into()));
}

#[test]
fn variables_that_an_optimizer_does_not_know_are_named() {
    let (known, other) = (scalar(1.0), Variable::state("layer/other", Array::scalar(1.0f32)));
    let optimizer = SGD::new(0.1);
    optimizer.build(std::slice::from_ref(&known)).unwrap();
    let error = optimizer.apply(&[Tensor::from(1.0f32)], &[other]).unwrap_err();
    assert!(error.to_string().contains("layer/other"), "{error}");
    let error = optimizer.apply(&[Tensor::new([2], vec![1.0f32; 2])], &[known]).unwrap_err();
    assert!(matches!(error, Error::Shape(_)), "{error}");
}

#[test]
fn learning_rates_may_be_set_unless_they_are_schedules() {
    let optimizer = Adam::new(0.1);
    optimizer.set_learning_rate(0.25).unwrap();
    assert_eq!(OptimizerRef::from(optimizer).to_json()["config"]["learning_rate"], 0.25);
    let scheduled = Adam::new(ExponentialDecay::new(0.5, 10.0, 0.5));
    assert!(scheduled.set_learning_rate(0.25).is_err());
    assert_eq!(scheduled.current_learning_rate().unwrap().item().unwrap(), 0.5);
}

#[test]
fn losses_are_scaled_and_gradients_scaled_back() {
    let w = scalar(1.0);
    let optimizer = LossScaleOptimizer::new(SGD::new(0.5)).initial_scale(8.0);
    assert_eq!(optimizer.scale_loss(&Tensor::from(2.0f32)).item().unwrap(), 16.0);
    optimizer.apply(&[Tensor::from(8.0f32)], std::slice::from_ref(&w)).unwrap();
    assert_eq!(w.value().item().unwrap(), 0.5);
}
