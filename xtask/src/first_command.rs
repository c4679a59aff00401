//! `cargo xtask first-command`: what a newcomer types first works, and Keras reads what it wrote.

use std::fs;

use crate::oracle;
use crate::shell::{Result, command, output, program, root, run as step, target};

/// The README's first command.
pub const COMMAND: &str = "cargo run --release -- train";

/// Trains, evaluates with `rhyton`, and has Keras load the model and reproduce the scores.
///
/// # Errors
/// If one of these fails, or the scores differ.
pub fn run() -> Result {
    let python = oracle::python()?;
    let folder = target()?.join("first-command");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    // Seeded, so that a run that passes passes again.
    step("first command", command(COMMAND).arg("--output").arg(&folder).args(["--seed", "1"]))?;
    let (model, data, scores) = (folder.join("model.keras"), folder.join("test.npz"), folder.join("scores.json"));
    let rhyton = || command("cargo run --release --quiet --");
    step("test data", rhyton().args(["data", "export", "digits"]).arg(&data).args(["--split", "test"]))?;
    let printed = output("evaluate", rhyton().arg("evaluate").arg(&model).arg("--data").arg(&data).arg("--json"))?;
    fs::write(&scores, printed).map_err(|e| format!("{}: {e}", scores.display()))?;
    let script = root().join("xtask/python/first_command.py");
    step("the same in Keras", program(python).arg(script).arg(model).arg(data).arg(scores))
}
