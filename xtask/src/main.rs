//! Developer commands: `cargo xtask COMMAND`.
//!
//! What it is for: running the checks, and everything that needs real Keras beside the code. It knows commands and
//! folders, nothing of Rhyton's own crates, and depends on nothing but std.

#![forbid(unsafe_code)]

mod bench_peers;
mod check;
mod conformance;
mod coverage;
mod examples;
mod first_command;
mod fixtures;
mod fuzz;
#[cfg(test)]
mod modules;
mod oracle;
mod shell;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  check                  format, lints, tests (under each instruction set), documentation, examples
  first-command          the README's first command, and Keras reading what it wrote
  conformance [GLOB]     Rhyton beside real Keras, on the cases that xtask/conformance/covered.txt lists
  coverage [--check]     writes docs/coverage.md, what there is of Keras; or fails if it is not current
  fuzz [TARGET] [--seconds N]
                         damaged files for the readers of archives, HDF5 and npz, 60 seconds each unless said
  fixtures [PART]        makes the golden data anew with real Keras; PART is a part of the script's path
  bench-peers [NAME…]    times the workloads beside Keras's back ends; with --torch also PyTorch
  oracle                 makes the virtual environment with real Keras, and prints its Python

What needs Keras takes the suite's own versions from ../shared, or from the folder that SHARED names, and keeps its
virtual environment in the target folder, unless RHYTON_ORACLE names one.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match arguments.first().map(String::as_str) {
        Some("check") => check::run(),
        Some("first-command") => first_command::run(),
        Some("conformance") => conformance::run(rest),
        Some("coverage") => coverage::run(rest),
        Some("fuzz") => fuzz::run(rest),
        Some("fixtures") => fixtures::run(rest),
        Some("bench-peers") => bench_peers::run(rest),
        Some("oracle") => oracle::python().map(|python| println!("{}", python.display())),
        Some("help" | "--help") | None => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(format!("there is no command {other}\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
