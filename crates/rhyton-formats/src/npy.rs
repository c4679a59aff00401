//! NumPy's `.npy`: one array, with its dtype and shape.
//!
//! | | Read | Written |
//! | --- | --- | --- |
//! | versions | 1.0, 2.0, 3.0 | 1.0 |
//! | byte order | both | little-endian |
//! | element order | C and Fortran | C |
//! | dtypes | all of [`DType`], `U` and `S` strings, objects that are such | all of [`DType`], `U` |
//!
//! `bfloat16` is stored as ml_dtypes stores it, as two raw bytes (`|V2`), and `|V2` is read as `bfloat16`.

use std::io::Write;
use std::path::Path;

use rhyton_ir::array::element_count;
use rhyton_ir::{Array, DType};

use crate::cursor::Cursor;
use crate::error::{Error, Fault, Place, Result, memory, read_file};
use crate::{atomic, elements, pickle};

/// What a `.npy` file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum NpyValue {
    /// Numbers or truth values.
    Array(Array),
    /// Strings, in row-major order: NumPy's `U`, `S` where the bytes are UTF-8, or `O` where the objects are such.
    Strings {
        /// The shape.
        shape: Vec<usize>,
        /// The elements, without the padding that NumPy stores.
        values: Vec<String>,
    },
}

/// Reads a `.npy` file.
///
/// # Errors
/// If it cannot be read, is not a `.npy` file, is shorter than it declares, or holds other objects than
/// texts, records, dates or complex numbers.
pub fn read(path: impl AsRef<Path>) -> Result<NpyValue> {
    let path = path.as_ref();
    parse(&read_file(path)?).map_err(|fault| fault.at(path, ""))
}

/// Reads the bytes of a `.npy` file; see [`read`].
///
/// # Errors
/// As [`read`].
///
/// # Examples
/// ```
/// use rhyton_formats::npy::{self, NpyValue};
/// use rhyton_ir::Array;
///
/// let array = Array::new([3], vec![1.0f32, 2.0, 3.0]);
/// assert_eq!(npy::from_bytes(&npy::to_bytes(&array))?, NpyValue::Array(array));
/// # Ok::<(), rhyton_formats::Error>(())
/// ```
pub fn from_bytes(bytes: &[u8]) -> Result<NpyValue> {
    parse(bytes).map_err(|fault| fault.at(&memory(), ""))
}

/// Writes a `.npy` file atomically.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: impl AsRef<Path>, array: &Array) -> Result<()> {
    atomic::write_atomically(path, |file| {
        file.write_all(&header(array))?;
        file.write_all(&elements::encode(array))
    })
}

/// The bytes of a `.npy` file.
pub fn to_bytes(array: &Array) -> Vec<u8> {
    let mut bytes = header(array);
    bytes.extend_from_slice(&elements::encode(array));
    bytes
}

/// The bytes of a `.npy` file of texts of `shape`, as NumPy's `U`.
///
/// # Errors
/// If there are not as many texts as the shape takes.
pub fn strings_to_bytes(shape: &[usize], values: &[String]) -> Result<Vec<u8>> {
    if element_count(shape) != Some(values.len()) {
        return Err(Error::Argument {
            what: format!("{} texts do not fill the shape {shape:?}", values.len()),
            fix: "give as many as the product of the shape".into(),
        });
    }
    let points = values.iter().map(|v| v.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = header_of(&format!("<U{points}"), shape);
    for value in values {
        let mut left = points;
        for point in value.chars() {
            bytes.extend(u32::from(point).to_le_bytes());
            left -= 1;
        }
        bytes.extend(std::iter::repeat_n(0, 4 * left));
    }
    Ok(bytes)
}

/// The array in `value`, or the error that `place` holds strings.
pub(crate) fn expect_array(value: NpyValue, place: impl FnOnce() -> Place) -> Result<Array> {
    match value {
        NpyValue::Array(array) => Ok(array),
        NpyValue::Strings { .. } => Err(Error::Unsupported {
            at: place(),
            what: "the array holds strings".into(),
            fix: "read it with npz::read_values or npy::read".into(),
        }),
    }
}

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Everything before the elements.
pub(crate) fn header(array: &Array) -> Vec<u8> {
    header_of(descr(array.dtype()), array.shape())
}

fn header_of(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape = match shape {
        [one] => format!("({one},)"),
        shape => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // The elements start at a multiple of 64 bytes; the header ends in a newline.
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    // Version 1.0 holds 65,535 bytes of header; a shape of that length has thousands of axes.
    match u16::try_from(text.len()) {
        Ok(len) => {
            bytes.extend([1, 0]);
            bytes.extend(len.to_le_bytes());
        }
        Err(_) => {
            bytes.extend([2, 0]);
            bytes.extend((text.len() as u32).to_le_bytes());
        }
    }
    bytes.extend(text.bytes());
    bytes
}

fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "|b1",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::F16 => "<f2",
        DType::BF16 => "|V2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
    }
}

/// What the elements are.
enum Kind {
    Number(DType),
    /// Code points of four bytes, this many an element.
    Unicode(usize),
    /// This many bytes an element.
    Bytes(usize),
}

pub(crate) fn parse(bytes: &[u8]) -> Result<NpyValue, Fault> {
    let mut cursor = Cursor::at(bytes, 0);
    if cursor.take(6).ok() != Some(MAGIC) {
        return Err(Fault::damaged(0, "this is not a .npy file: it does not start with \\x93NUMPY"));
    }
    let (major, _minor) = (cursor.u8()?, cursor.u8()?);
    let len = match major {
        1 => usize::from(cursor.u16()?),
        2 | 3 => cursor.u32()? as usize,
        _ => return Err(Fault::unsupported(6, format!("version {major} of .npy"), "save it as version 1, 2 or 3")),
    };
    let at = cursor.position();
    let text = cursor.take(len)?;
    let Header { descr, fortran_order, shape } = Header::parse(text, at)?;
    if descr == "|O" {
        return objects(bytes, cursor.position(), shape, fortran_order);
    }
    let (kind, big_endian) = kind(&descr, at)?;
    let size = match kind {
        Kind::Number(dtype) => Some(dtype.size()),
        Kind::Unicode(n) => n.checked_mul(4),
        Kind::Bytes(n) => Some(n),
    };
    let count = element_count(&shape);
    let (Some(size), Some(count)) = (size, count) else {
        return Err(Fault::damaged(at, format!("the shape {shape:?} of {descr} is larger than any memory")));
    };
    let at = cursor.position();
    if size == 0 && count > bytes.len() {
        return Err(Fault::damaged(
            at,
            format!("{count} empty strings are declared in a file of {} bytes", bytes.len()),
        ));
    }
    let len = size
        .checked_mul(count)
        .ok_or_else(|| Fault::damaged(at, format!("the shape {shape:?} is larger than any memory")))?;
    let data = cursor.take(len)?;
    let reordered;
    let data = if fortran_order && size > 0 && shape.len() > 1 {
        reordered = elements::row_major(data, &shape, size);
        &reordered
    } else {
        data
    };
    let strings = |decode: &dyn Fn(&[u8]) -> Option<String>| {
        let element = |i: usize| {
            decode(&data[i * size..(i + 1) * size])
                .ok_or_else(|| Fault::damaged(at + i * size, format!("element {i} is not Unicode text")))
        };
        Ok(NpyValue::Strings { shape: shape.clone(), values: (0..count).map(element).collect::<Result<_, Fault>>()? })
    };
    match kind {
        Kind::Number(dtype) => Ok(NpyValue::Array(Array::from_data(shape, elements::decode(dtype, data, big_endian)))),
        Kind::Unicode(_) => strings(&|bytes| {
            let point = |c: &[u8]| {
                let c = [c[0], c[1], c[2], c[3]];
                if big_endian { u32::from_be_bytes(c) } else { u32::from_le_bytes(c) }
            };
            let text: Option<String> = bytes.chunks_exact(4).map(|c| char::from_u32(point(c))).collect();
            Some(text?.trim_end_matches('\0').to_owned())
        }),
        Kind::Bytes(_) => strings(&|bytes| {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(text.trim_end_matches('\0').to_owned())
        }),
    }
}

/// An array of objects that are texts.
fn objects(bytes: &[u8], at: usize, shape: Vec<usize>, fortran_order: bool) -> Result<NpyValue, Fault> {
    let values = pickle::texts(bytes, at)?;
    if element_count(&shape) != Some(values.len()) {
        return Err(Fault::damaged(at, format!("{} objects do not fill the shape {shape:?}", values.len())));
    }
    if fortran_order {
        return Err(Fault::unsupported(at, "objects in Fortran's order", "save np.ascontiguousarray of it"));
    }
    Ok(NpyValue::Strings { shape, values })
}

/// The kind of elements that `descr` names, and whether they are big-endian.
fn kind(descr: &str, at: usize) -> Result<(Kind, bool), Fault> {
    let unsupported = || {
        let fix = "save it as one of Keras's dtypes or as strings";
        Fault::unsupported(at, format!("the dtype {descr:?} is not read"), fix)
    };
    let (order, rest) = descr.split_at_checked(1).ok_or_else(unsupported)?;
    let big_endian = match order {
        "<" | "|" => false,
        ">" => true,
        "=" => cfg!(target_endian = "big"),
        _ => return Err(unsupported()),
    };
    let kind = match rest {
        "b1" => Kind::Number(DType::Bool),
        "u1" => Kind::Number(DType::U8),
        "u2" => Kind::Number(DType::U16),
        "u4" => Kind::Number(DType::U32),
        "u8" => Kind::Number(DType::U64),
        "i1" => Kind::Number(DType::I8),
        "i2" => Kind::Number(DType::I16),
        "i4" => Kind::Number(DType::I32),
        "i8" => Kind::Number(DType::I64),
        "f2" => Kind::Number(DType::F16),
        "V2" => Kind::Number(DType::BF16),
        "f4" => Kind::Number(DType::F32),
        "f8" => Kind::Number(DType::F64),
        _ => {
            let (letter, len) = rest.split_at_checked(1).ok_or_else(unsupported)?;
            let len = len.parse().map_err(|_| unsupported())?;
            match letter {
                "U" => Kind::Unicode(len),
                "S" => Kind::Bytes(len),
                _ => return Err(unsupported()),
            }
        }
    };
    Ok((kind, big_endian))
}

/// The dictionary, a Python literal, that describes the array.
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Parses the text that starts at byte `at` of the file.
    fn parse(text: &[u8], at: usize) -> Result<Header, Fault> {
        let malformed = || Fault::damaged(at, "the header is not the dictionary of descr, fortran_order and shape");
        let mut text = std::str::from_utf8(text).map_err(|_| malformed())?.trim();
        text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(malformed)?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !text.is_empty() {
            let (key, rest) = quoted(text).ok_or_else(malformed)?;
            let rest = rest.trim_start().strip_prefix(':').ok_or_else(malformed)?.trim_start();
            text = match key {
                "descr" if rest.starts_with('[') => {
                    return Err(Fault::unsupported(
                        at,
                        "an array of records",
                        "save each field as an array of its own",
                    ));
                }
                "descr" => {
                    let (value, rest) = quoted(rest).ok_or_else(malformed)?;
                    descr = Some(value.to_owned());
                    rest
                }
                "fortran_order" => {
                    let (value, rest) = rest
                        .strip_prefix("True")
                        .map(|rest| (true, rest))
                        .or_else(|| rest.strip_prefix("False").map(|rest| (false, rest)))
                        .ok_or_else(malformed)?;
                    fortran_order = Some(value);
                    rest
                }
                "shape" => {
                    let (inner, rest) = rest.strip_prefix('(').and_then(|r| r.split_once(')')).ok_or_else(malformed)?;
                    // Python 2 wrote `2L`.
                    let numbers = inner.split(',').map(|n| n.trim().trim_end_matches('L')).filter(|n| !n.is_empty());
                    shape = Some(numbers.map(str::parse).collect::<Result<Vec<_>, _>>().map_err(|_| malformed())?);
                    rest
                }
                _ => return Err(malformed()),
            };
            text = text.trim_start();
            text = text.strip_prefix(',').unwrap_or(text).trim_start();
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Header { descr, fortran_order, shape }),
            _ => Err(malformed()),
        }
    }
}

/// The quoted string at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_and_rank_reads_back() {
        for dtype in DType::ALL {
            for shape in [vec![], vec![0], vec![3], vec![2, 3], vec![2, 0, 3]] {
                let array = Array::full(dtype, shape, 1.0);
                let bytes = to_bytes(&array);
                assert_eq!((bytes.len() - array.data().bytes().len()) % 64, 0);
                assert_eq!(from_bytes(&bytes).unwrap(), NpyValue::Array(array));
            }
        }
    }

    #[test]
    fn texts_read_back() {
        for (shape, texts) in [(vec![], vec!["one"]), (vec![2, 2], vec!["", "é", "longer", "z"]), (vec![0], vec![])] {
            let values: Vec<String> = texts.iter().map(|&t| t.to_owned()).collect();
            let bytes = strings_to_bytes(&shape, &values).unwrap();
            assert_eq!(from_bytes(&bytes).unwrap(), NpyValue::Strings { shape, values });
        }
        assert!(strings_to_bytes(&[2], &["a".to_owned()]).is_err());
    }

    #[test]
    fn a_declared_size_beyond_the_file_is_an_error() {
        for shape in ["(4,)", "(99999999999,)", "(99999999999, 99999999999)", "(-1,)"] {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.bytes());
            bytes.extend([0; 12]);
            assert!(matches!(from_bytes(&bytes), Err(Error::Damaged { .. })), "{shape}");
        }
    }

    #[test]
    fn damage_anywhere_never_panics() {
        let bytes = to_bytes(&Array::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]));
        for end in 0..bytes.len() {
            assert!(from_bytes(&bytes[..end]).is_err());
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                let _ = from_bytes(&bytes);
            }
        }
    }

    #[test]
    fn complex_numbers_and_records_are_named_as_unsupported() {
        for descr in ["'<c8'", "'<M8[ns]'", "[('a', '<f4')]", "''", "'é'"] {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.bytes());
            assert!(matches!(from_bytes(&bytes), Err(Error::Unsupported { .. })), "{descr}");
        }
    }
}
