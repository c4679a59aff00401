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
    for key in ["filepath", "filename", "backup_dir"] {
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
        if matches!(case["class_name"].as_str(), Some("ModelCheckpoint" | "BackupAndRestore")) {
            assert_eq!(json!(files(folder.path())), expected["files"], "{label}, epoch {i}");
        }
        if !expected["backup"].is_null() {
            let text = std::fs::read(folder.path().join("backup/training_metadata.json")).unwrap();
            let place: Value = serde_json::from_slice(&text).unwrap();
            for key in ["epoch", "batch"] {
                assert_eq!(place[key], expected["backup"][key], "{label}, epoch {i}");
            }
        }
    }
    callback.on_train_end(&Logs::new(), &mut run).unwrap();
    assert_eq!(weight(&model), case["weight"].as_f64().unwrap(), "{label}");
    if case["class_name"] == "BackupAndRestore" {
        assert_eq!(json!(files(folder.path())), case["left"], "{label}");
    }
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

#[test]
fn unknown_callbacks_and_arguments_are_named() {
    let error = |value: Value| callbacks::from_json(&value).err().unwrap().to_string();
    assert!(error(json!(["EarlyStoping"])).contains("EarlyStoping"));
    let text = error(json!([{"class_name": "EarlyStopping", "config": {"patients": 3}}]));
    assert!(text.contains("patients") && text.contains("patience"), "{text}");
    assert!(error(json!([{"class_name": "ModelCheckpoint", "config": {"filepath": "model.pt"}}])).contains("model.pt"));
    assert!(error(json!([{"class_name": "ReduceLROnPlateau", "config": {"factor": 2.0}}])).contains("factor"));
    assert!(error(json!(["LambdaCallback"])).contains("function"));
    assert!(error(json!(["RemoteMonitor"])).contains("CSVLogger"));
    assert!(error(json!(["BackupAndRestore"])).contains("backup_dir"));
    let text = error(json!([{"class_name": "BackupAndRestore", "config": {"backup_dir": "b", "save_freq": false}}]));
    assert!(text.contains("save_freq"), "{text}");
    assert!(error(json!({"class_name": "EarlyStopping"})).contains("not a list"));
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

/// A network whose weights are the same each time, and data for it.
fn regression() -> (Model, Data) {
    let kernel = Array::new([2, 1], vec![0.5f32, -0.25]);
    let model = Sequential::new().add(Input::new([2])).add(Dense::new(1));
    model.set_weights(&[kernel, Array::new([1], vec![0.0f32])]).unwrap();
    model.compile_with(Compile::new(Adam::new(0.05)).loss("mse")).unwrap();
    let x: Vec<f32> = (0..40).map(|i| (i as f32 * 0.7).sin()).collect();
    let y: Vec<f32> = (0..20).map(|i| (i as f32 * 0.3).cos()).collect();
    (model, Data::new(Array::new([20, 2], x), Array::new([20, 1], y)))
}

/// Five steps an epoch, in the same shuffled order each time.
fn options<'f>() -> Fit<'f> {
    Fit::new().batch_size(4).epochs(3).seed(3).verbose(0)
}

/// Ends a run with an error after some steps.
fn crash<'c>(steps: usize) -> LambdaCallback<'c> {
    let mut left = steps;
    LambdaCallback::new().on_train_batch_end(move |_, _, _| {
        left -= 1;
        if left == 0 { Err(Error::training("test", "the power failed", "none")) } else { Ok(()) }
    })
}

#[test]
fn a_training_that_was_cut_off_goes_on_with_the_next_step() {
    let (whole, data) = regression();
    whole.fit(&data, options()).unwrap();
    // Steps done when the run crashes, and the epoch and step with which the next goes on: backups are made after 3, 6, 9, ….
    for (crashed, epoch, step) in [(2, 0, 0), (4, 0, 3), (8, 1, 1), (13, 2, 2), (15, 3, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let backup = || callbacks::BackupAndRestore::new(folder.path()).save_freq(callbacks::SaveFreq::Batches(3));
        let (first, _) = regression();
        assert!(first.fit(&data, options().callback(backup()).callback(crash(crashed))).is_err());
        let (second, _) = regression();
        let mut begun = Vec::new();
        let history = second.fit(
            &data,
            options().callback(backup()).callback(LambdaCallback::new().on_train_batch_begin(|step, _| {
                begun.push(step);
                Ok(())
            })),
        );
        let history = history.unwrap();
        assert_eq!(history.epoch, (epoch..3).collect::<Vec<_>>(), "after {crashed} steps");
        assert_eq!(begun.first().copied().unwrap_or(0), step, "after {crashed} steps");
        assert_eq!(second.get_weights().unwrap(), whole.get_weights().unwrap(), "after {crashed} steps");
        assert!(!folder.path().join("latest.weights.h5").exists(), "the training is complete");
    }
}

#[test]
fn a_damaged_backup_is_replaced_by_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let backup = || callbacks::BackupAndRestore::new(folder.path()).double_checkpoint(true);
    let (model, data) = regression();
    assert!(model.fit(&data, options().callback(backup()).callback(crash(12))).is_err());
    std::fs::write(folder.path().join("latest.weights.h5"), b"half a file").unwrap();
    let (again, _) = regression();
    let history = again.fit(&data, options().callback(backup().delete_checkpoint(false))).unwrap();
    assert_eq!(history.epoch, [1, 2]);
    assert!(folder.path().join("latest.weights.h5").exists());
    let (whole, _) = regression();
    whole.fit(&data, options()).unwrap();
    assert_eq!(again.get_weights().unwrap(), whole.get_weights().unwrap());

    let unbuilt = Sequential::new().add(Dense::new(1));
    unbuilt.compile_with(Compile::new(SGD::new(0.1)).loss("mse")).unwrap();
    let error = unbuilt.fit(&data, options().callback(backup())).unwrap_err().to_string();
    assert!(error.contains("BackupAndRestore") && error.contains("Input"), "{error}");
}

#[test]
fn an_interrupted_training_keeps_its_backup() {
    let folder = tempfile::tempdir().unwrap();
    let flag = Arc::new(AtomicBool::new(false));
    let press = LambdaCallback::new().on_epoch_end(|epoch, _, _| {
        flag.store(epoch == 1, Ordering::Relaxed);
        Ok(())
    });
    let (model, data) = regression();
    let fit = options().interrupt(Arc::clone(&flag)).callback(callbacks::BackupAndRestore::new(folder.path()));
    assert!(model.fit(&data, fit.callback(press)).unwrap().interrupted);
    assert!(folder.path().join("training_metadata.json").exists());
}

#[test]
fn averages_are_in_the_model_while_it_is_evaluated_or_predicts() {
    let (model, data) = regression();
    model.compile_with(Compile::new(SGD::new(0.1).use_ema(true).ema_momentum(0.5)).loss("mse")).unwrap();
    model.train_on_batch(&data).unwrap();
    model.train_on_batch(&data).unwrap();
    let weights = || model.get_weights().unwrap();
    let averages: Vec<Array> =
        model.optimizer().unwrap().averages().iter().map(|(_, average)| average.array().unwrap()).collect();
    let trained = weights();
    assert_ne!(trained, averages);
    let mut seen = Vec::new();
    struct Look<'l>(&'l mut Vec<Vec<Array>>);
    impl Callback for Look<'_> {
        fn on_test_begin(&mut self, run: &mut Run) -> Result<()> {
            self.0.push(run.model.get_weights()?);
            Ok(())
        }
        fn on_predict_begin(&mut self, run: &mut Run) -> Result<()> {
            self.0.push(run.model.get_weights()?);
            Ok(())
        }
    }
    let swap = callbacks::SwapEMAWeights::new;
    model.evaluate(&data, Evaluate::new().callback(swap()).callback(Look(&mut seen))).unwrap();
    assert_eq!(weights(), trained);
    model.predict_with(&data, Predict::new().callback(swap()).callback(Look(&mut seen))).unwrap();
    assert_eq!(weights(), trained);
    assert_eq!(seen, [averages.clone(), averages]);

    let (plain, _) = regression();
    let error = plain.evaluate(&data, Evaluate::new().callback(swap())).unwrap_err().to_string();
    assert!(error.contains("use_ema"), "{error}");
}
