//! HDF5: the tree of groups, datasets and attributes that Keras keeps weights in.
//!
//! [`H5File`] reads, [`H5Writer`] writes. Both work in memory.
//!
//! | | Read | Written |
//! | --- | --- | --- |
//! | file structure | superblocks 0 to 3, object headers 1 and 2 | superblock 2, object headers 2 (HDF5 1.8 and later) |
//! | groups | symbol tables, links in the header, dense links; hard and soft links | links in the header |
//! | storage | compact, contiguous, chunked with every kind of chunk index | contiguous |
//! | filters | deflate, shuffle, Fletcher-32 | none |
//! | numbers | all of [`DType`](rhyton_ir::DType) in both byte orders | all of it, little-endian |
//! | strings | variable and fixed length | variable length, UTF-8 |
//!
//! `bool` is h5py's enumeration of `FALSE` and `TRUE`. `bfloat16` is what Keras makes of it, an opaque type of two bytes with
//! the attribute `dtype` = `"bfloat16"`; the writer adds that attribute, and an opaque type of two bytes is read as
//! `bfloat16`.
//!
//! Not read: compound, reference, time and array types, complex numbers, virtual and external storage, other filters. They
//! give [`Error::Unsupported`](crate::Error::Unsupported) only when asked for: the rest of the file is readable.
//!
//! Why not a library: `libhdf5` is C and would end the single static binary. Of the pure Rust crates `hdf5-pure` 0.47 comes
//! closest, but it could not list the root of a file in h5py's default format that holds a soft link, asked for 68 GB after
//! one flipped byte of a 12 KB file (which aborts the process), reads an attribute that is `bool` as a number, and is 127,000
//! lines (42 s of a release build on two cores) where this is 3,000.

mod attribute;
mod btree;
mod checksum;
mod chunk;
mod chunk_index;
mod datatype;
mod file;
mod filter;
mod fractal_heap;
mod group;
mod heap;
mod message;
mod object;
mod superblock;
mod writer;

use rhyton_ir::Array;

pub use file::{Dataset, Group, H5File, Kind};
pub use writer::H5Writer;

use crate::cursor::Cursor;
use crate::error::Fault;

/// Takes all checksums of files that this thread reads as right, so that damage reaches what they guard.
#[cfg(feature = "fuzz")]
pub fn ignore_checksums() {
    checksum::IGNORED.set(true);
}

/// The value of a dataset or an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Numbers or truth values; a scalar has rank 0.
    Array(Array),
    /// Strings in row-major order.
    Strings {
        /// The shape; empty for a single string.
        shape: Vec<usize>,
        /// The strings.
        values: Vec<String>,
    },
    /// HDF5's null dataspace: a type, but neither shape nor elements (`h5py.Empty`). Written as an empty float32.
    Null,
}

impl Value {
    /// The array, if the value is one.
    pub fn as_array(&self) -> Option<&Array> {
        if let Value::Array(array) = self { Some(array) } else { None }
    }

    /// The string, if the value is a single one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Strings { shape, values } if shape.is_empty() => values.first().map(String::as_str),
            _ => None,
        }
    }

    /// The strings, if the value is a list or array of them. An array without elements counts, as NumPy makes one of numbers
    /// out of an empty list of names.
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Value::Strings { values, .. } => Some(values),
            Value::Array(array) if array.is_empty() => Some(&[]),
            _ => None,
        }
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Value {
        Value::Array(array)
    }
}

impl From<&Array> for Value {
    fn from(array: &Array) -> Value {
        Value::Array(array.clone())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Strings { shape: Vec::new(), values: vec![text.to_owned()] }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Strings { shape: Vec::new(), values: vec![text] }
    }
}

impl From<Vec<String>> for Value {
    fn from(values: Vec<String>) -> Value {
        Value::Strings { shape: vec![values.len()], values }
    }
}

impl From<&[&str]> for Value {
    fn from(values: &[&str]) -> Value {
        values.iter().map(|&v| v.to_owned()).collect::<Vec<_>>().into()
    }
}

macro_rules! from_number {
    ($($number:ty)*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Value {
                Value::Array(Array::scalar(number))
            }
        }
    )*};
}

from_number! { bool i32 i64 f32 f64 }

/// HDF5's address of nothing.
const UNDEFINED: u64 = u64::MAX;

/// The bytes of a file and the sizes that its superblock sets. Addresses count from the start of `data`.
#[derive(Clone, Copy)]
struct Source<'a> {
    data: &'a [u8],
    /// Bytes of an address.
    offset_size: usize,
    /// Bytes of a length.
    length_size: usize,
}

impl<'a> Source<'a> {
    fn cursor(&self, address: u64) -> Cursor<'a> {
        Cursor::at(self.data, address)
    }

    /// An address; all bits set, in whichever size, is [`UNDEFINED`].
    fn address(&self, cursor: &mut Cursor) -> Result<u64, Fault> {
        let address = cursor.uint(self.offset_size)?;
        let undefined = UNDEFINED >> (64 - 8 * self.offset_size);
        Ok(if address == undefined { UNDEFINED } else { address })
    }

    fn length(&self, cursor: &mut Cursor) -> Result<u64, Fault> {
        cursor.uint(self.length_size)
    }

    /// The bytes `address..address + len`.
    fn bytes(&self, address: u64, len: u64) -> Result<&'a [u8], Fault> {
        self.cursor(address).take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// The most bytes that one dataset of this file may unpack to. Deflate makes at most 1,032 bytes of one; a chunk that was
    /// never written takes no bytes at all, hence the floor.
    fn unpacked_limit(&self) -> u64 {
        (self.data.len() as u64).saturating_mul(1032).max(64 << 20)
    }
}

/// What the parts of one structure may take together. Sound parts do not overlap, so the file's length is enough; parts that
/// point at each other, or at the same bytes again and again, use it up.
struct Budget {
    left: u64,
}

impl Budget {
    fn new(source: &Source) -> Budget {
        Budget { left: source.data.len() as u64 }
    }

    /// Takes `len` bytes for the part at `at`.
    fn spend(&mut self, at: u64, len: u64) -> Result<(), Fault> {
        match self.left.checked_sub(len) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Fault::damaged(at as usize, "the parts of a structure overlap or go round in a circle")),
        }
    }
}

/// The number of bytes that hold `n`.
fn bytes_for(n: u64) -> usize {
    n.checked_ilog2().unwrap_or(0) as usize / 8 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads everything that can be read, past errors.
    fn read_all(bytes: Vec<u8>) {
        let Ok(file) = H5File::from_bytes(bytes) else { return };
        let attributes = |names: crate::Result<Vec<String>>, read: &dyn Fn(&str) -> crate::Result<Option<Value>>| {
            names.unwrap_or_default().iter().take(4).for_each(|name| drop(read(name)));
        };
        if let Ok(root) = file.root() {
            attributes(root.attribute_names(), &|name| root.attribute(name));
        }
        for path in file.datasets().unwrap_or_default().iter().take(12) {
            if let Ok(dataset) = file.dataset(path) {
                attributes(dataset.attribute_names(), &|name| dataset.attribute(name));
                let _ = dataset.value();
            }
        }
    }

    /// Damages what checksums guard, as someone who also mends the checksums would.
    #[test]
    fn damage_behind_checksums_never_panics() {
        checksum::IGNORED.set(true);
        for (name, step) in
            [("small_latest.h5", 1), ("ordered.h5", 1), ("large_attribute.h5", 3), ("many_chunks.h5", 97)]
        {
            let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
            let bytes = std::fs::read(path).unwrap();
            for at in (0..bytes.len()).step_by(step) {
                for flip in [0x01, 0x10, 0x80, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[at] ^= flip;
                    read_all(bytes);
                }
            }
        }
    }
}
