//! `cargo xtask conformance`: the `rhyton` command beside real Keras, case by case.

use crate::oracle;
use crate::shell::{Result, command, program, root, run as step, shared, target};

/// Makes the covered cases with Keras where they are not there yet, and runs them against the release binary.
///
/// # Errors
/// If a case fails, or a pattern names no case.
pub fn run(arguments: &[String]) -> Result {
    let (python, suite, target) = (oracle::python()?, shared("conformance")?, target()?);
    step("the rhyton command", &mut command("cargo build --release"))?;
    let mut run = program(python);
    run.arg(root().join("xtask/python/conformance.py"));
    run.arg("--suite").arg(suite);
    run.arg("--covered").arg(root().join("xtask/conformance/covered.txt"));
    run.arg("--cases").arg(target.join("conformance"));
    run.arg("--rhyton").arg(target.join("release/rhyton"));
    step("conformance", run.args(arguments))
}
