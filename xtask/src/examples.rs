//! Runs the examples and holds each to the last line that its first comment promises.

use std::fs;

use crate::shell::{Result, command, output, root};

/// Introduces the promised line in an example's first comment, between backquotes.
const PROMISE: &str = "//! Last line: `";

/// Runs every example of the crate `rhyton`.
///
/// # Errors
/// If one fails, promises nothing, or ends in another line.
pub fn run() -> Result {
    let folder = root().join("crates/rhyton/examples");
    let files = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> =
        files.flatten().filter_map(|f| Some(f.file_name().to_str()?.strip_suffix(".rs")?.to_owned())).collect();
    names.sort();
    for name in names {
        let text = fs::read_to_string(folder.join(format!("{name}.rs"))).map_err(|e| format!("{name}: {e}"))?;
        let promised = text.lines().find_map(|l| l.strip_prefix(PROMISE)?.strip_suffix('`'));
        let promised = promised.ok_or_else(|| format!("{name}: its first comment lacks a line {PROMISE}…`"))?;
        let printed = output(
            &format!("example {name}"),
            &mut command(&format!("cargo run --release --package rhyton --example {name}")),
        )?;
        let last = printed.lines().last().unwrap_or_default();
        if last != promised {
            return Err(format!("example {name}: the last line is {last:?}, promised was {promised:?}"));
        }
    }
    Ok(())
}
