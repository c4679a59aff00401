//! Folders, and running commands with a header and the time they took.

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Errors are for people to read.
pub type Result<T = ()> = std::result::Result<T, String>;

/// The root of the repository.
pub fn root() -> PathBuf {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().unwrap_or(crate_root).to_owned()
}

/// Cargo's target folder: this program lies in a profile's folder of it.
pub fn target() -> Result<PathBuf> {
    let program = env::current_exe().map_err(|e| format!("cannot tell where this program is: {e}"))?;
    program.ancestors().nth(2).map(Path::to_owned).ok_or_else(|| "start it with cargo xtask".to_owned())
}

/// The folder that holds `conformance` and `peers`: `SHARED`, or `../shared` beside the repository.
pub fn shared(part: &str) -> Result<PathBuf> {
    let folder = env::var_os("SHARED").map_or_else(|| root().join("../shared"), PathBuf::from).join(part);
    folder
        .canonicalize()
        .map_err(|e| format!("{}: {e}; set SHARED to the folder that holds conformance/ and peers/", folder.display()))
}

/// A command in the root of the repository, from words; the first is the program.
pub fn command(words: &str) -> Command {
    let mut words = words.split_whitespace();
    let mut command = match (words.next().unwrap_or_default(), env::var_os("CARGO")) {
        // The cargo that runs this program, so that the versions agree.
        ("cargo", Some(cargo)) => program(cargo),
        (name, _) => program(name),
    };
    command.args(words);
    command
}

/// A command in the root of the repository, without arguments yet.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// Runs `command` under a header.
///
/// # Errors
/// If it cannot be started or fails.
pub fn run(title: &str, command: &mut Command) -> Result {
    timed(title, command, |command| {
        let status = command.status().map_err(|e| e.to_string())?;
        if status.success() { Ok(()) } else { Err(status.to_string()) }
    })
}

/// Runs `command` under a header; what it prints on standard output.
///
/// # Errors
/// As [`run`], or if the output is not UTF-8.
pub fn output(title: &str, command: &mut Command) -> Result<String> {
    timed(title, command, |command| {
        let output = command.stderr(Stdio::inherit()).output().map_err(|e| e.to_string())?;
        let text = String::from_utf8(output.stdout).map_err(|e| e.to_string())?;
        print!("{text}");
        if output.status.success() { Ok(text) } else { Err(output.status.to_string()) }
    })
}

/// Says that a step is left out, and why.
pub fn skip(title: &str, why: &str) {
    println!("=== {title}: skipped, {why}");
}

fn timed<T>(title: &str, command: &mut Command, run: impl FnOnce(&mut Command) -> Result<T>) -> Result<T> {
    println!("=== {title}: {}", line_of(command));
    // What the command prints comes after the header, also where output is buffered.
    let _ = std::io::stdout().flush();
    let start = Instant::now();
    let result = run(command).map_err(|error| format!("{title}: {}: {error}", line_of(command)))?;
    println!("--- {title}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(result)
}

/// The command as one would type it.
fn line_of(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(k, v)| Some(format!("{}={:?}", k.to_string_lossy(), v?)));
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|a| a.to_string_lossy().into_owned());
    set.chain([program]).chain(arguments).collect::<Vec<_>>().join(" ")
}
