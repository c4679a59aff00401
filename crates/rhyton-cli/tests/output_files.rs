//! Results that cannot be written: the old file stays whole, and nothing else is left.

mod support;

use support::{Folder, features};

#[test]
fn outputs_without_a_folder_fail_before_the_work() {
    let folder = Folder::new().with_model().with_data();
    let before = folder.names();
    for arguments in [
        &["fit", "model.keras", "--data", "data.npz", "--save", "none/out.keras"] as &[&str],
        &["fit", "model.keras", "--data", "data.npz", "--history", "none/h.json"],
        &["predict", "model.keras", "--inputs", "data.npz", "--output", "none/p.npz"],
        &["convert", "model.keras", "none/out.keras"],
        &["plot", "model.keras", "--output", "none/g.svg"],
        &["weights", "model.keras", "--output", "none/w.npz"],
        &["data", "export", "digits", "none/d.npz"],
    ] {
        let outcome = folder.run(arguments);
        assert!(!outcome.err.contains("step"), "{arguments:?} trained first: {}", outcome.err);
        let error = folder.fails(arguments);
        assert!(error.contains("none/") && error.contains("folder") && !error.contains(".tmp"), "{error}");
    }
    assert_eq!(folder.names(), before);
}

#[test]
fn folders_that_cannot_be_made_and_files_that_are_folders_are_named() {
    let folder = Folder::new().with_model().with_data();
    std::fs::create_dir(folder.path("out.keras")).unwrap();
    for output in ["model.keras", "model.keras/run"] {
        let error = folder.fails(&["train", "--epochs", "1", "--output", output]);
        assert!(error.contains(output) && error.contains("--output"), "{error}");
    }
    let error = folder.fails(&["fit", "model.keras", "--data", "data.npz", "--save", "out.keras"]);
    assert!(error.contains("out.keras is a folder"), "{error}");
    assert!(folder.fails(&["convert", "model.keras", "out.keras"]).contains("out.keras is a folder"));
    assert!(folder.fails(&["data", "export", "digits", "model.keras"]).contains("model.keras"));
}

/// With a limit on the size of files, as of a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_files() {
    let folder = Folder::new().with_model().with_data();
    folder.npz("large.npz", &[("x", features(20_000, 4))]);
    folder.write("p.npz", "the old predictions");
    folder.write("p.npy", "the old predictions");
    let before = folder.names();
    for command in [
        "predict model.keras --inputs large.npz --output p.npz",
        "predict model.keras --inputs large.npz --output p.npy",
        "fit model.keras --data data.npz --save model.keras",
        "convert model.keras model.keras",
        "data export digits d.npz",
    ] {
        let model = folder.read("model.keras");
        // Blocks of 512 or 1024 bytes, by shell.
        let script = format!("ulimit -f 2; exec {} {command}", env!("CARGO_BIN_EXE_rhyton"));
        let output =
            std::process::Command::new("sh").args(["-c", &script]).current_dir(folder.path("")).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {err}");
        let last = err.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains("cannot write"), "{command}: {err}");
        assert!(!err.contains("ZipWriter"), "{err}");
        assert!(folder.read("model.keras") == model && folder.read("p.npz") == b"the old predictions");
        assert_eq!(folder.names(), before, "{command}");
    }
}

#[test]
fn a_folder_that_must_not_be_written_to_is_named() {
    let folder = Folder::new().with_model();
    // Where nobody may write, not even an administrator.
    if cfg!(target_os = "linux") {
        let error = folder.fails(&["convert", "model.keras", "/proc/out.keras"]);
        assert!(error.contains("/proc/out.keras") && !error.contains(".tmp"), "{error}");
        assert!(folder.fails(&["train", "--epochs", "1", "--output", "/proc/run"]).contains("/proc/run"));
    }
}
