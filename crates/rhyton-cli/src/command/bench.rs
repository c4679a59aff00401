//! `rhyton bench`: times the benchmark workloads.

use clap::Args;
use rhyton_bench::{WORKLOADS, Workload};
use serde_json::json;

use crate::error::{Error, Result};

#[derive(Args)]
#[command(after_help = "Example: rhyton bench train_mlp train_cnn")]
pub struct Bench {
    /// Workloads; all unless said
    names: Vec<String>,
    /// Print one JSON object a workload
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<()> {
        let chosen: Vec<&Workload> = if self.names.is_empty() {
            WORKLOADS.iter().collect()
        } else {
            self.names.iter().map(|name| find(name)).collect::<Result<_>>()?
        };
        for workload in chosen {
            let timing = workload.time()?;
            if self.json {
                let (min, median) = (round(timing.min_ms), round(timing.median_ms));
                println!(
                    "{}",
                    json!({"name": workload.name, "min_ms": min, "median_ms": median, "steps": timing.steps})
                );
            } else {
                println!("{}\t{:.3}\t{:.3}\t{}", workload.name, timing.min_ms, timing.median_ms, timing.steps);
            }
        }
        Ok(())
    }
}

fn find(name: &str) -> Result<&'static Workload> {
    Workload::find(name).ok_or_else(|| {
        let known: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
        Error::new(format!("there is no workload {name}; there are {}", known.join(", ")))
    })
}

/// Microseconds are the last digit worth printing.
fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}
