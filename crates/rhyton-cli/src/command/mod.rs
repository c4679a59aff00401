//! The commands, one file each.

mod bench;
mod convert;
mod data;
mod devices;
mod evaluate;
mod fit;
mod plot;
mod predict;
mod summary;
mod train;
mod weights;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use rhyton::formats::atomic::{check_writable, write_atomically};
use rhyton::prelude::*;
use rhyton::saving::load_model;

use crate::error::{Error, Result};
use crate::output::say;

/// Keras in Rust: train, evaluate, use and inspect Keras models.
#[derive(Parser)]
#[command(
    name = "rhyton",
    version,
    about,
    after_help = "Example: rhyton train\n         rhyton predict runs/digits/model.keras --inputs x.npz --output y.npz"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Args, Clone)]
pub struct Common {
    /// Threads to compute with; one a core unless said
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true)]
    threads: Option<usize>,
    /// Where random numbers start
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Where to compute: cpu
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Print nothing but results and errors
    #[arg(long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model on a built-in data set or a directory of images
    Train(train::Train),
    /// Go on training a saved, compiled model
    Fit(fit::Fit),
    /// Compute the losses and metrics of a saved model on data
    Evaluate(evaluate::Evaluate),
    /// Compute the outputs of a model for inputs
    Predict(predict::Predict),
    /// Print a model as a table
    Summary(summary::Summary),
    /// Draw a model's graph
    Plot(plot::Plot),
    /// List or write a model's weights
    Weights(weights::Weights),
    /// Write a model or its weights in another format
    Convert(convert::Convert),
    /// List, describe and export the built-in data sets
    Data(data::Data),
    /// Time the benchmark workloads
    Bench(bench::Bench),
    /// List back ends and devices
    Devices(devices::Devices),
}

/// More than any machine has cores; each takes memory for its stack.
const MOST_THREADS: usize = 1024;

impl Arguments {
    /// Carries the command out.
    pub fn run(self) -> Result<()> {
        let common = self.common;
        if let Some(threads) = common.threads.filter(|n| !(1..=MOST_THREADS).contains(n)) {
            return Err(Error::new(format!("--threads {threads}: give a number from 1 to {MOST_THREADS}")));
        }
        if !matches!(common.device.as_str(), "cpu" | "cpu:0") {
            return Err(Error::new(format!("--device {}: there is no such device; see rhyton devices", common.device)));
        }
        if common.threads.is_some() {
            rhyton::backend::set_threads(common.threads)?;
        }
        rhyton::random::set_random_seed(common.seed.unwrap_or_else(unrepeatable_seed));
        match self.command {
            Command::Train(c) => c.run(&common),
            Command::Fit(c) => c.run(&common),
            Command::Evaluate(c) => c.run(),
            Command::Predict(c) => c.run(&common),
            Command::Summary(c) => c.run(),
            Command::Plot(c) => c.run(&common),
            Command::Weights(c) => c.run(),
            Command::Convert(c) => c.run(&common),
            Command::Data(c) => c.run(&common),
            Command::Bench(c) => c.run(&common),
            Command::Devices(c) => c.run(),
        }
    }
}

/// A seed that differs from run to run.
fn unrepeatable_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32)
}

impl Common {
    /// Tells what happens, on stderr, unless `--quiet`.
    fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            say(text);
        }
    }

    /// How much `fit` tells.
    fn verbose(&self) -> u8 {
        u8::from(!self.quiet)
    }
}

/// Reads a model from any format that can be read.
fn open(path: &Path) -> Result<Model> {
    let name = path.to_string_lossy();
    if !path.exists() {
        return Err(Error::file(path, "there is no such file; check the path"));
    }
    if name.ends_with(".weights.h5") || name.ends_with(".weights.json") {
        return Err(Error::file(
            path,
            "this file holds weights without a model; give the .keras file, or make one with rhyton convert --config",
        ));
    }
    let is_folder = path.is_dir() && path.join("config.json").is_file();
    if !is_folder && ![".keras", ".h5", ".hdf5"].iter().any(|e| name.ends_with(e)) {
        return Err(Error::file(
            path,
            "models are read from .keras and .h5 files; save the model with model.save(\"….keras\")",
        ));
    }
    Ok(load_model(path)?)
}

/// A number of samples, steps or epochs: at least 1.
fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(n) => Ok(n),
        Err(_) => Err("it is no whole number of at least 1".to_owned()),
    }
}

/// A share of the data: from 0 to less than 1.
fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("it is no number from 0 to less than 1".to_owned()),
    }
}

/// Whether the results of what is about to be done could be written: to be asked first, for the work may take hours.
fn check_output(path: &Path, endings: &[&str]) -> Result<()> {
    let name = path.to_string_lossy().to_lowercase();
    if !endings.iter().any(|e| name.ends_with(e)) {
        return Err(Error::file(path, format!("the name must end in {}", endings.join(" or "))));
    }
    Ok(check_writable(path)?)
}

/// Callbacks from a file of `[{"class_name": …, "config": {…}}]`.
fn callbacks(path: Option<&PathBuf>) -> Result<Vec<Box<dyn rhyton::callbacks::Callback>>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    let json = serde_json::from_str(&text).map_err(|e| Error::file(path, format!("not JSON: {e}")))?;
    rhyton::callbacks::from_json(&json).map_err(|e| Error::file(path, e))
}

/// Writes text to a file, whole or not at all.
fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |file| std::io::Write::write_all(file, text.as_bytes()))?;
    Ok(())
}
