//! `cargo xtask bench-peers`: the workloads beside what a user would run instead.

use std::path::Path;

use crate::shell::{Result, command, program, run as step, shared, target};

/// Makes the peers' environments where they are not there yet, and runs the comparison, which prints a table.
///
/// # Errors
/// If an environment cannot be made, or the comparison fails.
pub fn run(arguments: &[String]) -> Result {
    let (peers, target) = (shared("peers")?, target()?);
    step("the rhyton command", &mut command("cargo build --release"))?;
    let venv = target.join("peers");
    environment(&venv, &["--requirement", &peers.join("requirements.txt").to_string_lossy()])?;
    let mut compare = program(venv.join("bin/python"));
    compare.arg(peers.join("compare.py"));
    compare.arg("--rhyton").arg(target.join("release/rhyton"));
    let (torch, names): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|a| *a == "--torch");
    if !torch.is_empty() {
        let venv = target.join("peers-torch");
        environment(&venv, &["torch", "keras"])?;
        compare.arg("--torch-python").arg(venv.join("bin/python"));
    }
    step("peers", compare.args(names))
}

/// A virtual environment with `packages`; pip leaves what is there already.
fn environment(folder: &Path, packages: &[&str]) -> Result {
    if !folder.join("bin/python").exists() {
        step("virtual environment", command("python3 -m venv").arg(folder))?;
    }
    step("packages", program(folder.join("bin/pip")).args(["install", "--quiet"]).args(packages))
}
