//! `cargo xtask fixtures`: makes the golden data of the tests anew with real Keras.

use std::fs;
use std::path::{Path, PathBuf};

use crate::oracle;
use crate::shell::{Result, program, root, run as step};

/// Runs every `make*.py` of every crate's `fixtures` folder, or those whose path contains the argument.
///
/// # Errors
/// If a script fails, or none matches.
pub fn run(arguments: &[String]) -> Result {
    let python = oracle::python()?;
    let part = arguments.first().map_or("", String::as_str);
    let scripts: Vec<PathBuf> = scripts()?.into_iter().filter(|s| s.to_string_lossy().contains(part)).collect();
    if scripts.is_empty() {
        return Err(format!("no script of golden data has {part:?} in its path"));
    }
    for script in scripts {
        let name = script.display().to_string();
        let folder = root().join(script.parent().unwrap_or(Path::new("")));
        let file = script.file_name().unwrap_or_default();
        step(&name, program(&python).arg(file).current_dir(folder).env("KERAS_BACKEND", "tensorflow"))?;
    }
    Ok(())
}

/// The scripts, relative to the root of the repository.
fn scripts() -> Result<Vec<PathBuf>> {
    let list = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(root().join(folder)).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(entries.flatten().map(|entry| folder.join(entry.file_name())).collect())
    };
    let mut found = Vec::new();
    for package in list(Path::new("crates"))? {
        let folder = package.join("fixtures");
        if !root().join(&folder).is_dir() {
            continue;
        }
        let is_script = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("make") && name.ends_with(".py")
        };
        found.extend(list(&folder)?.into_iter().filter(is_script));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_of_several_crates_are_found() {
        let scripts = scripts().unwrap();
        for expected in ["crates/rhyton-core/fixtures/make_layers.py", "crates/rhyton-formats/fixtures/make.py"] {
            assert!(scripts.contains(&PathBuf::from(expected)), "{scripts:?}");
        }
    }
}
