//! NumPy's `.npz`: a zip archive of `.npy` files, one an array.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, Write};
use std::path::Path;

use rhyton_ir::Array;

use crate::archive::{self, Writer};
use crate::error::{Error, Place, Result, io_error, memory};
use crate::npy::{self, NpyValue};
use crate::{atomic, elements};

/// How the members of an archive are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are, like `numpy.savez`.
    #[default]
    Stored,
    /// Deflated, like `numpy.savez_compressed`.
    Deflated,
}

/// Reads the arrays of a `.npz` file with their names, in the file's order.
///
/// Members that are not `.npy` files are passed over.
///
/// # Errors
/// If the file cannot be read, is damaged, or an array holds strings (see [`read_values`]) or what [`npy`] does not read.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, Array)>> {
    let path = path.as_ref();
    arrays(read_values(path)?, path)
}

/// Reads the arrays from the bytes of a `.npz` file; see [`read`].
///
/// # Errors
/// As [`read`].
///
/// # Examples
/// ```
/// use rhyton_formats::npz::{self, Compression};
/// use rhyton_ir::Array;
///
/// let x = Array::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]);
/// let bytes = npz::to_bytes(&[("x", &x)], Compression::Deflated)?;
/// assert_eq!(npz::from_bytes(&bytes)?, [("x".to_owned(), x)]);
/// # Ok::<(), rhyton_formats::Error>(())
/// ```
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<(String, Array)>> {
    arrays(values(Cursor::new(bytes), &memory())?, &memory())
}

/// Reads arrays and arrays of strings with their names, in the file's order; see [`read`].
///
/// # Errors
/// As [`read`], but for strings.
pub fn read_values(path: impl AsRef<Path>) -> Result<Vec<(String, NpyValue)>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(io_error(path, "open"))?;
    values(BufReader::new(file), path)
}

/// Writes a `.npz` file atomically, uncompressed.
///
/// # Errors
/// If it cannot be written, or two arrays have the same name.
pub fn write(path: impl AsRef<Path>, arrays: &[(&str, &Array)]) -> Result<()> {
    write_with(path, arrays, Compression::Stored)
}

/// Writes a `.npz` file atomically, stored or deflated.
///
/// # Errors
/// As [`write()`].
pub fn write_with(path: impl AsRef<Path>, arrays: &[(&str, &Array)], compression: Compression) -> Result<()> {
    let path = path.as_ref();
    atomic::replace(path, |file| encode(file, path, arrays, compression).map(drop))
}

/// Writes a `.npz` file of arrays and arrays of strings atomically, uncompressed.
///
/// # Errors
/// As [`write()`], or if strings do not fill their shape.
pub fn write_values(path: impl AsRef<Path>, values: &[(&str, &NpyValue)]) -> Result<()> {
    let path = path.as_ref();
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in values {
        let member = format!("{name}.npy");
        if members.iter().any(|(taken, _)| *taken == member) {
            return Err(twice(name));
        }
        let bytes = match value {
            NpyValue::Array(array) => npy::to_bytes(array),
            NpyValue::Strings { shape, values } => npy::strings_to_bytes(shape, values)?,
        };
        members.push((member, bytes));
    }
    atomic::replace(path, |file| {
        let mut writer = Writer::new(file, path);
        members.iter().try_for_each(|(name, bytes)| writer.member(name, &[bytes], false))?;
        writer.finish().map(drop)
    })
}

fn twice(name: &str) -> Error {
    Error::Argument { what: format!("two arrays are named {name:?}"), fix: "give each array a name of its own".into() }
}

/// The bytes of a `.npz` file.
///
/// # Errors
/// If two arrays have the same name.
pub fn to_bytes(arrays: &[(&str, &Array)], compression: Compression) -> Result<Vec<u8>> {
    encode(Cursor::new(Vec::new()), &memory(), arrays, compression).map(Cursor::into_inner)
}

fn encode<W: Write + Seek>(out: W, file: &Path, arrays: &[(&str, &Array)], compression: Compression) -> Result<W> {
    let mut writer = Writer::new(out, file);
    let mut names = std::collections::BTreeSet::new();
    for (name, array) in arrays {
        if !names.insert(name) {
            return Err(twice(name));
        }
        let parts: [&[u8]; 2] = [&npy::header(array), &elements::encode(array)];
        writer.member(&format!("{name}.npy"), &parts, compression == Compression::Deflated)?;
    }
    writer.finish()
}

fn values(reader: impl Read + Seek, file: &Path) -> Result<Vec<(String, NpyValue)>> {
    let members = archive::read_members(reader, file, |name| name.ends_with(".npy"))?;
    let value = |(member, bytes): (String, Vec<u8>)| {
        let value = npy::parse(&bytes).map_err(|fault| fault.at(file, &member))?;
        let name = member.strip_suffix(".npy").unwrap_or(&member).to_owned();
        Ok((name, value))
    };
    members.into_iter().map(value).collect()
}

fn arrays(values: Vec<(String, NpyValue)>, file: &Path) -> Result<Vec<(String, Array)>> {
    let array = |(name, value): (String, NpyValue)| {
        let array = npy::expect_array(value, || Place::new(file, format!("{name}.npy")))?;
        Ok((name, array))
    };
    values.into_iter().map(array).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_gives_equal_bytes() {
        let a = Array::new([2], vec![1i64, 2]);
        let bytes = || to_bytes(&[("a", &a)], Compression::Stored).unwrap();
        assert_eq!(bytes(), bytes());
        assert!(to_bytes(&[("a", &a), ("a", &a)], Compression::Stored).is_err());
    }

    #[test]
    fn damage_anywhere_never_panics() {
        let a = Array::new([40], vec![1i16; 40]);
        for compression in [Compression::Stored, Compression::Deflated] {
            let bytes = to_bytes(&[("a", &a)], compression).unwrap();
            for end in 0..bytes.len() {
                assert!(from_bytes(&bytes[..end]).is_err());
            }
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0xff;
                let _ = from_bytes(&bytes);
            }
        }
    }
}
