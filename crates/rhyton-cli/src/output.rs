//! Text for the user: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use crate::error::{Error, Result};

/// Writes results to standard output.
///
/// # Errors
/// If nobody reads any more ([`Error::is_closed_output`]), or the disk is full that the output goes to.
pub fn print(text: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(Error::output)
}

/// [`print`] with an end of the line.
pub fn print_line(text: impl Display) -> Result<()> {
    print(format_args!("{text}\n"))
}

/// Writes a line to standard error. Nobody is left to tell if that fails.
pub fn say(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
