//! Callbacks against what Keras's do on the same logs; the data is made by `fixtures/make_callbacks.py`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rhyton_core::callbacks::{self, Callback, History, LambdaCallback, LearningRateScheduler, List, Logs, Run};
use rhyton_core::prelude::*;
use rhyton_formats::tfevents;
use serde_json::{Value, json};

/// A model with one weight and a learning rate of 0.5.
fn model() -> Model {
    let model = Sequential::new().add(Input::new([1])).add(Dense::new(1).use_bias(false));
    model.compile_with(Compile::new(SGD::new(0.5)).loss("mse")).unwrap();
    model
}

fn weight(model: &Model) -> f64 {
    model.get_weights().unwrap()[0].to_f64_vec()[0]
}

fn learning_rate(model: &Model) -> f64 {
    model.optimizer().unwrap().current_learning_rate().unwrap().item().unwrap()
}

fn logs(value: &Value) -> Logs {
    let number = |v: &Value| v.as_f64().unwrap_or(f64::INFINITY);
    value.as_object().unwrap().iter().map(|(name, v)| (name.clone(), number(v))).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// The hooks of one epoch, as `fit` calls them; the weight is the epoch, counted from 1, at its end.
fn epoch(callback: &mut dyn Callback, run: &mut Run, epoch: usize, batches: usize, logs: &mut Logs) -> Result<()> {
    callback.on_epoch_begin(epoch, run)?;
    for batch in 0..batches {
        callback.on_train_batch_begin(batch, run)?;
        let loss = logs.get("loss").copied().unwrap_or(0.0);
        callback.on_train_batch_end(batch, &Logs::from([("loss".to_owned(), loss)]), run)?;
    }
    run.model.set_weights(&[Array::new([1, 1], vec![epoch as f32 + 1.0])])?;
    callback.on_epoch_end(epoch, logs, run)
}

fn check_case(case: &Value, given: &Value, batches: usize) {
    let label = format!("{} {}", case["class_name"], case["config"]);
    let folder = tempfile::tempdir().unwrap();
    let mut config = case["config"].clone();
    for key in ["filepath", "filename"] {
        if let Some(name) = case["config"].get(key) {
            config[key] = json!(folder.path().join(name.as_str().unwrap()));
        }
    }
    let described = json!([{"class_name": case["class_name"], "config": config}]);
    let mut callback = callbacks::from_json(&described).unwrap().swap_remove(0);
    let model = model();
    let mut run = Run::new(&model, 10, Some(batches), 0);
    callback.on_train_begin(&mut run).unwrap();
    let expected = case["epochs"].as_array().unwrap();
    for (i, expected) in expected.iter().enumerate() {
        let mut logs = logs(&given[case["given"].as_str().unwrap()][i]);
        epoch(&mut callback, &mut run, i, batches, &mut logs).unwrap();
        assert_eq!(run.stopped(), expected["stopped"].as_bool().unwrap(), "{label}, epoch {i}");
        let rate = expected["learning_rate"].as_f64().unwrap();
        assert!((learning_rate(&model) - rate).abs() <= 1e-7 * rate, "{label}, epoch {i}: {rate}");
        match expected["logged"].as_f64() {
            Some(rate) => assert!((logs["learning_rate"] - rate).abs() <= 1e-7 * rate, "{label}, epoch {i}"),
            None => assert!(!logs.contains_key("learning_rate"), "{label}, epoch {i}"),
        }
        if case["class_name"] == "ModelCheckpoint" {
            assert_eq!(json!(files(folder.path())), expected["files"], "{label}, epoch {i}");
        }
    }
    callback.on_train_end(&Logs::new(), &mut run).unwrap();
    assert_eq!(weight(&model), case["weight"].as_f64().unwrap(), "{label}");
    if let Some(text) = case["text"].as_str() {
        assert_eq!(std::fs::read_to_string(folder.path().join("log.csv")).unwrap(), text, "{label}");
    }
}

#[test]
fn callbacks_do_what_keras_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/callbacks.json");
    let data: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let batches = data["batches"].as_u64().unwrap() as usize;
    for case in data["cases"].as_array().unwrap() {
        check_case(case, &data["given"], batches);
    }
}

#[test]
fn unknown_callbacks_and_arguments_are_named() {
    let error = |value: Value| callbacks::from_json(&value).err().unwrap().to_string();
    assert!(error(json!(["EarlyStoping"])).contains("EarlyStoping"));
    let text = error(json!([{"class_name": "EarlyStopping", "config": {"patients": 3}}]));
    assert!(text.contains("patients") && text.contains("patience"), "{text}");
    assert!(error(json!([{"class_name": "ModelCheckpoint", "config": {"filepath": "model.pt"}}])).contains("model.pt"));
    assert!(error(json!([{"class_name": "ReduceLROnPlateau", "config": {"factor": 2.0}}])).contains("factor"));
    assert!(error(json!(["LambdaCallback"])).contains("function"));
    assert!(error(json!({"class_name": "EarlyStopping"})).contains("not a list"));
/// Writes down which hooks are called with which numbers and logs.
struct Recorder<'r>(&'static str, &'r Mutex<Vec<String>>);

impl Recorder<'_> {
    fn record(&self, hook: &str, number: Option<usize>, logs: &Logs) -> Result<()> {
        let mut words = vec![self.0.to_owned(), hook.to_owned()];
        words.extend(number.map(|n| n.to_string()));
        let mut names: Vec<String> = logs.keys().cloned().collect();
        names.sort();
        words.extend(names);
        self.1.lock().unwrap().push(words.join(" "));
        Ok(())
    }
}

macro_rules! recorded {
    ($($hook:ident($($argument:ident: $ty:ty),*) $number:expr, $logs:expr;)*) => {
        impl Callback for Recorder<'_> {
            $(fn $hook(&mut self, $($argument: $ty,)* _: &mut Run) -> Result<()> {
                self.record(stringify!($hook), $number, $logs)
            })*
        }
    };
}

recorded! {
    on_train_begin() None, &Logs::new();
    on_train_end(logs: &Logs) None, logs;
    on_epoch_begin(epoch: usize) Some(epoch), &Logs::new();
    on_epoch_end(epoch: usize, logs: &mut Logs) Some(epoch), logs;
    on_train_batch_begin(batch: usize) Some(batch), &Logs::new();
    on_train_batch_end(batch: usize, _logs: &Logs) Some(batch), &Logs::new();
    on_test_begin() None, &Logs::new();
    on_test_end(logs: &Logs) None, logs;
    on_test_batch_begin(batch: usize) Some(batch), &Logs::new();
    on_test_batch_end(batch: usize) Some(batch), &Logs::new();
    on_predict_begin() None, &Logs::new();
    on_predict_end() None, &Logs::new();
    on_predict_batch_begin(batch: usize) Some(batch), &Logs::new();
    on_predict_batch_end(batch: usize) Some(batch), &Logs::new();
}

#[test]
fn hooks_are_called_in_keras_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/callback_order.json");
    let data: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ones = |n: usize| Array::new([n, 1], vec![1.0f32; n]);
    for case in data["cases"].as_array().unwrap() {
        let model = Sequential::new().add(Input::new([1])).add(Dense::new(1));
        let steps = case["steps_per_execution"].as_u64().unwrap() as usize;
        model.compile_with(Compile::new(SGD::new(0.01)).loss("mse").steps_per_execution(steps)).unwrap();
        let calls = Mutex::new(Vec::new());
        let two = || [Recorder("a", &calls), Recorder("b", &calls)];
        let fit = Fit::new().batch_size(2).epochs(2).validation_split(0.3).verbose(0).callbacks(two());
        model.fit(&Data::new(ones(14), ones(14)), fit).unwrap();
        assert_eq!(json!(std::mem::take(&mut *calls.lock().unwrap())), case["fit"], "fit, {steps} at a time");
        let [a, b] = two();
        model.evaluate(&Data::new(ones(10), ones(10)), Evaluate::new().batch_size(2).callback(a).callback(b)).unwrap();
        assert_eq!(json!(std::mem::take(&mut *calls.lock().unwrap())), case["evaluate"], "evaluate, {steps} at a time");
        let [a, b] = two();
        model.predict_with(&Data::inputs(ones(10)), Predict::new().batch_size(2).callback(a).callback(b)).unwrap();
        assert_eq!(json!(std::mem::take(&mut *calls.lock().unwrap())), case["predict"], "predict, {steps} at a time");
    }
}

}

#[test]
fn checkpoints_say_which_names_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut save = callbacks::ModelCheckpoint::new(folder.path().join("{val_loss:.2f}.keras"));
    let model = model();
    let mut run = Run::new(&model, 1, None, 0);
    save.on_train_begin(&mut run).unwrap();
    let error = save.on_epoch_end(0, &mut Logs::from([("loss".to_owned(), 1.0)]), &mut run).unwrap_err();
    assert!(matches!(error, Error::Argument(_)));
    assert!(error.to_string().contains("val_loss") && error.to_string().contains("epoch, loss"), "{error}");
}

#[test]
fn learning_rates_follow_the_function() {
    let model = model();
    let mut run = Run::new(&model, 3, None, 0);
    let mut scheduler = LearningRateScheduler::new(|epoch, rate| if epoch == 0 { rate } else { rate * 0.5 });
    let mut seen = Vec::new();
    for i in 0..3 {
        let mut logs = Logs::new();
        epoch(&mut scheduler, &mut run, i, 1, &mut logs).unwrap();
        seen.push(logs["learning_rate"]);
    }
    assert_eq!(seen, [0.5, 0.25, 0.125]);
    assert_eq!(learning_rate(&model), 0.125);
}

#[test]
fn a_list_calls_all_in_order_and_history_keeps_what_they_add() {
    let model = model();
    let mut run = Run::new(&model, 2, None, 0);
    let history = History::new();
    let mut list = List::new();
    assert!(!list.wants_batch_logs());
    list.push(LambdaCallback::new().on_epoch_end(|epoch, logs, run| {
        logs.insert("added".into(), epoch as f64);
        if epoch == 1 {
            run.stop_training();
        }
        Ok(())
    }));
    list.push(history.clone());
    list.push(callbacks::TerminateOnNaN::new());
    assert!(list.wants_batch_logs() && list.len() == 3);
    list.on_train_begin(&mut run).unwrap();
    for i in 0..2 {
        epoch(&mut list, &mut run, i, 1, &mut Logs::from([("loss".to_owned(), 1.0)])).unwrap();
    }
    assert!(run.stopped());
    assert_eq!(history.epochs(), [0, 1]);
    assert_eq!(history.logs()["added"], [0.0, 1.0]);
    let failing = LambdaCallback::new().on_train_begin(|_| Err(Error::training("hook", "no", "none")));
    list.push(failing);
    assert!(list.on_train_begin(&mut run).is_err());
}

#[test]
fn an_invalid_loss_is_an_error_if_wanted() {
    let model = model();
    let mut run = Run::new(&model, 1, None, 0);
    let mut terminate = callbacks::TerminateOnNaN::new().raise_error(true);
    let error = terminate.on_train_batch_end(3, &Logs::from([("loss".to_owned(), f64::NAN)]), &mut run).unwrap_err();
    assert!(matches!(error, Error::Training(_)) && error.to_string().contains("batch 3"), "{error}");
}

#[test]
fn lines_are_added_to_a_file_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    // A run that was killed while it wrote.
    std::fs::write(&path, "epoch,loss,val_loss\r\n0,1.0,N").unwrap();
    let model = model();
    let mut run = Run::new(&model, 1, None, 0);
    let mut log = callbacks::CSVLogger::new(&path).append(true);
    log.on_train_begin(&mut run).unwrap();
    epoch(&mut log, &mut run, 1, 1, &mut Logs::from([("loss".to_owned(), 0.5)])).unwrap();
    log.on_train_end(&Logs::new(), &mut run).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "epoch,loss,val_loss\r\n0,1.0,N\r\n1,0.5,NA\r\n");
}

#[test]
fn curves_are_written_to_two_folders() {
    let folder = tempfile::tempdir().unwrap();
    let model = model();
    let mut run = Run::new(&model, 2, None, 0);
    let mut board = callbacks::TensorBoard::new(folder.path()).update_freq(callbacks::UpdateFreq::Batches(2));
    assert!(board.wants_batch_logs());
    board.on_train_begin(&mut run).unwrap();
    for i in 0..2 {
        let mut logs = Logs::from([("loss".to_owned(), 0.5), ("val_loss".to_owned(), 0.25 + i as f64)]);
        epoch(&mut board, &mut run, i, 3, &mut logs).unwrap();
        board.on_test_end(&Logs::from([("loss".to_owned(), 0.75)]), &mut run).unwrap();
    }
    board.on_train_end(&Logs::new(), &mut run).unwrap();
    let curves = |name: &str| -> Vec<(String, i64, f32)> {
        let names = files(&folder.path().join(name));
        assert_eq!(names.len(), 1);
        let read = tfevents::read(folder.path().join(name).join(&names[0])).unwrap();
        read.into_iter().map(|s| (s.tag, s.step, s.value)).collect()
    };
    let point = |tag: &str, step: i64, value: f32| (tag.to_owned(), step, value);
    assert_eq!(
        curves("train"),
        [
            point("batch_loss", 2, 0.5),
            point("epoch_loss", 0, 0.5),
            point("epoch_learning_rate", 0, 0.5),
            point("batch_loss", 4, 0.5),
            point("batch_loss", 6, 0.5),
            point("epoch_loss", 1, 0.5),
            point("epoch_learning_rate", 1, 0.5),
        ]
    );
    assert_eq!(
        curves("validation"),
        [
            point("epoch_loss", 0, 0.25),
            point("evaluation_loss_vs_iterations", 0, 0.75),
            point("epoch_loss", 1, 1.25),
            point("evaluation_loss_vs_iterations", 0, 0.75),
        ]
    );
}
