//! The benchmark workloads: the same models, batch sizes and numbers of steps as the peers' scripts time, all trained with
//! Adam(1e-3), sparse cross-entropy from logits and accuracy.

#![forbid(unsafe_code)]

mod models;
mod profile;

use std::time::Instant;

use rhyton::prelude::*;
use rhyton::random;

pub use profile::{KernelTime, Profile};

/// A model to train on random data.
pub struct Workload {
    /// The name, as the peers' scripts have it.
    pub name: &'static str,
    build: fn() -> Result<Model>,
    batch: usize,
    shape: &'static [usize],
    /// Batches an epoch.
    pub steps: usize,
}

/// Every workload.
pub const WORKLOADS: &[Workload] = &[
    Workload { name: "train_mlp", build: models::mlp, batch: 128, shape: &[784], steps: 40 },
    Workload { name: "train_cnn", build: models::cnn, batch: 128, shape: &[28, 28, 1], steps: 8 },
    Workload { name: "train_resnet", build: models::resnet, batch: 64, shape: &[32, 32, 3], steps: 6 },
    Workload { name: "train_lstm", build: models::lstm, batch: 32, shape: &[100, 64], steps: 8 },
    Workload { name: "train_transformer", build: models::transformer, batch: 16, shape: &[128, 256], steps: 6 },
];

/// What was measured: milliseconds a step.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The fastest epoch.
    pub min_ms: f64,
    /// The median epoch.
    pub median_ms: f64,
    /// Batches an epoch.
    pub steps: usize,
}

/// How many epochs are timed, after one that is not.
const RUNS: usize = 5;

impl Workload {
    /// The workload named `name`.
    pub fn find(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|w| w.name == name)
    }

    /// The compiled model and its data.
    ///
    /// # Errors
    /// If the model cannot be built.
    pub fn prepare(&self) -> Result<(Model, Data)> {
        let model = (self.build)()?;
        let loss = SparseCategoricalCrossentropy::new().from_logits(true);
        model.compile(Adam::new(1e-3), loss, ["accuracy"])?;
        let samples = self.batch * self.steps;
        let shape: Vec<usize> = std::iter::once(samples).chain(self.shape.iter().copied()).collect();
        let x = random::normal(shape, 0.0, 1.0, DType::F32, 0)?.eval()?;
        let y = random::uniform([samples], 0.0, 10.0, DType::F32, 1)?.eval()?.cast(DType::I32);
        Ok((model, Data::new(x, y)))
    }

    /// Times epochs of `fit`, as the peers do.
    ///
    /// # Errors
    /// If the model cannot be trained.
    pub fn time(&self) -> Result<Timing> {
        let (model, data) = self.prepare()?;
        let epoch = || model.fit(&data, Fit::new().batch_size(self.batch).verbose(0));
        epoch()?;
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let start = Instant::now();
            epoch()?;
            times.push(start.elapsed().as_secs_f64() * 1e3 / self.steps as f64);
        }
        times.sort_by(f64::total_cmp);
        Ok(Timing { min_ms: times[0], median_ms: times[RUNS / 2], steps: self.steps })
    }
}
