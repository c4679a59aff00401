//! What can go wrong with data.

use std::io;
use std::path::{Path, PathBuf};

/// The result of reading or writing data.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why data could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; its reason is the source.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was attempted, as a verb.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// A file is not the image that its name says.
    #[error("{}: not a readable image: {source}; repair or remove it", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        source: image::ImageError,
    },
    /// An image has no form in a format.
    #[error("{}: the image cannot be written: {source}; choose another format", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What the encoder says.
        source: image::ImageError,
    },
    /// A directory does not hold what was expected.
    #[error("{}: {what}; {fix}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What was found.
        what: String,
        /// What to do.
        fix: String,
    },
    /// An argument does not fit.
    #[error("{what}; {fix}")]
    Argument {
        /// What was received.
        what: String,
        /// What to do.
        fix: String,
    },
    /// A file of another format is damaged or cannot be written.
    #[error(transparent)]
    Format(#[from] rhyton_formats::Error),
}

/// Makes the function that turns an [`io::Error`] on `path` into an [`Error`].
pub(crate) fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, action, source }
}
