//! Ctrl-C and other signals, and readers that go away.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use support::{Folder, features, labels};

/// More epochs than any test waits for.
const FOREVER: &str = "1000000";

fn start(folder: &Folder, arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = folder.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    (child, lines)
}

/// Reads until a line that starts so.
fn wait_for(lines: &mut BufReader<ChildStderr>, start: &str) {
    let mut line = String::new();
    while !line.starts_with(start) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "ended before {start:?}");
    }
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The status, standard output and the rest of standard error.
fn end(mut child: Child, mut lines: BufReader<ChildStderr>) -> (Option<i32>, String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    lines.read_to_string(&mut err).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    (child.wait().unwrap().code(), out, err)
}

#[test]
fn an_interrupted_train_keeps_and_tells_what_it_has() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = Folder::new();
        let arguments = ["train", "--model", "mlp", "--epochs", FOREVER, "--output", "run", "--callbacks", "none.json"];
        folder.write("none.json", "[]");
        let (child, mut lines) = start(&folder, &arguments);
        wait_for(&mut lines, "Epoch 2/");
        send(signal, &child);
        let (status, out, err) = end(child, lines);
        assert_eq!(status, Some(code), "{err}");
        assert!(err.contains("stopping after this step") && !err.contains("warning"), "{err}");
        assert!(out.starts_with("interrupted in epoch") && out.contains("run/model.keras"), "{out}");
        for name in ["model.keras", "history.json", "curves.svg", "curves.png"] {
            assert!(folder.path("run").join(name).exists(), "{name}");
        }
        assert!(support::names(&folder.path("run")).iter().all(|n| !n.ends_with(".tmp")));
        folder.succeeds(&["summary", "run/model.keras"]);
    }
}

#[test]
fn an_interrupted_fit_saves_what_was_trained() {
    let folder = Folder::new().with_model().with_data();
    let arguments = ["fit", "model.keras", "--data", "data.npz", "--epochs", FOREVER, "--save", "out.keras"];
    let (child, mut lines) = start(&folder, &arguments);
    wait_for(&mut lines, "Epoch 2/");
    send("INT", &child);
    let (status, _, err) = end(child, lines);
    assert_eq!(status, Some(130), "{err}");
    assert!(err.contains("saved out.keras") && err.contains("interrupted in epoch"), "{err}");
    let weights = |name: &str| rhyton::saving::load_model(folder.path(name)).unwrap().get_weights().unwrap();
    assert_ne!(weights("out.keras"), weights("model.keras"));
}

#[test]
fn a_second_signal_ends_the_process() {
    let folder = Folder::new().with_model();
    // One step that takes long enough for a second signal to come before it ends, most of the time; it must end either way.
    folder.npz("data.npz", &[("x", features(400_000, 4)), ("y", labels(400_000, 3))]);
    let arguments = ["fit", "model.keras", "--data", "data.npz", "--batch-size", "400000", "--epochs", FOREVER];
    let (child, mut lines) = start(&folder, &arguments);
    wait_for(&mut lines, "Epoch 1/");
    send("INT", &child);
    wait_for(&mut lines, "stopping after this step");
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
    let (status, _, err) = end(child, lines);
    assert_eq!(status, Some(130), "{err}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::new().with_model().with_data();
    for arguments in [
        &["summary", "model.keras"] as &[&str],
        &["weights", "model.keras"],
        &["data"],
        &["devices"],
        &["evaluate", "model.keras", "--data", "data.npz"],
        &["--help"],
    ] {
        let mut child = folder.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Closed before anything is read.
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
    // Standard error, too.
    let mut child = folder.command(&["summary", "none.keras"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_without_room_is_an_error() {
    let folder = Folder::new().with_model();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = folder.command(&["summary", "model.keras"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: cannot write to the standard output"));
}
