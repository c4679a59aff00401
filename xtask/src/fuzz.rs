//! `cargo xtask fuzz`: damaged files for every reader.

use crate::shell::{Result, command, root, run as step};

const TARGETS: [&str; 5] = ["archive", "config", "hdf5", "legacy", "npz"];

/// Reads damaged files of the targets that are named, or of all; options go to each.
///
/// # Errors
/// If reading one of them panics or does not end.
pub fn run(arguments: &[String]) -> Result {
    let options = arguments.iter().position(|a| a.starts_with("--")).unwrap_or(arguments.len());
    let (named, options) = arguments.split_at(options);
    let targets: Vec<&str> =
        if named.is_empty() { TARGETS.to_vec() } else { named.iter().map(String::as_str).collect() };
    for target in targets {
        let program = "cargo run --release --quiet --package rhyton-fuzz --";
        step(&format!("fuzz {target}"), command(program).arg(root()).arg(target).args(options))?;
    }
    Ok(())
}
