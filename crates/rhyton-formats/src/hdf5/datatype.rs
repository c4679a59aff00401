//! Datatypes, and elements of them as arrays or strings.

use rhyton_ir::array::element_count;
use rhyton_ir::{Array, DType};

use super::heap::{GlobalHeaps, text};
use super::{Source, Value};
use crate::cursor::Cursor;
use crate::elements;
use crate::error::Fault;

/// What an element is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Datatype {
    pub class: Class,
    /// Bytes of an element.
    pub size: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Class {
    Number {
        dtype: DType,
        big_endian: bool,
    },
    /// Strings that are padded with this byte or end at a zero byte.
    FixedString {
        padding: u8,
    },
    VariableString,
    /// Something that is not read: what it is, and the byte that says so.
    Other {
        name: String,
        at: usize,
    },
}

impl Datatype {
    pub fn read(cursor: &mut Cursor) -> Result<Datatype, Fault> {
        let at = cursor.position();
        let head = cursor.u8()?;
        let (version, class) = (head >> 4, head & 15);
        let bits = cursor.uint(3)?;
        let size = cursor.u32()? as usize;
        if !(1..=5).contains(&version) {
            return Err(Fault::damaged(at, format!("version {version} of a datatype")));
        }
        let other = |name: &str| Class::Other { name: format!("elements of {name}"), at };
        let class = match class {
            0 => integer(cursor, bits, size)?.unwrap_or_else(|| other(&format!("{size}-byte or packed integers"))),
            1 => float(cursor, bits, size)?.unwrap_or_else(|| other(&format!("an unusual {size}-byte float"))),
            2 => other("times"),
            3 => Class::FixedString { padding: if bits & 15 == 2 { b' ' } else { 0 } },
            4 => other("bit fields"),
            5 if size == 2 => Class::Number { dtype: DType::BF16, big_endian: false },
            5 => other("an opaque type"),
            6 => other("a compound type"),
            7 => other("references"),
            8 => enumeration(cursor, version, bits)?,
            9 if bits & 15 == 1 => Class::VariableString,
            9 => other("sequences of variable length"),
            10 => other("an array type"),
            11 => other("complex numbers"),
            class => return Err(Fault::damaged(at, format!("a datatype of the unknown class {class}"))),
        };
        let expected = match &class {
            Class::Number { dtype, .. } => Some(dtype.size()),
            _ => None,
        };
        if size == 0 || expected.is_some_and(|expected| size != expected) {
            return Err(Fault::damaged(at, format!("elements of {size} bytes")));
        }
        Ok(Datatype { class, size })
    }

    /// The bytes that `shape` takes; `at` is named if they are beyond any memory.
    pub fn len(&self, shape: &[usize], at: usize) -> Result<usize, Fault> {
        element_count(shape)
            .and_then(|count| count.checked_mul(self.size))
            .ok_or_else(|| Fault::damaged(at, format!("the shape {shape:?} is larger than any memory")))
    }

    /// The elements in `bytes`, which has the length of `shape` and is at byte `at` of the file.
    pub fn decode(&self, source: &Source, shape: Vec<usize>, bytes: &[u8], at: usize) -> Result<Value, Fault> {
        let strings = |values: Result<Vec<String>, Fault>| Ok(Value::Strings { shape: shape.clone(), values: values? });
        match &self.class {
            Class::Number { dtype, big_endian } => {
                Ok(Value::Array(Array::from_data(shape, elements::decode(*dtype, bytes, *big_endian))))
            }
            Class::FixedString { padding } => {
                strings(bytes.chunks_exact(self.size).map(|b| fixed(b, *padding, at)).collect())
            }
            Class::VariableString => {
                let mut heaps = GlobalHeaps::new(*source);
                strings(bytes.chunks_exact(self.size).map(|b| variable(source, &mut heaps, b, at)).collect())
            }
            Class::Other { name, at } => {
                let fix = "store it as numbers of one of Keras's dtypes or as strings";
                Err(Fault::unsupported(*at, name.clone(), fix))
            }
        }
    }
}

fn integer(cursor: &mut Cursor, bits: u64, size: usize) -> Result<Option<Class>, Fault> {
    let (offset, precision) = (cursor.u16()?, cursor.u16()?);
    let dtype = match (bits & 8 != 0, size) {
        (true, 1) => DType::I8,
        (true, 2) => DType::I16,
        (true, 4) => DType::I32,
        (true, 8) => DType::I64,
        (false, 1) => DType::U8,
        (false, 2) => DType::U16,
        (false, 4) => DType::U32,
        (false, 8) => DType::U64,
        _ => return Ok(None),
    };
    let whole = offset == 0 && usize::from(precision) == 8 * size;
    Ok(whole.then_some(Class::Number { dtype, big_endian: bits & 1 != 0 }))
}

fn float(cursor: &mut Cursor, bits: u64, size: usize) -> Result<Option<Class>, Fault> {
    let (offset, precision) = (cursor.u16()?, cursor.u16()?);
    let [exponent_at, exponent, mantissa_at, mantissa] = [cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?];
    let bias = cursor.u32()?;
    let dtype = match (size, exponent, mantissa, bias) {
        (2, 5, 10, 15) => DType::F16,
        (2, 8, 7, 127) => DType::BF16,
        (4, 8, 23, 127) => DType::F32,
        (8, 11, 52, 1023) => DType::F64,
        _ => return Ok(None),
    };
    let ieee = offset == 0 && usize::from(precision) == 8 * size && mantissa_at == 0 && exponent_at == mantissa;
    // Bit 6 is the order of the VAX.
    Ok((ieee && bits & 0x40 == 0).then_some(Class::Number { dtype, big_endian: bits & 1 != 0 }))
}

/// An enumeration is read as its integers, but for h5py's `bool`.
fn enumeration(cursor: &mut Cursor, version: u8, bits: u64) -> Result<Class, Fault> {
    let at = cursor.position();
    // The base is an integer: a class 0 of its own would do for any nesting.
    if cursor.clone().u8()? & 15 != 0 {
        return Err(Fault::damaged(at, "an enumeration of something else than integers"));
    }
    let base = Datatype::read(cursor)?;
    let mut names = Vec::new();
    for _ in 0..bits & 0xffff {
        let start = cursor.position();
        let mut name = Vec::new();
        loop {
            match cursor.u8()? {
                0 => break,
                byte => name.push(byte),
            }
        }
        let len = cursor.position() - start;
        cursor.skip(if version < 3 { len.next_multiple_of(8) - len } else { 0 })?;
        names.push(name);
    }
    let boolean = base.size == 1 && names == [&b"FALSE"[..], b"TRUE"] && cursor.take(2)? == [0, 1];
    Ok(if boolean { Class::Number { dtype: DType::Bool, big_endian: false } } else { base.class })
}

fn fixed(bytes: &[u8], padding: u8, at: usize) -> Result<String, Fault> {
    let end = match padding {
        0 => bytes.iter().position(|&b| b == 0),
        _ => Some(bytes.iter().rposition(|&b| b != padding).map_or(0, |last| last + 1)),
    };
    text(&bytes[..end.unwrap_or(bytes.len())], at).map(str::to_owned)
}

/// An element is a length and an object of a global heap.
fn variable(source: &Source, heaps: &mut GlobalHeaps, bytes: &[u8], at: usize) -> Result<String, Fault> {
    let mut cursor = Cursor::at(bytes, 0);
    let inside = |fault: Fault| Fault { offset: at as u64, ..fault };
    let len = cursor.u32().map_err(inside)?;
    let address = source.address(&mut cursor).map_err(inside)?;
    let index = cursor.u32().map_err(inside)?;
    if len == 0 || address == 0 {
        return Ok(String::new());
    }
    let bytes = heaps.bytes(address, index, len)?;
    // Some writers count the zero byte at the end.
    let bytes = &bytes[..bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len())];
    text(bytes, address as usize).map(str::to_owned)
}
