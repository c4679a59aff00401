//! `rhyton bench`: times the benchmark workloads, or says where the time of one goes.

use std::path::PathBuf;

use clap::Args;
use rhyton::ir::backend::Peaks;
use rhyton_bench::{KernelTime, Profile, WORKLOADS, Workload};
use serde_json::{Value, json};

use super::{Common, write_text};
use crate::error::{Error, Result};
use crate::output::{print, print_line};

#[derive(Args)]
#[command(after_help = "Example: rhyton bench train_mlp train_cnn\n         rhyton bench --profile train_cnn")]
pub struct Bench {
    /// Workloads; all unless said
    names: Vec<String>,
    /// Print one JSON object a workload
    #[arg(long)]
    json: bool,
    /// Print where the time of a step goes, kernel by kernel
    #[arg(long)]
    profile: bool,
    /// Also write the steps of every kernel in Chrome's trace format; for one workload
    #[arg(long, value_name = "FILE.json", requires = "profile")]
    trace: Option<PathBuf>,
}

impl Bench {
    pub(super) fn run(self, common: &Common) -> Result<()> {
        let chosen: Vec<&Workload> = if self.names.is_empty() {
            WORKLOADS.iter().collect()
        } else {
            self.names.iter().map(|name| find(name)).collect::<Result<_>>()?
        };
        if self.trace.is_some() && chosen.len() != 1 {
            return Err(Error::new(format!("--trace: {} workloads do not fit into one file; name one", chosen.len())));
        }
        for workload in chosen {
            if self.profile {
                let profile = workload.profile()?;
                if let Some(path) = &self.trace {
                    write_text(path, &trace(&profile).to_string())?;
                    common
                        .say(format_args!("wrote {}; open it in chrome://tracing or ui.perfetto.dev", path.display()));
                }
                if self.json {
                    print_line(as_json(workload.name, &profile))?
                } else {
                    print(table(workload.name, &profile))?
                }
                continue;
            }
            let timing = workload.time()?;
            if self.json {
                let (min, median) = (round(timing.min_ms), round(timing.median_ms));
                print_line(json!({"name": workload.name, "min_ms": min, "median_ms": median, "steps": timing.steps}))?;
            } else {
                let (name, steps) = (workload.name, timing.steps);
                print_line(format_args!("{name}\t{:.3}\t{:.3}\t{steps}", timing.min_ms, timing.median_ms))?;
            }
        }
        Ok(())
    }
}

fn find(name: &str) -> Result<&'static Workload> {
    Workload::find(name).ok_or_else(|| {
        let known: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
        Error::new(format!("there is no workload {name}; choose from {}", known.join(", ")))
    })
}

/// Microseconds are the last digit worth printing.
fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// Kernels below this share of the time are summed up in one line.
const SMALLEST_SHARE: f64 = 0.002;

/// The kernels of a profile as lines, those that took most of the time first.
fn table(name: &str, profile: &Profile) -> String {
    let steps = profile.steps as f64;
    let mut out = format!("{name}: {:.3} ms a step over {} steps", profile.seconds * 1e3 / steps, profile.steps);
    if let Some(peaks) = profile.peaks {
        out += &format!("; the machine does {:.1} GFLOP/s and {:.1} GB/s", peaks.flops / 1e9, peaks.bytes / 1e9);
    }
    out += "\n ms/step  share  calls/step   GFLOP/s (peak)     GB/s (peak)  kernel\n";
    let kernels = profile.kernels();
    let (shown, small): (Vec<_>, Vec<_>) =
        kernels.into_iter().partition(|k| k.seconds >= SMALLEST_SHARE * profile.seconds);
    for kernel in &shown {
        out += &row(kernel, profile);
    }
    if !small.is_empty() {
        let sum = |pick: fn(&KernelTime) -> u64| small.iter().map(pick).sum();
        let rest = KernelTime {
            name: format!("{} more", small.len()),
            calls: small.iter().map(|k| k.calls).sum(),
            seconds: small.iter().map(|k| k.seconds).sum(),
            flops: sum(|k| k.flops),
            bytes: sum(|k| k.bytes),
        };
        out += &row(&rest, profile);
    }
    let outside = profile.outside();
    out += &format!(
        "{:8.3} {:5.1}%  in no kernel: batches, callbacks, the profile itself\n",
        outside * 1e3 / steps,
        100.0 * outside / profile.seconds
    );
    out
}

fn row(kernel: &KernelTime, profile: &Profile) -> String {
    let steps = profile.steps as f64;
    let rate = |amount: u64, peak: fn(&Peaks) -> f64| match amount {
        0 => format!("{:>16}", "-"),
        _ => {
            let rate = amount as f64 / kernel.seconds.max(1e-9);
            let share = profile.peaks.as_ref().map(|p| format!(" ({:3.0}%)", 100.0 * rate / peak(p)));
            format!("{:9.1}{:>7}", rate / 1e9, share.unwrap_or_default())
        }
    };
    format!(
        "{:8.3} {:5.1}% {:11.1} {} {}  {}\n",
        kernel.seconds * 1e3 / steps,
        100.0 * kernel.seconds / profile.seconds,
        kernel.calls as f64 / steps,
        rate(kernel.flops, |p| p.flops),
        rate(kernel.bytes, |p| p.bytes),
        kernel.name
    )
}

fn as_json(name: &str, profile: &Profile) -> Value {
    let kernel = |k: KernelTime| json!({"name": k.name, "calls": k.calls, "seconds": k.seconds, "flops": k.flops, "bytes": k.bytes});
    let kernels: Vec<Value> = profile.kernels().into_iter().map(kernel).collect();
    json!({
        "name": name,
        "steps": profile.steps,
        "seconds": profile.seconds,
        "outside_seconds": profile.outside(),
        "peak_flops": profile.peaks.map(|p| p.flops),
        "peak_bytes": profile.peaks.map(|p| p.bytes),
        "kernels": kernels,
    })
}

/// Every run and step as a complete event of Chrome's trace format; times are microseconds.
fn trace(profile: &Profile) -> Value {
    let mut events = Vec::new();
    let mut event = |name: &str, start: f64, seconds: f64, arguments: Value| {
        events.push(json!({
            "name": name, "ph": "X", "pid": 0, "tid": 0, "ts": start * 1e6, "dur": seconds * 1e6, "args": arguments
        }));
    };
    for run in &profile.runs {
        event(&format!("program {}", run.program), run.start, run.seconds, json!({}));
        for step in &run.steps {
            let arguments = json!({"flops": step.flops, "bytes": step.bytes});
            event(&step.name, run.start + step.start, step.seconds, arguments);
        }
    }
    json!({"traceEvents": events, "displayTimeUnit": "ms"})
}
