//! Where the time of a workload goes, kernel by kernel.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rhyton::backend;
use rhyton::ir::backend::{Backend, Peaks, StepProfile};
use rhyton::ir::profile::{Profiler, RunProfile};
use rhyton::prelude::*;

use crate::{Task, Workload};

/// Where the time of an epoch, or of a few calls, went.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Training steps of the epoch, or calls.
    pub steps: usize,
    /// Wall-clock seconds of all of it.
    pub seconds: f64,
    /// Every program that ran, with every step of it, in order of time.
    pub runs: Vec<RunProfile>,
    /// What the machine can do at most.
    pub peaks: Option<Peaks>,
}

/// All calls of one kernel on operands of the same shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// What it computes.
    pub name: String,
    /// How often it ran.
    pub calls: usize,
    /// Seconds of all calls, without those of kernels that it called.
    pub seconds: f64,
    /// Floating-point operations of all calls.
    pub flops: u64,
    /// Bytes read and written by all calls.
    pub bytes: u64,
}

impl Workload {
    /// Trains for one epoch, or predicts a few batches, after another time that is not counted, and profiles all that runs.
    ///
    /// # Errors
    /// If the model cannot be trained.
    pub fn profile(&self) -> Result<Profile> {
        let plain = backend::current()?;
        let peaks = plain.peaks();
        let profiler = Arc::new(Profiler::new(Arc::clone(&plain)));
        backend::set_current(Arc::clone(&profiler) as Arc<dyn Backend>);
        let profile = self.profile_with(&profiler, peaks);
        backend::set_current(plain);
        profile
    }

    fn profile_with(&self, profiler: &Profiler, peaks: Option<Peaks>) -> Result<Profile> {
        let (model, data) = self.prepare()?;
        let (run, repeats) = (|| self.run(&model, &data), if self.task == Task::Train { 1 } else { 5 });
        run()?;
        profiler.take();
        let start = Instant::now();
        (0..repeats).try_for_each(|_| run())?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Profile { steps: self.steps * repeats, seconds, runs: profiler.take(), peaks })
    }
}

impl Profile {
    /// The kernels, those that took most of the time first.
    pub fn kernels(&self) -> Vec<KernelTime> {
        let mut kernels: Vec<KernelTime> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for run in &self.runs {
            for (i, step) in run.steps.iter().enumerate() {
                let at = *places.entry(&step.name).or_insert_with(|| {
                    kernels.push(KernelTime { name: step.name.clone(), calls: 0, seconds: 0.0, flops: 0, bytes: 0 });
                    kernels.len() - 1
                });
                let (seconds, flops, bytes) = own(step, &run.steps[i + 1..]);
                let kernel = &mut kernels[at];
                kernel.calls += 1;
                kernel.seconds += seconds;
                kernel.flops += flops;
                kernel.bytes += bytes;
            }
        }
        kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        kernels
    }

    /// Seconds of the epoch in no kernel: batches, callbacks, metrics on the host, and what the profile itself costs.
    pub fn outside(&self) -> f64 {
        let within = |run: &RunProfile| run.steps.iter().filter(|s| s.depth == 0).map(|s| s.seconds).sum::<f64>();
        (self.seconds - self.runs.iter().map(within).sum::<f64>()).max(0.0)
    }
}

/// Seconds, operations and bytes of a step without those of the steps within it, which follow it.
fn own(step: &StepProfile, following: &[StepProfile]) -> (f64, u64, u64) {
    let mut own = (step.seconds, step.flops, step.bytes);
    for inner in following.iter().take_while(|s| s.depth > step.depth).filter(|s| s.depth == step.depth + 1) {
        own = (own.0 - inner.seconds, own.1.saturating_sub(inner.flops), own.2.saturating_sub(inner.bytes));
    }
    (own.0.max(0.0), own.1, own.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, depth: usize, seconds: f64, flops: u64) -> StepProfile {
        StepProfile { name: name.into(), depth, start: 0.0, seconds, flops, bytes: flops }
    }

    #[test]
    fn a_loops_own_time_is_without_that_of_its_body() {
        let body = || [step("add", 1, 0.25, 10), step("cond", 1, 0.5, 6), step("add", 2, 0.25, 4)];
        let mut steps = vec![step("scan", 0, 2.0, 32)];
        steps.extend(body());
        steps.extend(body());
        steps.push(step("add", 0, 1.0, 10));
        let run = RunProfile { program: 0, start: 0.0, seconds: 3.5, steps };
        let profile = Profile { steps: 1, seconds: 4.0, runs: vec![run], peaks: None };
        let kernels = profile.kernels();
        let row = |name: &str| kernels.iter().find(|k| k.name == name).unwrap();
        assert_eq!((row("add").calls, row("add").seconds, row("add").flops), (5, 2.0, 38));
        assert_eq!((row("cond").calls, row("cond").seconds, row("cond").flops), (2, 0.5, 4));
        assert_eq!((row("scan").calls, row("scan").seconds, row("scan").flops), (1, 0.5, 0));
        assert_eq!(kernels[0].name, "add");
        assert_eq!(profile.outside(), 1.0);
    }
}
