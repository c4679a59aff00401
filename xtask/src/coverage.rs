//! `cargo xtask coverage`: which public names of Keras there are, in `docs/coverage.md`.

use crate::shell::{Result, command, root, run as step, shared, skip};

const TITLE: &str = "coverage of Keras";

/// Writes the page, or with `--check` fails if it is not current.
///
/// # Errors
/// If there is no inventory, or a list contradicts the code.
pub fn run(arguments: &[String]) -> Result {
    let inventory = shared("keras_api/inventory.json")?;
    let program = "cargo run --release --quiet --package rhyton-coverage --";
    step(TITLE, command(program).arg(inventory).arg(root()).args(arguments))
}

/// Fails if the page is not current; skipped where the inventory of Keras is not at hand.
///
/// # Errors
/// As [`run`].
pub fn check() -> Result {
    match shared("keras_api/inventory.json") {
        Ok(_) => run(&["--check".to_owned()]),
        Err(why) => {
            skip(TITLE, &why);
            Ok(())
        }
    }
}
