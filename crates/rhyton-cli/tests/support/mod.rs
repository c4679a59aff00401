//! The command run as users run it, and the files that the tests give it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rhyton::formats::npz;
use rhyton::prelude::*;
use tempfile::TempDir;

/// How a run ended.
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A folder to run the command in.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rhyton"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs what must succeed; what it printed.
    #[track_caller]
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.err);
        outcome.out
    }

    /// Runs what must fail as the command promises: with status 1, and one last line on standard error that starts with
    /// `error: `; what follows that.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {}{}", outcome.out, outcome.err);
        let errors: Vec<&str> = outcome.err.lines().filter_map(|l| l.strip_prefix("error: ")).collect();
        let last = outcome.err.lines().last().unwrap_or_default();
        assert!(errors.len() == 1 && last.starts_with("error: "), "{arguments:?}: {}", outcome.err);
        assert!(!outcome.err.contains("panicked") && !last.contains(".rs:"), "{arguments:?}: {}", outcome.err);
        errors[0].to_owned()
    }

    /// The names in the folder, hidden ones included, sorted.
    pub fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// `model.keras`: four features, three classes, compiled.
    pub fn with_model(self) -> Folder {
        classifier().save(self.path("model.keras")).unwrap();
        self
    }

    /// `data.npz`: fifty samples for that model.
    pub fn with_data(self) -> Folder {
        self.npz("data.npz", &[("x", features(50, 4)), ("y", labels(50, 3))]);
        self
    }

    pub fn npz(&self, name: &str, arrays: &[(&str, Array)]) {
        let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(n, a)| (*n, a)).collect();
        npz::write(self.path(name), &arrays).unwrap();
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn classifier() -> Model {
    let model = Sequential::new()
        .add(Input::new([4]).name("features"))
        .add(Dense::new(5).activation(Activation::Relu).name("hidden"))
        .add(Dense::new(3).activation(Activation::Softmax).name("classes"));
    model.compile(Adam::new(1e-3), "sparse_categorical_crossentropy", ["accuracy"]).unwrap();
    model
}

/// Numbers from 0 to 1, the same each time.
pub fn features(samples: usize, features: usize) -> Array {
    Array::new([samples, features], (0..samples * features).map(|i| (i * 37 % 101) as f32 / 101.0).collect::<Vec<_>>())
}

pub fn labels(samples: usize, classes: usize) -> Array {
    Array::new([samples], (0..samples).map(|i| (i * 7 % classes) as i32).collect::<Vec<_>>())
}
