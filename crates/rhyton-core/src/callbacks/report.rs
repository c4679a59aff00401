//! What callbacks tell the user: on standard error, so that programs may use standard output.

use std::io::{IsTerminal, Write};

/// A message about the training.
pub(super) fn message(text: &str) {
    let mut out = std::io::stderr().lock();
    // On a terminal a progress bar may be on the line.
    let start = if out.is_terminal() { "\n" } else { "" };
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(out, "{start}{text}");
}

/// Something that is probably not as the user wants it.
pub(super) fn warning(text: &str) {
    message(&format!("warning: {text}"));
}
