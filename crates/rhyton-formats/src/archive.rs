//! Members of zip archives, read without trusting what the archive says of itself.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::error::{Error, Place, Result, io_error};

/// A member below this size is read however well it was compressed; Keras's own limit.
const FLOOR: u64 = 1 << 28;
/// A larger member may be this many times its compressed size; Keras's own limit.
const MAX_EXPANSION: u64 = 100;
/// Archives of this crate's formats have one entry an array or asset.
const MAX_MEMBERS: usize = 1 << 20;

/// Reads the members whose names `wanted` accepts, in the archive's order. Directories are passed over.
pub(crate) fn read_members(
    mut reader: impl Read + Seek,
    file: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let len = reader.seek(SeekFrom::End(0)).map_err(io_error(file, "read"))?;
    let (start, count) = {
        let archive = ZipArchive::new(&mut reader).map_err(|e| zip_error(e, file, ""))?;
        (archive.central_directory_start(), archive.len())
    };
    // Of members with one name readers take the first or the last: what one checks another would not read.
    if entries(&mut reader, start, count).map_err(io_error(file, "read"))? > count {
        let what = "the archive has two members of the same name".to_owned();
        return Err(damaged(file, "", what, "do not open this file, or unpack it and pack it again"));
    }
    let mut archive = ZipArchive::new(reader).map_err(|e| zip_error(e, file, ""))?;
    if archive.len() > MAX_MEMBERS {
        let what = format!("the archive declares {} members", archive.len());
        return Err(damaged(file, "", what, "an archive of at most 1048576 members is read"));
    }
    let mut left = FLOOR.max(len.saturating_mul(MAX_EXPANSION));
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(|e| zip_error(e, file, ""))?;
        let name = member.name().map_err(|e| zip_error(e, file, ""))?.into_owned();
        if member.is_dir() || !wanted(&name) {
            continue;
        }
        if !is_safe(&name) {
            let what = format!("the member name {name:?} leads out of the archive");
            return Err(damaged(file, &name, what, "do not open this file, it was made to overwrite others"));
        }
        let allowed = left.min(FLOOR.max(member.compressed_size().min(len).saturating_mul(MAX_EXPANSION)));
        let mut bytes = Vec::new();
        let read = (&mut member).take(allowed + 1).read_to_end(&mut bytes);
        read.map_err(|e| {
            damaged(file, &name, format!("the member does not unpack: {e}"), "get a fresh copy of the file")
        })?;
        let size = bytes.len() as u64;
        if size > allowed {
            let what = format!("the member unpacks to over {allowed} bytes, far more than it takes on disk");
            return Err(damaged(file, &name, what, "store it uncompressed if it is genuine"));
        }
        left -= size;
        members.push((name, bytes));
    }
    Ok(members)
}

/// The number of entries in the directory at `start`; one more than `most` if there are more.
fn entries(reader: &mut (impl Read + Seek), start: u64, most: usize) -> io::Result<usize> {
    const HEADER: usize = 46;
    reader.seek(SeekFrom::Start(start))?;
    let mut count = 0;
    while count <= most {
        let mut header = Vec::with_capacity(HEADER);
        reader.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
        if header.len() < HEADER || !header.starts_with(b"PK\x01\x02") {
            break;
        }
        count += 1;
        // The lengths of the name, of extra fields and of a comment.
        let len: i64 = [28, 30, 32].iter().map(|&at| i64::from(u16::from_le_bytes([header[at], header[at + 1]]))).sum();
        reader.seek(SeekFrom::Current(len))?;
    }
    Ok(count)
}

/// Whether `name` stays below the directory it is unpacked into, on any system.
pub(crate) fn is_safe(name: &str) -> bool {
    !name.contains(['\\', ':', '\0']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Writes an archive member by member. Times are fixed: the same content gives the same bytes.
pub(crate) struct Writer<'a, W: Write + Seek> {
    zip: ZipWriter<Output<W>>,
    failure: Failure,
    file: &'a Path,
}

impl<'a, W: Write + Seek> Writer<'a, W> {
    /// An archive into `out`; `file` is its name in messages.
    pub fn new(out: W, file: &'a Path) -> Self {
        let failure = Failure::default();
        Writer { zip: ZipWriter::new(Output { out, failure: Rc::clone(&failure), at: 0 }), failure, file }
    }

    /// Adds a member of these parts, `len` bytes in all.
    pub fn member(&mut self, name: &str, parts: &[&[u8]], deflate: bool) -> Result<()> {
        let len: u64 = parts.iter().map(|p| p.len() as u64).sum();
        let method = if deflate { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o600)
            // Sizes are written before the content: ask for 64 bits of them where 32 might not do.
            .large_file(len >= u64::from(u32::MAX) - (1 << 20));
        self.zip.start_file(name, options).map_err(|e| zip_error(e, self.file, name))?;
        for part in parts {
            self.zip.write_all(part).map_err(io_error(self.file, "write"))?;
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.failure.take().map_or(Ok(()), |error| Err(io_error(self.file, "write")(error)))
    }

    /// Writes the directory and returns the output.
    pub fn finish(self) -> Result<W> {
        let failure = Rc::clone(&self.failure);
        let output = self.zip.finish().map_err(|e| zip_error(e, self.file, ""))?;
        failure.take().map_or(Ok(output.out), |error| Err(io_error(self.file, "write")(error)))
    }
}

/// The first error of an output.
type Failure = Rc<Cell<Option<io::Error>>>;

/// An output that keeps its first error and from then on only pretends to write: the `zip` crate writes the end of an archive
/// when it is dropped, and prints a message of its own if that fails.
struct Output<W> {
    out: W,
    failure: Failure,
    /// Where the next byte goes, or would.
    at: u64,
}

impl<W> Output<W> {
    /// `act`, or `otherwise` once something has failed.
    fn unless_failed<T>(&mut self, otherwise: T, act: impl FnOnce(&mut W) -> io::Result<T>) -> T {
        let failure = self.failure.take();
        let (result, failure) = match failure {
            Some(error) => (otherwise, Some(error)),
            None => match act(&mut self.out) {
                Ok(result) => (result, None),
                Err(error) => (otherwise, Some(error)),
            },
        };
        self.failure.set(failure);
        result
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.unless_failed(bytes.len(), |out| out.write(bytes));
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_failed((), |out| out.flush());
        Ok(())
    }
}

impl<W: Seek> Seek for Output<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let otherwise = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(_) => self.at,
        };
        self.at = self.unless_failed(otherwise, |out| out.seek(to));
        Ok(self.at)
    }
}

fn zip_error(error: ZipError, file: &Path, member: &str) -> Error {
    match error {
        ZipError::Io(e)
            if e.kind() != std::io::ErrorKind::InvalidData && e.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            io_error(file, "read or write")(e)
        }
        ZipError::UnsupportedArchive(what) => Error::Unsupported {
            at: Place::new(file, member),
            what: what.to_string(),
            fix: "write it without encryption, stored or deflated".into(),
        },
        e => damaged(file, member, format!("not a readable zip archive: {e}"), "get a fresh copy of the file"),
    }
}

fn damaged(file: &Path, member: &str, what: String, fix: &str) -> Error {
    Error::Damaged { at: Place::new(file, member), what, fix: fix.into() }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A disk with room for some bytes.
    struct Disk(Cursor<Vec<u8>>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.get_ref().len() + bytes.len() > self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn an_archive_that_the_disk_has_no_room_for_is_an_error_wherever_it_ends() {
        let write = |room: usize| {
            let mut writer = Writer::new(Disk(Cursor::default(), room), Path::new("x.npz"));
            writer.member("a", &[&[1; 1000]], false)?;
            writer.member("b", &[&[2; 1000]], true)?;
            writer.finish().map(|disk| disk.0.into_inner())
        };
        let whole = write(usize::MAX).unwrap();
        assert_eq!(write(whole.len()).unwrap(), whole);
        for room in 0..whole.len() {
            let error = write(room).unwrap_err();
            let is_full = matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull);
            assert!(is_full && error.to_string().contains("x.npz"), "{room}: {error}");
        }
    }

    #[test]
    fn names_that_leave_the_archive_are_unsafe() {
        for name in ["a", "assets/vocabulary.txt", "a..b/c."] {
            assert!(is_safe(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../a", "a/../../b", "a//b", "a/", "C:/a", "a\\..\\b", "./a", "a\0"] {
            assert!(!is_safe(name), "{name}");
        }
    }
}
