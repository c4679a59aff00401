//! No source file that no module declares: such a file would look alive and never be compiled.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The `mod name;` of a source file. Modules are declared in plain text, one a line, never by a macro.
fn declared(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let mut line = line.trim();
        while let Some(rest) = line.strip_prefix("#[") {
            line = rest.split_once(']')?.1.trim_start();
        }
        if let Some(rest) = line.strip_prefix("pub") {
            line = if rest.starts_with('(') { rest.split_once(')')?.1 } else { rest }.trim_start();
        }
        let name = line.strip_prefix("mod ")?.split_once(';')?.0.trim();
        name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
    })
}

/// Adds `file` and the files of the modules it declares, and so on.
fn reach(file: PathBuf, is_root: bool, reached: &mut BTreeSet<PathBuf>) {
    let Ok(source) = fs::read_to_string(&file) else { return };
    let beside = file.parent().unwrap_or(Path::new("")).to_owned();
    let inside = if is_root || file.ends_with("mod.rs") { beside } else { file.with_extension("") };
    for name in declared(&source) {
        reach(inside.join(format!("{name}.rs")), false, reached);
        reach(inside.join(name).join("mod.rs"), false, reached);
    }
    reached.insert(file);
}

fn sources(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.insert(path);
        }
    }
}

/// The source files of a package that nothing declares.
fn undeclared(package: &Path) -> Vec<PathBuf> {
    let (mut all, mut reached) = (BTreeSet::new(), BTreeSet::new());
    sources(&package.join("src"), &mut all);
    for root in ["src/lib.rs", "src/main.rs"] {
        reach(package.join(root), true, &mut reached);
    }
    for folder in ["src/bin", "tests", "examples", "benches"] {
        let folder = package.join(folder);
        sources(&folder, &mut all);
        // Each file is a program of its own, and so is each folder with a main.rs.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let root = if path.is_dir() { path.join("main.rs") } else { path };
            reach(root, true, &mut reached);
        }
    }
    all.difference(&reached).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::root;

    #[test]
    fn every_source_file_is_declared_by_some_module() {
        let packages = fs::read_dir(root().join("crates")).unwrap().flatten().map(|entry| entry.path());
        let stray: Vec<PathBuf> = packages.chain([root().join("xtask")]).flat_map(|p| undeclared(&p)).collect();
        assert!(stray.is_empty(), "declare or delete {stray:#?}");
    }

    #[test]
    fn declarations_are_told_from_other_text() {
        let source =
            "mod a;\npub mod b;\n    pub(crate) mod c;\n#[cfg(test)] mod d;\n// mod e;\nmod f {\n//! mod g;\nmodule;";
        assert_eq!(declared(source).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }
}
