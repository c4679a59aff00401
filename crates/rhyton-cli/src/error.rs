//! Errors of the command: one line that says what was wrong, where, and what to do.

use std::fmt;
use std::path::Path;

/// What a command ends with when it fails.
#[derive(Debug)]
pub struct Error(String);

/// Short for results of commands.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// From a message.
    pub fn new(message: impl Into<String>) -> Error {
        Error(message.into())
    }

    /// About a file.
    pub fn file(path: &Path, what: impl fmt::Display) -> Error {
        Error(format!("{}: {what}", path.display()))
    }

    /// The message on one line.
    pub fn one_line(&self) -> String {
        self.0.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        Error(error.to_string())
    }
}
