//! What can go wrong when a graph is built, transformed or evaluated.

use std::fmt;

/// An error of this crate; the variants tell what a caller can do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes that do not fit each other or the operation.
    #[error("{0}")]
    Shape(Report),
    /// A dtype that the operation does not take, or dtypes that differ where they must not.
    #[error("{0}")]
    DType(Report),
    /// An attribute out of its range, or the wrong number of operands.
    #[error("{0}")]
    Argument(Report),
    /// Something that has no answer: the gradient of a `while`, an unresolved custom call.
    #[error("{0}")]
    Unsupported(Report),
    /// A compiled graph that failed while it ran.
    #[error("{0}")]
    Execution(Report),
    /// Text that is not a graph.
    #[error("line {line}: {report}")]
    Parse {
        /// 1-based.
        line: usize,
        /// What is wrong there.
        report: Report,
    },
}

/// Where something went wrong, what it was, and how to fix it.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    at: String,
    what: String,
    fix: String,
}

impl Report {
    /// All three parts: the place (an operation, a layer), the values received and why they are wrong, what to do.
    pub fn new(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Report {
        Report { at: at.into(), what: what.into(), fix: fix.into() }
    }

    /// The place.
    pub fn at(&self) -> &str {
        &self.at
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.what, self.fix)
    }
}

/// Short for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A [`Error::Shape`].
    pub fn shape(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Shape(Report::new(at, what, fix))
    }

    /// A [`Error::DType`].
    pub fn dtype(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::DType(Report::new(at, what, fix))
    }

    /// A [`Error::Argument`].
    pub fn argument(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Argument(Report::new(at, what, fix))
    }

    /// A [`Error::Execution`].
    pub fn execution(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Execution(Report::new(at, what, fix))
    }

    /// A [`Error::Unsupported`].
    pub fn unsupported(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Unsupported(Report::new(at, what, fix))
    }
}

impl Report {
    /// The same report with `place` put before where it happened.
    pub fn within(self, place: &str) -> Report {
        Report { at: format!("{place}: {}", self.at), ..self }
    }
}
