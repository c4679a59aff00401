//! `rhyton-fuzz REPOSITORY TARGET [--seconds N] [--from RUN] [--only RUN]`: reads damaged files until the time is over.
//!
//! Each run damages one of the repository's golden files, by its number alone: the same number gives the same file. A run that
//! panics, or twice takes over ten seconds, is a finding; its file is kept in `target/fuzz`. What damage there is knows the formats:
//! bytes for containers, values and keys for configurations, and HDF5 with its checksums taken as right. There is no
//! measuring of coverage: `cargo-fuzz` needs a nightly compiler.
//!
//! `cargo xtask fuzz` runs this.

#![forbid(unsafe_code)]

mod damage;
mod json;
mod random;
mod targets;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use targets::Target;

/// A run that takes longer is a finding.
const SLOW: Duration = Duration::from_secs(10);

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Options {
    seconds: u64,
    from: u64,
    only: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [root, target, rest @ ..] => options(rest).and_then(|o| fuzz(Path::new(root), target, &o)),
        _ => Err("give the root of the repository and a target: archive, config, hdf5, npz or legacy".into()),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { seconds: 60, from: 0, only: false };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} needs a number", pair[0])) };
        let number = value.parse().map_err(|_| format!("{name} {value}: it is no number"))?;
        match name.as_str() {
            "--seconds" => options.seconds = number,
            "--from" => options.from = number,
            "--only" => (options.from, options.only) = (number, true),
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok(options)
}

/// The number of findings.
fn fuzz(root: &Path, name: &str, options: &Options) -> Result<u64, String> {
    let mut target = Target::new(root, name)?;
    std::panic::set_hook(Box::new(|info| PANIC.set(info.to_string())));
    let start = Instant::now();
    let mut told = start;
    let (mut run, mut findings, mut accepted) = (options.from, 0, 0u64);
    while start.elapsed() < Duration::from_secs(options.seconds) {
        let input = target.input(run);
        let mut timed = || {
            let began = Instant::now();
            (catch_unwind(AssertUnwindSafe(|| target.read(&input))), began.elapsed())
        };
        let (mut outcome, mut took) = timed();
        if took > SLOW {
            // A machine with other work may have stood still: what is slow is slow twice.
            (outcome, took) = timed();
        }
        let what = match outcome {
            Err(_) => Some(format!("panics: {}", PANIC.take().replace('\n', " "))),
            Ok(read) => {
                accepted += u64::from(read);
                (took > SLOW).then(|| format!("takes {:.1} s", took.as_secs_f64()))
            }
        };
        if let Some(what) = what {
            findings += 1;
            let kept = keep(root, name, run, &input);
            println!("{name}: run {run} {what} ({kept})");
        }
        run += 1;
        if options.only {
            break;
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!("{name}: {run} runs, {accepted} read without an error, {findings} findings");
        }
    }
    println!("{name}: {} runs, {accepted} read without an error, {findings} findings", run - options.from);
    Ok(findings)
}

/// Writes a finding's file; where it is.
fn keep(root: &Path, name: &str, run: u64, input: &[u8]) -> String {
    let folder = root.join("target/fuzz");
    let path = folder.join(format!("{name}-{run}"));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input));
    written.map_or_else(|e| format!("not kept: {e}"), |()| path.display().to_string())
}
