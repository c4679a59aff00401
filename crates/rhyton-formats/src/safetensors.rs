//! Hugging Face's `.safetensors`: named arrays behind a header of JSON. Reading goes by the crate `safetensors`, which checks
//! that the arrays fill the file without gaps.

use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorView};
use ::safetensors::{SafeTensorError, SafeTensors};
use rhyton_ir::{Array, DType};

use crate::error::{Error, Place, Result, memory, read_file};
use crate::{atomic, elements};

/// Reads the arrays of a file with their names, sorted by name.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds arrays of a dtype that Keras has not (8-bit floats, complex numbers).
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, Array)>> {
    let path = path.as_ref();
    decode(&read_file(path)?, path)
}

/// Reads the arrays from the bytes of a file; see [`read`].
///
/// # Errors
/// As [`read`].
///
/// # Examples
/// ```
/// use rhyton_formats::safetensors;
/// use rhyton_ir::Array;
///
/// let x = Array::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]);
/// let bytes = safetensors::to_bytes(&[("dense/kernel", &x)])?;
/// assert_eq!(safetensors::from_bytes(&bytes)?, [("dense/kernel".to_owned(), x)]);
/// # Ok::<(), rhyton_formats::Error>(())
/// ```
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<(String, Array)>> {
    decode(bytes, &memory())
}

/// Writes a file atomically.
///
/// # Errors
/// If it cannot be written, or two arrays have the same name.
pub fn write(path: impl AsRef<Path>, arrays: &[(&str, &Array)]) -> Result<()> {
    let bytes = to_bytes(arrays)?;
    atomic::write_atomically(path, |file| std::io::Write::write_all(file, &bytes))
}

/// The bytes of a file.
///
/// # Errors
/// If two arrays have the same name.
pub fn to_bytes(arrays: &[(&str, &Array)]) -> Result<Vec<u8>> {
    let mut names = std::collections::BTreeSet::new();
    if let Some((name, _)) = arrays.iter().find(|(name, _)| !names.insert(*name)) {
        return Err(Error::Argument {
            what: format!("two arrays are named {name:?}"),
            fix: "give each array a name of its own".into(),
        });
    }
    let encoded: Vec<_> = arrays.iter().map(|(name, array)| (*name, *array, elements::encode(array))).collect();
    let refused = |error: SafeTensorError| Error::Argument {
        what: format!("the arrays do not make a safetensors file: {error}"),
        fix: "write a .npz file instead".into(),
    };
    let views = encoded.iter().map(|(name, array, bytes)| {
        Ok((*name, TensorView::new(dtype_of(array.dtype()), array.shape().to_vec(), bytes)?))
    });
    let views = views.collect::<Result<Vec<_>, SafeTensorError>>().map_err(refused)?;
    ::safetensors::serialize(views, None).map_err(refused)
}

fn decode(bytes: &[u8], path: &Path) -> Result<Vec<(String, Array)>> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| Error::Damaged {
        at: Place::new(path, ""),
        what: format!("this is not a readable safetensors file: {error}"),
        fix: "the file is damaged or of another format, get a fresh copy".into(),
    })?;
    let array = |(name, view): (&str, TensorView)| {
        let dtype = known(view.dtype()).ok_or_else(|| Error::Unsupported {
            at: Place::new(path, name),
            what: format!("elements of {:?}", view.dtype()),
            fix: "store them as one of Keras's dtypes".into(),
        })?;
        Ok((name.to_owned(), Array::from_data(view.shape().to_vec(), elements::decode(dtype, view.data(), false))))
    };
    let mut arrays = file.iter().map(array).collect::<Result<Vec<_>>>()?;
    arrays.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(arrays)
}

fn known(dtype: Dtype) -> Option<DType> {
    DType::ALL.into_iter().find(|&d| dtype_of(d) == dtype)
}

fn dtype_of(dtype: DType) -> Dtype {
    match dtype {
        DType::Bool => Dtype::BOOL,
        DType::U8 => Dtype::U8,
        DType::U16 => Dtype::U16,
        DType::U32 => Dtype::U32,
        DType::U64 => Dtype::U64,
        DType::I8 => Dtype::I8,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_reads_back() {
        let arrays: Vec<(String, Array)> = DType::ALL
            .into_iter()
            .map(|d| (d.to_string(), Array::new([2, 3], (0..6).map(|i| f64::from(i % 2)).collect::<Vec<_>>()).cast(d)))
            .collect();
        let named: Vec<(&str, &Array)> = arrays.iter().map(|(n, a)| (n.as_str(), a)).collect();
        let mut expected = arrays.clone();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(from_bytes(&to_bytes(&named).unwrap()).unwrap(), expected);
        assert!(to_bytes(&[named[0], named[0]]).is_err());
    }

    #[test]
    fn damage_anywhere_never_panics() {
        let a = Array::new([40], vec![1i16; 40]);
        let bytes = to_bytes(&[("a", &a), ("b", &Array::zeros(DType::F32, [0, 3]))]).unwrap();
        for end in 0..bytes.len() {
            assert!(from_bytes(&bytes[..end]).is_err());
        }
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                let _ = from_bytes(&bytes);
            }
        }
    }
}
