//! What the README opens up, at work: a loss, a metric, a callback and a training step of one's own, in one training.

use rhyton::callbacks::{Callback, Logs, Run};
use rhyton::metrics::{Metric, MetricBase, MetricRef};
use rhyton::prelude::*;
use rhyton::{keras_object, losses};
use serde::Serialize;

/// The largest error so far.
#[derive(Clone, Debug, Default, Serialize)]
struct MaxError {
    #[serde(skip)]
    base: MetricBase,
}

keras_object!(MaxError);

impl Metric for MaxError {
    fn base(&self) -> &MetricBase {
        &self.base
    }

    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, _: Option<&Tensor>) -> Result<()> {
        let largest = self.add_variable("largest", &[]);
        let error = ops::max(&ops::absolute(&(y_true - y_pred)), Axes::All, false);
        largest.assign(ops::maximum(largest.value(), error))
    }

    fn result(&self) -> Result<Tensor> {
        Ok(self.add_variable("largest", &[]).value())
    }
}

/// Ends the training once the loss is good enough.
struct StopBelow(f64);

impl Callback for StopBelow {
    fn on_epoch_end(&mut self, _: usize, logs: &mut Logs, run: &mut Run) -> Result<()> {
        if logs["loss"] < self.0 {
            run.stop_training();
        }
        Ok(())
    }
}

/// Trains on inputs with noise-free copies of themselves turned around: twice as many samples a step.
struct Mirrored;

impl Steps for Mirrored {
    fn train_step(&self, model: &Model, batch: &Batch) -> Result<StepLogs> {
        let mirrored = |nest: &Nest| nest.map(&mut |t| Ok(ops::concatenate(&[t.clone(), -t], 0)));
        let batch =
            Batch { x: mirrored(&batch.x)?, y: batch.y.as_ref().map(mirrored).transpose()?, sample_weight: None };
        model.default_train_step(&batch)
    }
}

/// Points of `y = 2·x`, all with `x > 0`.
fn data() -> Data {
    let x: Vec<f32> = (1..=32).map(|i| i as f32 / 32.0).collect();
    let y: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
    Data::new(Array::new([32, 1], x), Array::new([32, 1], y))
}

fn model() -> Model {
    rhyton::random::set_random_seed(3);
    Sequential::new().add(Input::new([1])).add(Dense::new(1))
}

#[test]
fn a_loss_a_metric_a_callback_and_a_step_of_ones_own_train_a_model() {
    let model = model();
    let cubed = losses::custom("cubed", |y_true, y_pred| {
        let error = ops::absolute(&(y_true - y_pred));
        ops::mean(&(&error * &error * &error), -1, false)
    });
    let metric = MetricRef::from(MaxError::default());
    let compile = Compile::new(SGD::new(0.3)).loss(cubed).metrics(metric).steps(Mirrored);
    model.compile_with(compile).unwrap();
    let fit = Fit::new().epochs(400).batch_size(8).verbose(0).callback(StopBelow(1e-3));
    let history = model.fit(&data(), fit).unwrap();

    let (loss, worst) = (history.get("loss"), history.get("max_error"));
    assert!(loss.len() < 400 && *loss.last().unwrap() < 1e-3, "{} epochs, {:?}", loss.len(), loss.last());
    assert_eq!(worst.len(), loss.len());
    // The mean of |error|³ is at most the largest error to the third.
    assert!(loss.iter().zip(&worst).all(|(l, w)| *l <= w.powi(3) * (1.0 + 1e-5)), "{loss:?} {worst:?}");
    // The samples and their mirror images leave no slope for the bias, which starts at 0.
    let weights = model.get_weights().unwrap();
    let (kernel, bias) = (weights[0].to_f64_vec()[0], weights[1].to_f64_vec()[0]);
    assert!((kernel - 2.0).abs() < 0.3 && bias.abs() < 1e-6, "{kernel} {bias}");
}

#[test]
fn without_the_step_of_ones_own_the_bias_moves() {
    let model = model();
    model.compile(SGD::new(0.3), "mse", None::<MetricRef>).unwrap();
    model.fit(&data(), Fit::new().epochs(1).batch_size(8).verbose(0)).unwrap();
    assert!(model.get_weights().unwrap()[1].to_f64_vec()[0].abs() > 1e-3);
}
