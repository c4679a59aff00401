//! Errors of the command: one line that says what was wrong, where, and what to do.

use std::fmt;
use std::io;
use std::path::Path;

/// What a command ends with when it fails.
#[derive(Debug)]
pub struct Error {
    message: String,
    closed_output: bool,
}

/// Short for results of commands.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// From a message.
    pub fn new(message: impl Into<String>) -> Error {
        Error { message: message.into(), closed_output: false }
    }

    /// About a file.
    pub fn file(path: &Path, what: impl fmt::Display) -> Error {
        Error::new(format!("{}: {what}", path.display()))
    }

    /// Of standard output.
    pub fn output(error: io::Error) -> Error {
        let closed_output = error.kind() == io::ErrorKind::BrokenPipe;
        Error { message: format!("cannot write to the standard output: {error}"), closed_output }
    }

    /// Whether the reader of standard output went away, which is no failure: `rhyton summary … | head -1`.
    pub fn is_closed_output(&self) -> bool {
        self.closed_output
    }

    /// The message on one line, without the places in Rhyton's own source that errors of the library may name.
    pub fn one_line(&self) -> String {
        let words: Vec<&str> = self.message.split_whitespace().collect();
        let is_place = |word: &str| word.ends_with(':') && word.contains(".rs:");
        let mut kept: Vec<&str> = Vec::with_capacity(words.len());
        for word in words {
            if !is_place(word) {
                kept.push(word);
            } else if kept.last() == Some(&"at") {
                kept.pop();
            }
        }
        kept.join(" ")
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        Error::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_places_in_the_source() {
        let error =
            Error::new("dense (Dense) at src/a/dense.rs:164: matmul: the shapes\n do not multiply; look at b.rs");
        assert_eq!(error.one_line(), "dense (Dense) matmul: the shapes do not multiply; look at b.rs");
    }
}
