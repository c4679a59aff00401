//! The benchmark workloads: the same models, batch sizes and numbers of steps as the peers' scripts time. Those that train do
//! so with Adam(1e-3), sparse cross-entropy from logits and accuracy; those that infer apply a model with random weights.

#![forbid(unsafe_code)]

mod models;
mod profile;

use std::time::Instant;

use rhyton::prelude::*;
use rhyton::random;

pub use profile::{KernelTime, Profile};

/// A model to train on random data, or to apply to it.
#[derive(Clone, Copy)]
pub struct Workload {
    /// The name, as the peers' scripts have it.
    pub name: &'static str,
    task: Task,
    build: fn() -> Result<Model>,
    batch: usize,
    shape: &'static [usize],
    /// Batches an epoch; 1 where the model is only applied.
    pub steps: usize,
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Epochs of `fit`.
    Train,
    /// Calls of `predict_on_batch`.
    Infer,
}

/// A row of [`WORKLOADS`] that trains.
const fn train(
    name: &'static str,
    build: fn() -> Result<Model>,
    batch: usize,
    shape: &'static [usize],
    steps: usize,
) -> Workload {
    Workload { name, task: Task::Train, build, batch, shape, steps }
}

/// A row of [`WORKLOADS`] that applies a model with random weights.
const fn infer(name: &'static str, build: fn() -> Result<Model>, batch: usize, shape: &'static [usize]) -> Workload {
    Workload { name, task: Task::Infer, build, batch, shape, steps: 1 }
}

/// Every workload.
pub const WORKLOADS: &[Workload] = &[
    train("train_mlp", models::mlp, 128, &[784], 40),
    train("train_cnn", models::cnn, 128, &[28, 28, 1], 8),
    train("train_resnet", models::resnet, 64, &[32, 32, 3], 6),
    train("train_lstm", models::lstm, 32, &[100, 64], 8),
    train("train_transformer", models::transformer, 16, &[128, 256], 6),
    train("train_transfer_xception", models::transfer, 16, &[180, 180, 3], 2),
    train("train_efficientnetb0", models::finetune, 16, &[96, 96, 3], 2),
    infer("infer_mobilenetv2_b1", models::mobilenetv2, 1, &[224, 224, 3]),
    infer("infer_mobilenetv2_b8", models::mobilenetv2, 8, &[224, 224, 3]),
    infer("infer_efficientnetb0_b1", models::efficientnetb0, 1, &[224, 224, 3]),
    infer("infer_efficientnetb0_b8", models::efficientnetb0, 8, &[224, 224, 3]),
    infer("infer_xception_b1", models::xception, 1, &[299, 299, 3]),
    infer("infer_xception_b8", models::xception, 8, &[299, 299, 3]),
    infer("infer_resnet50_b1", models::resnet50, 1, &[224, 224, 3]),
    infer("infer_resnet50_b8", models::resnet50, 8, &[224, 224, 3]),
];

/// What was measured: milliseconds a step.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The fastest run.
    pub min_ms: f64,
    /// The median run.
    pub median_ms: f64,
    /// Steps a run.
    pub steps: usize,
}

impl Task {
    /// How many epochs or calls are timed, after one that is not.
    const fn runs(self) -> usize {
        match self {
            Task::Train => 5,
            Task::Infer => 9,
        }
    }
}

impl Workload {
    /// The workload named `name`.
    pub fn find(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|w| w.name == name)
    }

    /// The same with another batch size.
    #[must_use]
    pub fn with_batch(self, batch: usize) -> Workload {
        Workload { batch, ..self }
    }

    /// The model, compiled if it trains, and its data.
    ///
    /// # Errors
    /// If the model cannot be built.
    pub fn prepare(&self) -> Result<(Model, Data)> {
        let model = (self.build)()?;
        let samples = self.batch * self.steps;
        let shape: Vec<usize> = std::iter::once(samples).chain(self.shape.iter().copied()).collect();
        let x = random::normal(shape, 0.0, 1.0, DType::F32, 0)?.eval()?;
        if self.task == Task::Infer {
            return Ok((model, Data::inputs(x)));
        }
        let loss = SparseCategoricalCrossentropy::new().from_logits(true);
        model.compile(Adam::new(1e-3), loss, ["accuracy"])?;
        let y = random::uniform([samples], 0.0, 10.0, DType::F32, 1)?.eval()?.cast(DType::I32);
        Ok((model, Data::new(x, y)))
    }

    /// Trains for an epoch, or predicts.
    fn run(&self, model: &Model, data: &Data) -> Result<()> {
        match self.task {
            Task::Train => model.fit(data, Fit::new().batch_size(self.batch).verbose(0)).map(drop),
            Task::Infer => model.predict_with(data, Predict::new().batch_size(self.batch)).map(drop),
        }
    }

    /// Times epochs of `fit`, or calls of `predict_on_batch`, as the peers do.
    ///
    /// # Errors
    /// If the model cannot be trained or applied.
    pub fn time(&self) -> Result<Timing> {
        let (model, data) = self.prepare()?;
        let run = || self.run(&model, &data);
        run()?;
        let mut times = Vec::with_capacity(self.task.runs());
        for _ in 0..self.task.runs() {
            let start = Instant::now();
            run()?;
            times.push(start.elapsed().as_secs_f64() * 1e3 / self.steps as f64);
        }
        times.sort_by(f64::total_cmp);
        Ok(Timing { min_ms: times[0], median_ms: times[times.len() / 2], steps: self.steps })
    }
}
