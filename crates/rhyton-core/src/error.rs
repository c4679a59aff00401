//! What can go wrong when a model is built, trained, saved or loaded.

use std::panic::Location;
use std::path::PathBuf;
use std::sync::Arc;

pub use rhyton_ir::Report;

/// An error of this crate; the variants tell what a caller can do about it. Cheap to clone: tensors carry it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes that do not fit each other, the layer or its weights.
    #[error("{0}")]
    Shape(Report),
    /// A dtype that an operation does not take.
    #[error("{0}")]
    DType(Report),
    /// An argument out of its range or of the wrong kind.
    #[error("{0}")]
    Argument(Report),
    /// Something that is not there on this back end or not in this version.
    #[error("{0}")]
    Unsupported(Report),
    /// A configuration or file whose content is not what it should be.
    #[error("{0}")]
    Content(Report),
    /// An operation that the engine refused.
    #[error("{at}: {source}")]
    Engine {
        /// The layer path and line, as far as they are known.
        at: String,
        /// What the engine said.
        source: rhyton_ir::Error,
    },
    /// A file that cannot be read or written.
    #[error("{}", in_file(path, source))]
    Format {
        /// The file.
        path: PathBuf,
        /// What went wrong in it.
        source: Arc<rhyton_formats::Error>,
    },
    /// Training that had to stop: the state of the model is kept.
    #[error("{0}")]
    Training(Report),
}

/// The message of a codec, after the path unless it names that itself.
fn in_file(path: &std::path::Path, source: &rhyton_formats::Error) -> String {
    let (path, message) = (path.display().to_string(), source.to_string());
    if message.contains(&path) { message } else { format!("{path}: {message}") }
}

/// Short for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A [`Error::Shape`]: where, what was wrong with what was received, what to do.
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

    /// A [`Error::Unsupported`].
    pub fn unsupported(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Unsupported(Report::new(at, what, fix))
    }

    /// A [`Error::Content`].
    pub fn content(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Content(Report::new(at, what, fix))
    }

    /// A [`Error::Training`].
    pub fn training(at: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Training(Report::new(at, what, fix))
    }

    /// The same error with `place` (a layer, a file) put before where it happened.
    pub fn within(self, place: &str) -> Error {
        let prefix = |r: Report| r.within(place);
        match self {
            Error::Shape(r) => Error::Shape(prefix(r)),
            Error::DType(r) => Error::DType(prefix(r)),
            Error::Argument(r) => Error::Argument(prefix(r)),
            Error::Unsupported(r) => Error::Unsupported(prefix(r)),
            Error::Content(r) => Error::Content(prefix(r)),
            Error::Training(r) => Error::Training(prefix(r)),
            Error::Engine { at, source } => Error::Engine { at: format!("{place}: {at}"), source },
            format @ Error::Format { .. } => format,
        }
    }
}

/// An engine error with the caller's line.
pub(crate) fn engine(location: &Location<'_>, source: rhyton_ir::Error) -> Error {
    Error::Engine { at: format!("{}:{}", location.file(), location.line()), source }
}

impl From<rhyton_ir::Error> for Error {
    #[track_caller]
    fn from(source: rhyton_ir::Error) -> Error {
        engine(Location::caller(), source)
    }
}
