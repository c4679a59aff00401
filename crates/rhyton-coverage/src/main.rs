//! `rhyton-coverage INVENTORY REPOSITORY [--check]`: writes `docs/coverage.md`, or fails if it is not what would be written.
//!
//! INVENTORY lists the public names of Keras. What is there is read from the tables of `rhyton`; functions and utilities,
//! which no table has, are in [`items`], where the compiler sees to it that they exist; [`absent`] says of the rest why it is
//! not there. `cargo xtask coverage` runs this.

#![forbid(unsafe_code)]

mod absent;
mod golden;
mod items;
mod report;
mod symbols;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [inventory, root] => run(Path::new(inventory), Path::new(root), false),
        [inventory, root, check] if check == "--check" => run(Path::new(inventory), Path::new(root), true),
        _ => Err("give the inventory, the root of the repository and, if nothing is to be written, --check".into()),
    };
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(inventory: &Path, root: &Path, check: bool) -> Result<String, String> {
    let symbols = symbols::read(inventory)?;
    let golden = golden::classes(&root.join("crates/rhyton-core/fixtures"));
    let report = report::Report::of(&symbols, &golden)?;
    let path = root.join("docs/coverage.md");
    let text = report.markdown();
    if check {
        let found = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        if found != text {
            return Err("docs/coverage.md is not current; run cargo xtask coverage and commit it".into());
        }
    } else {
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(report.summary())
}
