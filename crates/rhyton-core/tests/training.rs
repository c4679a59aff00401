//! Training as users meet it: histories, validation, weights, interruption, and steps run in different ways.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rhyton_core::callbacks::{Callback, EarlyStopping, LambdaCallback, Logs, ModelCheckpoint, Run};
use rhyton_core::initializers::GlorotUniform;
use rhyton_core::prelude::*;
use rhyton_core::trainer::Batch;

/// Points on a line with three features.
fn line(samples: usize) -> Data {
    let x: Vec<f32> = (0..3 * samples).map(|i| ((i * 37 % 19) as f32 - 9.0) / 9.0).collect();
    let y: Vec<f32> = x.chunks(3).map(|r| 0.5 * r[0] - 1.5 * r[1] + 2.0 * r[2] + 0.25).collect();
    Data::new(Array::new([samples, 3], x), Array::new([samples, 1], y))
}

/// The same weights each time: the seed is the initializer's own, since tests beside this one draw from the global one.
fn linear() -> Model {
    Sequential::new().add(Input::new([3])).add(Dense::new(1).kernel_initializer(GlorotUniform::new().seed(7)))
}

fn weights(model: &Model) -> Vec<f64> {
    model.get_weights().unwrap().iter().flat_map(|w| w.to_f64_vec()).collect()
}

#[test]
fn a_linear_model_finds_the_line() {
    let model = linear();
    model.compile(SGD::new(0.3), "mse", ["mae"]).unwrap();
    let history = model.fit(&line(64), Fit::new().epochs(60).verbose(0)).unwrap();
    assert_eq!(history.history.keys().collect::<Vec<_>>(), ["loss", "mae"]);
    assert!(history.get("loss")[59] < 1e-4, "{:?}", history.get("loss"));
    for (found, wanted) in weights(&model).iter().zip([0.5, -1.5, 2.0, 0.25]) {
        assert!((found - wanted).abs() < 0.05, "{found} for {wanted}");
    }
}

#[test]
fn validation_metrics_follow_those_of_training() {
    let model = linear();
    model.compile(SGD::new(0.1), "mse", ["mae"]).unwrap();
    let history = model.fit(&line(40), Fit::new().epochs(2).validation_split(0.25).verbose(0)).unwrap();
    assert_eq!(history.history.keys().collect::<Vec<_>>(), ["loss", "mae", "val_loss", "val_mae"]);
    assert_eq!(history.get("val_loss").len(), 2);
}

#[test]
fn eager_steps_and_compiled_steps_train_alike() {
    let train = |eager: bool| {
        let model = linear();
        model.compile_with(Compile::new(Adam::new(0.01)).loss("mse").run_eagerly(eager)).unwrap();
        let history = model.fit(&line(20), Fit::new().epochs(3).batch_size(8).shuffle(false).verbose(0)).unwrap();
        (history.get("loss"), weights(&model))
    };
    let ((eager, w), (compiled, v)) = (train(true), train(false));
    for (a, b) in eager.iter().chain(&w).zip(compiled.iter().chain(&v)) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} and {b}");
    }
}

#[test]
fn weights_of_samples_and_classes_count() {
    let trained = |data: &Data, fit: Fit| {
        let model = linear();
        model.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
        model.fit(data, fit.epochs(1).batch_size(4).shuffle(false).verbose(0)).unwrap();
        weights(&model)
    };
    let x = Array::new([4, 3], (0..12).map(|i| i as f32 / 10.0).collect::<Vec<_>>());
    let y = Array::new([4, 1], vec![0.0f32, 1.0, 0.0, 1.0]);
    let plain = Data::new(x.clone(), y.clone());
    let weighted = Data::new(x, y).sample_weight(Array::new([4], vec![2.0f32, 0.5, 2.0, 0.5]));
    let by_class = trained(&plain, Fit::new().class_weight([(0, 2.0), (1, 0.5)]));
    assert_eq!(trained(&weighted, Fit::new()), by_class);
    assert_ne!(trained(&plain, Fit::new()), by_class);
}

#[test]
fn steps_per_execution_changes_when_callbacks_run_but_not_the_weights() {
    #[derive(Default)]
    struct Count(usize);
    impl Callback for Count {
        fn on_train_batch_end(&mut self, _: usize, _: &Logs, _: &mut Run) -> Result<()> {
            self.0 += 1;
            Ok(())
        }
    }
    let train = |steps: usize| {
        let model = linear();
        model.compile_with(Compile::new(SGD::new(0.1)).loss("mse").steps_per_execution(steps)).unwrap();
        let mut count = Count::default();
        model
            .fit(&line(40), Fit::new().batch_size(4).shuffle(false).verbose(0).callback(CallbackRef(&mut count)))
            .unwrap();
        (count.0, weights(&model))
    };
    struct CallbackRef<'c>(&'c mut Count);
    impl Callback for CallbackRef<'_> {
        fn on_train_batch_end(&mut self, batch: usize, logs: &Logs, run: &mut Run) -> Result<()> {
            self.0.on_train_batch_end(batch, logs, run)
        }
    }
    let ((ten, w), (three, v)) = (train(1), train(4));
    assert_eq!((ten, three), (10, 3));
    assert_eq!(w, v);
}

#[test]
fn an_interrupted_training_keeps_what_was_trained() {
    struct Press(Arc<AtomicBool>);
    impl Callback for Press {
        fn on_train_batch_end(&mut self, batch: usize, _: &Logs, _: &mut Run) -> Result<()> {
            self.0.store(batch == 2, Ordering::Relaxed);
            Ok(())
        }
    }
    let model = linear();
    let before = weights(&model);
    model.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
    let flag = Arc::new(AtomicBool::new(false));
    let fit = Fit::new().epochs(5).batch_size(4).verbose(0).interrupt(Arc::clone(&flag)).callback(Press(flag));
    let history = model.fit(&line(40), fit).unwrap();
    assert!(history.interrupted);
    assert_eq!(history.epoch, [0]);
    assert_ne!(weights(&model), before);
}

#[test]
fn an_interruption_leaves_the_best_model_that_was_saved() {
    struct Press(Arc<AtomicBool>);
    impl Callback for Press {
        fn on_epoch_begin(&mut self, epoch: usize, run: &mut Run) -> Result<()> {
            assert!(!run.interrupted());
            self.0.store(epoch == 1, Ordering::Relaxed);
            Ok(())
        }
    }
    let model = linear();
    model.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("best.keras");
    let flag = Arc::new(AtomicBool::new(false));
    let fit = Fit::new()
        .epochs(5)
        .verbose(0)
        .validation_split(0.5)
        .interrupt(Arc::clone(&flag))
        .callback(ModelCheckpoint::new(&path).monitor("val_loss").save_best_only(true))
        .callback(LambdaCallback::new().on_epoch_end({
            let path = path.clone();
            move |epoch, _, run| {
                // Of the first epoch; the second one was cut short and not validated.
                let saved = weights(&rhyton_core::saving::load_model(&path).unwrap());
                assert_eq!(saved == weights(run.model), epoch == 0);
                Ok(())
            }
        }))
        .callback(Press(flag));
    let history = model.fit(&line(40), fit).unwrap();
    assert!(history.interrupted);
    assert_eq!(history.epoch, [0, 1]);
}

#[test]
fn early_stopping_restores_the_best_weights() {
    let model = linear();
    // Steps so large that the loss grows from the first epoch on.
    model.compile(SGD::new(5.0), "mse", Vec::<&str>::new()).unwrap();
    let fit = Fit::new()
        .epochs(10)
        .shuffle(false)
        .verbose(0)
        .callbacks([EarlyStopping::new().monitor("loss").patience(2).restore_best_weights(true)]);
    let history = model.fit(&line(16), fit).unwrap();
    assert_eq!(history.epoch.len(), 3);
    let restored = weights(&model);
    assert!(restored.iter().all(|w| w.is_finite()));
    let again = linear();
    again.compile(SGD::new(5.0), "mse", Vec::<&str>::new()).unwrap();
    again.fit(&line(16), Fit::new().epochs(1).shuffle(false).verbose(0)).unwrap();
    assert_eq!(restored, weights(&again));
}

#[test]
fn a_batch_at_a_time_is_the_same_as_fit() {
    let data = line(8);
    let model = linear();
    model.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
    model.train_on_batch(&data).unwrap();
    let other = linear();
    other.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
    other.fit(&data, Fit::new().shuffle(false).verbose(0)).unwrap();
    assert_eq!(weights(&model), weights(&other));
    let scores = model.test_on_batch(&data).unwrap();
    assert!(scores["loss"].number().unwrap() >= 0.0);
}

#[test]
fn generated_batches_train_like_arrays() {
    let data = line(12);
    let batch = data.as_batch().clone();
    let generated = Generated::new(move |_| std::iter::once(Ok(Batch { ..batch.clone() })).chain(None)).steps(1);
    let trained = |data: &dyn Dataset| {
        let model = linear();
        model.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
        model.fit(data, Fit::new().batch_size(12).shuffle(false).verbose(0)).unwrap();
        weights(&model)
    };
    assert_eq!(trained(&generated), trained(&data));
}

#[test]
fn frozen_layers_keep_their_weights_and_their_statistics() {
    let frozen = Sequential::new().add(Input::new([3])).add(Dense::new(4)).add(BatchNormalization::new());
    frozen.set_trainable(false);
    let before = weights(&frozen);
    let model = Sequential::new().add(Input::new([3])).add(frozen.clone()).add(Dense::new(1));
    model.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
    model.fit(&line(16), Fit::new().epochs(2).verbose(0)).unwrap();
    assert_eq!(weights(&frozen), before);
    assert_eq!(model.trainable_weights().len(), 2);
}

#[test]
fn models_of_unknown_input_shape_are_built_by_their_data() {
    let model = Sequential::new().add(Dense::new(4)).add(Dense::new(1));
    assert!(!model.built());
    model.compile(Adam::new(0.01), "mse", Vec::<&str>::new()).unwrap();
    model.fit(&line(8), Fit::new().verbose(0)).unwrap();
    assert_eq!(model.count_params(), 3 * 4 + 4 + 4 + 1);
}
