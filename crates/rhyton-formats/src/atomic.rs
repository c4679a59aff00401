//! Replacing a file in one step.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, io_error};

/// Writes the file at `path` through `write`, which gets a buffered, seekable writer.
///
/// The bytes go to a temporary file in the same directory, are flushed to the disk, and take the place of `path` by a rename.
/// A reader, or a crash at any moment, sees the old file or the new one, never a part. A symbolic link at `path` stays and
/// its target is replaced; the permissions of a replaced file are kept.
///
/// # Errors
/// If the directory cannot be written to, or `write` fails. Then the old file is as it was and the temporary one is gone.
///
/// # Examples
/// ```
/// use std::io::Write;
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("metadata.json");
/// rhyton_formats::atomic::write_atomically(&path, |file| file.write_all(b"{}"))?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomically(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    replace(path, |file| write(file).map_err(io_error(path, "write")))
}

/// As [`write_atomically`], for a `write` with errors of its own.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<()>) -> Result<()> {
    let failed = |action| io_error(path, action);
    let (target, directory) = place(path)?;
    let mut temporary = temporary_in(&directory).map_err(failed("write"))?;
    {
        let mut writer = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
        write(&mut writer)?;
        writer.flush().map_err(failed("write"))?;
    }
    if let Ok(old) = target.metadata() {
        temporary.as_file().set_permissions(old.permissions()).map_err(failed("set the permissions of"))?;
    }
    temporary.as_file().sync_all().map_err(failed("write"))?;
    temporary.persist(&target).map_err(|e| e.error).map_err(failed("replace"))?;
    // The rename itself reaches the disk with the directory; not every system can open one.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Whether a file could be written at `path` now; changes nothing. To be asked before work whose result goes there.
///
/// # Errors
/// If `path` is a folder, or no file can be made in its folder.
pub fn check_writable(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let (_, directory) = place(path)?;
    temporary_in(&directory).map(drop).map_err(io_error(path, "write"))
}

/// The file that is replaced, which a link leads to, and its folder.
fn place(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let argument =
        |what: &str, fix: &str| Error::Argument { what: format!("{} {what}", path.display()), fix: fix.into() };
    if path.file_name().is_none() {
        return Err(argument("is not the path of a file", "give a path that ends in a file name"));
    }
    if path.is_dir() {
        return Err(argument("is a folder", "give the path of a file"));
    }
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    if !directory.exists() {
        return Err(argument("lies in a folder that does not exist", "make the folder first"));
    }
    Ok((target, directory))
}

fn temporary_in(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".tmp");
    // The default of the crate is 0600; a saved model is as readable as any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory).map_err(|error| {
        // The crate adds the path of the temporary file, which nobody asked about.
        let told = error.to_string();
        io::Error::new(error.kind(), told.split(" at path ").next().unwrap_or(&told).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.h5");
        write_atomically(&path, |file| file.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |file| {
            file.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(matches!(error, Err(Error::Io { .. })), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let error = write_atomically(directory.path().join("none/file"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
        assert!(write_atomically("/", |_| Ok(())).is_err());
        assert!(write_atomically(directory.path(), |_| Ok(())).unwrap_err().to_string().contains("is a folder"));
    }

    #[test]
    fn whether_a_file_can_be_written_is_told_without_writing_one() {
        let directory = tempfile::tempdir().unwrap();
        check_writable(directory.path().join("file")).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let file = directory.path().join("file");
        std::fs::write(&file, b"old").unwrap();
        check_writable(&file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        for wrong in [directory.path().join("none/file"), directory.path().to_owned(), file.join("file")] {
            let error = check_writable(&wrong).unwrap_err().to_string();
            assert!(error.contains(&*wrong.to_string_lossy()) && !error.contains(" at path "), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, b"old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, |f| f.write_all(b"new")).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
}
