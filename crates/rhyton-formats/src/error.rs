//! What can go wrong with a file, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of reading or writing a file.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in a file: the file, a member or dataset in it, and a byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, or `<memory>` for bytes that came from none.
    pub file: PathBuf,
    /// The member of an archive, or the path of a group or dataset; empty for the file itself.
    pub inside: String,
    /// The byte, counted from the start of what `inside` names if that is an archive's member, else of the file.
    pub offset: Option<u64>,
}

impl Place {
    /// A place in `file`, whose member or dataset is `inside`.
    pub(crate) fn new(file: &Path, inside: impl Into<String>) -> Place {
        Place { file: file.to_owned(), inside: inside.into(), offset: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if !self.inside.is_empty() {
            write!(f, ", {}", self.inside)?;
        }
        match self.offset {
            Some(offset) => write!(f, ", byte {offset}"),
            None => Ok(()),
        }
    }
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; its reason is the source.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted, as a verb: `open`, `read`, `write`, …
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The bytes are not what the format demands: damaged, truncated, or of another format.
    #[error("{at}: {what}; {fix}")]
    Damaged {
        /// Where.
        at: Place,
        /// What was found.
        what: String,
        /// What to do.
        fix: String,
    },
    /// The file is valid but uses something that this crate does not read.
    #[error("{at}: {what}; {fix}")]
    Unsupported {
        /// Where.
        at: Place,
        /// What it uses.
        what: String,
        /// What to do.
        fix: String,
    },
    /// The file has no such member, group, dataset or attribute, or it is of another kind.
    #[error("{at}: {what}; {fix}")]
    NotFound {
        /// Where.
        at: Place,
        /// What was asked for.
        what: String,
        /// What to do; names what there is.
        fix: String,
    },
    /// The values given for writing do not fit the format.
    #[error("{what}; {fix}")]
    Argument {
        /// What was received.
        what: String,
        /// What to do.
        fix: String,
    },
}

/// Makes the function that turns an [`io::Error`] on `path` into an [`Error`].
pub(crate) fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, action, source }
}

/// Reads a whole file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(io_error(path, "read"))
}

/// The name in messages about bytes that came from no file.
pub(crate) fn memory() -> PathBuf {
    PathBuf::from("<memory>")
}

/// What is wrong inside a codec, before the file's and the member's names are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub offset: u64,
    pub what: String,
    /// Whether the file is well-formed but beyond this crate.
    pub unsupported: Option<&'static str>,
}

impl Fault {
    /// The bytes at `offset` are wrong.
    pub fn damaged(offset: usize, what: impl Into<String>) -> Fault {
        Fault { offset: offset as u64, what: what.into(), unsupported: None }
    }

    /// The bytes at `offset` use something that is not read; `fix` says how to get around it.
    pub fn unsupported(offset: usize, what: impl Into<String>, fix: &'static str) -> Fault {
        Fault { offset: offset as u64, what: what.into(), unsupported: Some(fix) }
    }

    /// The error, once the place is known.
    pub fn at(self, file: &Path, inside: &str) -> Error {
        let at = Place { offset: Some(self.offset), ..Place::new(file, inside) };
        match self.unsupported {
            Some(fix) => Error::Unsupported { at, what: self.what, fix: fix.into() },
            None => Error::Damaged {
                at,
                what: self.what,
                fix: "the file is damaged or of another format, get a fresh copy".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_what_and_what_to_do() {
        let error =
            Fault::damaged(96, "the file ends here but 8 more bytes were due").at(Path::new("m.h5"), "/dense/0");
        assert_eq!(
            error.to_string(),
            "m.h5, /dense/0, byte 96: the file ends here but 8 more bytes were due; the file is damaged or of another \
             format, get a fresh copy"
        );
    }
}
