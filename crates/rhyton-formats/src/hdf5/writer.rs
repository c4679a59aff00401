//! Writing a file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use rhyton_ir::array::element_count;
use rhyton_ir::{Array, DType};

use super::checksum::lookup3;
use super::object::kind;
use super::{UNDEFINED, Value};
use crate::error::{Error, Result};
use crate::{atomic, elements};

/// A tree of groups, datasets and attributes to be written as an HDF5 file.
///
/// Groups are made as paths need them. Arrays are shared with the caller's, not copied, until the bytes are made.
/// Equal trees give equal bytes: nothing in the file depends on time or on the order of the calls.
///
/// # Examples
/// See [`H5File`](super::H5File).
#[derive(Clone, Debug, Default)]
pub struct H5Writer {
    root: Node,
}

/// A group, or a dataset if it has a value.
#[derive(Clone, Debug, Default)]
struct Node {
    value: Option<Value>,
    attributes: BTreeMap<String, Value>,
    members: BTreeMap<String, Node>,
}

impl H5Writer {
    /// An empty file.
    pub fn new() -> H5Writer {
        H5Writer::default()
    }

    /// Makes the group at `path`, and those on the way, unless they are there already.
    ///
    /// # Errors
    /// If there is a dataset at or on the way to `path`.
    pub fn group(&mut self, path: &str) -> Result<()> {
        match self.node(path)?.value {
            None => Ok(()),
            Some(_) => Err(occupied(path)),
        }
    }

    /// Puts a dataset at `path`. A `bfloat16` array also gets the attribute by which Keras knows it.
    ///
    /// # Errors
    /// If there is something at `path` already or a dataset on the way to it, or strings do not fill their shape.
    pub fn dataset(&mut self, path: &str, value: impl Into<Value>) -> Result<()> {
        let value = checked(value.into(), path)?;
        let at_root = path.split('/').all(str::is_empty);
        let node = self.node(path)?;
        if at_root || node.value.is_some() || !node.members.is_empty() {
            return Err(occupied(path));
        }
        if matches!(&value, Value::Array(array) if array.dtype() == DType::BF16) {
            node.attributes.entry("dtype".into()).or_insert_with(|| DType::BF16.name().into());
        }
        node.value = Some(value);
        Ok(())
    }

    /// Sets an attribute of the group or dataset at `path`, which is made as a group if it is not there.
    ///
    /// # Errors
    /// If there is a dataset on the way to `path`, the value takes over 65,000 bytes (each string of a list takes 16 here,
    /// however long it is), or strings do not fill their shape.
    pub fn attribute(&mut self, path: &str, name: &str, value: impl Into<Value>) -> Result<()> {
        // A message has at most 65,535 bytes; the rest is for the name and the type.
        const MOST: usize = 65_000;
        let value = checked(value.into(), name)?;
        let size = name.len() + stored_len(&value);
        if size > MOST {
            return Err(Error::Argument {
                what: format!("the attribute {name:?} of /{path} takes {size} bytes, HDF5 holds {MOST} at most"),
                fix: "split it into several, as Keras does with name0, name1, …".into(),
            });
        }
        self.node(path)?.attributes.insert(name.to_owned(), value);
        Ok(())
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// If a name is longer than 65,535 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Output { bytes: vec![0; SUPERBLOCK], strings: Vec::new(), next_string: 0 };
        let mut texts = Vec::new();
        self.root.strings(&mut texts);
        out.heaps(&texts);
        let root = out.node(&self.root)?;
        let end = out.bytes.len() as u64;
        out.bytes[..SUPERBLOCK].copy_from_slice(&superblock(root, end));
        Ok(out.bytes)
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// As [`H5Writer::to_bytes`], and if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let bytes = self.to_bytes()?;
        atomic::write_atomically(path, |file| file.write_all(&bytes))
    }

    /// The node at `path`, made as a group if it is not there.
    fn node(&mut self, path: &str) -> Result<&mut Node> {
        let mut node = &mut self.root;
        for (depth, name) in path.split('/').filter(|name| !name.is_empty()).enumerate() {
            if depth == MAX_DEPTH {
                return Err(Error::Argument {
                    what: format!(
                        "the path {:?}… has more than {MAX_DEPTH} parts",
                        path.chars().take(40).collect::<String>()
                    ),
                    fix: "nest the groups less deeply".into(),
                });
            }
            if name == "." {
                return Err(Error::Argument {
                    what: format!("the path {path:?} has the part \".\", which HDF5 reads as nothing"),
                    fix: "name the part otherwise".into(),
                });
            }
            if node.value.is_some() {
                return Err(occupied(path));
            }
            node = node.members.entry(name.to_owned()).or_default();
        }
        Ok(node)
    }
}

/// The tree is walked by recursion.
const MAX_DEPTH: usize = 256;

/// HDF5's limit.
const MAX_RANK: usize = 32;

fn occupied(path: &str) -> Error {
    Error::Argument {
        what: format!("there is already something else at or on the way to {path:?}"),
        fix: "give each dataset a path of its own, below groups only".into(),
    }
}

fn checked(value: Value, name: &str) -> Result<Value> {
    let rank = match &value {
        Value::Array(array) => array.rank(),
        Value::Strings { shape, .. } => shape.len(),
        Value::Null => 0,
    };
    if rank > MAX_RANK {
        return Err(Error::Argument {
            what: format!("{name:?} has {rank} axes, HDF5 holds {MAX_RANK} at most"),
            fix: "reshape it to fewer axes".into(),
        });
    }
    match &value {
        Value::Strings { shape, values } if element_count(shape) != Some(values.len()) => Err(Error::Argument {
            what: format!("{} strings do not fill the shape {shape:?} of {name:?}", values.len()),
            fix: "give as many strings as the shape has elements".into(),
        }),
        Value::Strings { values, .. } if values.iter().any(|v| v.contains('\0')) => Err(Error::Argument {
            what: format!("a string of {name:?} has a zero byte, where readers of HDF5 would end it"),
            fix: "remove the zero byte, or store the bytes as a uint8 array".into(),
        }),
        _ => Ok(value),
    }
}

/// Bytes of a value where it is stored; strings are elsewhere, with 16 bytes to find each.
fn stored_len(value: &Value) -> usize {
    match value {
        Value::Array(array) => array.data().bytes().len(),
        Value::Strings { values, .. } => 16 * values.len(),
        Value::Null => 0,
    }
}

impl Node {
    /// Adds all strings of the node and those below, in the order in which they are written.
    fn strings<'a>(&'a self, out: &mut Vec<&'a str>) {
        let mut add = |value: &'a Value| {
            if let Value::Strings { values, .. } = value {
                out.extend(values.iter().map(String::as_str));
            }
        };
        self.value.iter().for_each(&mut add);
        self.attributes.values().for_each(&mut add);
        self.members.values().for_each(|member| member.strings(out));
    }
}

const SUPERBLOCK: usize = 48;

fn superblock(root: u64, end: u64) -> Vec<u8> {
    let mut bytes = b"\x89HDF\r\n\x1a\n".to_vec();
    // Version 2, addresses and lengths of 8 bytes, no flags.
    bytes.extend([2, 8, 8, 0]);
    for address in [0, UNDEFINED, end, root] {
        bytes.extend(address.to_le_bytes());
    }
    bytes.extend(lookup3(&bytes).to_le_bytes());
    bytes
}

/// The file so far. Everything is written before what points to it, so each address is known in time.
struct Output {
    bytes: Vec<u8>,
    /// Of each string the heap and the number in it.
    strings: Vec<(u64, u32)>,
    next_string: usize,
}

impl Output {
    fn align(&mut self) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.len() as u64
    }

    /// Writes the strings into global heaps.
    fn heaps(&mut self, texts: &[&str]) {
        // libhdf5 accepts no smaller heap.
        const LEAST: usize = 4096;
        let mut rest = texts;
        while !rest.is_empty() {
            let address = self.align();
            let start = self.bytes.len();
            self.bytes.extend(b"GCOL\x01\0\0\0");
            self.bytes.extend([0; 8]);
            let mut index = 0u16;
            while let Some((text, others)) = rest.split_first() {
                // The last 16 bytes are for the free space, object 0.
                let used = self.bytes.len() - start;
                if index == u16::MAX || (index > 0 && used + 16 + text.len().next_multiple_of(8) > LEAST - 16) {
                    break;
                }
                rest = others;
                if text.is_empty() {
                    self.strings.push((0, 0));
                    continue;
                }
                index += 1;
                self.strings.push((address, index.into()));
                self.bytes.extend(index.to_le_bytes());
                // One reference.
                self.bytes.extend([1, 0, 0, 0, 0, 0]);
                self.bytes.extend((text.len() as u64).to_le_bytes());
                self.bytes.extend(text.bytes());
                self.align();
            }
            if index == 0 {
                self.bytes.truncate(start);
                continue;
            }
            let used = self.bytes.len() - start;
            let size = LEAST.max(used + 16);
            self.bytes.extend([0; 8]);
            self.bytes.extend(((size - used) as u64).to_le_bytes());
            self.bytes.resize(start + size, 0);
            self.bytes[start + 8..start + 16].copy_from_slice(&(size as u64).to_le_bytes());
        }
    }

    /// Writes a node after everything below it, and returns the address of its header.
    fn node(&mut self, node: &Node) -> Result<u64> {
        // The order of `Node::strings`.
        let mut messages = Messages::default();
        if let Some(value) = &node.value {
            let data = self.stored(value);
            messages.add(kind::DATASPACE, &dataspace(value))?;
            messages.add(kind::DATATYPE, &datatype(value))?;
            // Version 3; allocated late, written if set, the default of zeros.
            messages.add(kind::FILL, &[3, 0x0a])?;
            let address = if data.is_empty() { UNDEFINED } else { self.align() };
            let mut layout = vec![3, 1];
            layout.extend(address.to_le_bytes());
            layout.extend((data.len() as u64).to_le_bytes());
            messages.add(kind::LAYOUT, &layout)?;
            self.bytes.extend_from_slice(&data);
        }
        for (name, value) in &node.attributes {
            let data = self.stored(value);
            messages.add(kind::ATTRIBUTE, &attribute(name, value, &data)?)?;
        }
        let mut links = Vec::with_capacity(node.members.len());
        for (name, member) in &node.members {
            links.push((name, self.node(member)?));
        }
        if node.value.is_none() {
            // Neither a heap nor a tree of links: they are all in this header.
            let mut info = vec![0, 0];
            info.extend([0xff; 16]);
            messages.add(kind::LINK_INFO, &info)?;
            messages.add(kind::GROUP_INFO, &[0, 0])?;
        }
        for (name, address) in links {
            messages.add(kind::LINK, &link(name, address)?)?;
        }
        let start = self.align();
        let header = messages.header();
        self.bytes.extend_from_slice(&header);
        Ok(start)
    }

    /// The bytes of a value as a dataset or attribute stores them.
    fn stored<'a>(&mut self, value: &'a Value) -> std::borrow::Cow<'a, [u8]> {
        match value {
            Value::Array(array) => elements::encode(array),
            Value::Null => (&[][..]).into(),
            Value::Strings { values, .. } => {
                let mut bytes = Vec::with_capacity(16 * values.len());
                for text in values {
                    let (heap, index) = self.strings[self.next_string];
                    self.next_string += 1;
                    bytes.extend((text.len() as u32).to_le_bytes());
                    bytes.extend(heap.to_le_bytes());
                    bytes.extend(index.to_le_bytes());
                }
                bytes.into()
            }
        }
    }
}

/// The messages of an object header.
#[derive(Default)]
struct Messages(Vec<u8>);

impl Messages {
    fn add(&mut self, kind: u16, content: &[u8]) -> Result<()> {
        let len = u16::try_from(content.len()).map_err(|_| too_long("an attribute or link", content.len()))?;
        self.0.push(kind as u8);
        self.0.extend(len.to_le_bytes());
        self.0.push(0);
        self.0.extend_from_slice(content);
        Ok(())
    }

    /// A header of version 2, whose only block holds everything.
    fn header(self) -> Vec<u8> {
        let mut header = b"OHDR\x02".to_vec();
        // The flags are the size of the size: 4 bytes, or 8 for groups with tens of millions of links.
        match u32::try_from(self.0.len()) {
            Ok(len) => {
                header.push(2);
                header.extend(len.to_le_bytes());
            }
            Err(_) => {
                header.push(3);
                header.extend((self.0.len() as u64).to_le_bytes());
            }
        }
        header.extend(self.0);
        header.extend(lookup3(&header).to_le_bytes());
        header
    }
}

fn too_long(what: &str, len: usize) -> Error {
    Error::Argument {
        what: format!("{what} takes {len} bytes, HDF5 holds 65535 at most"),
        fix: "use a shorter name or value".into(),
    }
}

fn link(name: &str, address: u64) -> Result<Vec<u8>> {
    let len = u16::try_from(name.len()).map_err(|_| too_long("a name", name.len()))?;
    // Version 1; a hard link whose name is UTF-8 and has a length of two bytes.
    let mut bytes = vec![1, 0x11, 1];
    bytes.extend(len.to_le_bytes());
    bytes.extend(name.bytes());
    bytes.extend(address.to_le_bytes());
    Ok(bytes)
}

fn attribute(name: &str, value: &Value, data: &[u8]) -> Result<Vec<u8>> {
    let (datatype, dataspace) = (datatype(value), dataspace(value));
    // The name ends in a zero byte, which counts.
    let name_len = u16::try_from(name.len() + 1).map_err(|_| too_long("a name", name.len()))?;
    // Version 3, nothing shared; the name is UTF-8.
    let mut bytes = vec![3, 0];
    for len in [name_len, datatype.len() as u16, dataspace.len() as u16] {
        bytes.extend(len.to_le_bytes());
    }
    bytes.push(1);
    bytes.extend(name.bytes());
    bytes.push(0);
    bytes.extend(datatype);
    bytes.extend(dataspace);
    bytes.extend(data);
    Ok(bytes)
}

fn dataspace(value: &Value) -> Vec<u8> {
    let shape = match value {
        Value::Array(array) => array.shape(),
        Value::Strings { shape, .. } => shape,
        // Version 2, rank, flags, kind: 2 is null, 0 a scalar, 1 an array.
        Value::Null => return vec![2, 0, 0, 2],
    };
    let mut bytes = vec![2, shape.len() as u8, 0, u8::from(!shape.is_empty())];
    for &dimension in shape {
        bytes.extend((dimension as u64).to_le_bytes());
    }
    bytes
}

fn datatype(value: &Value) -> Vec<u8> {
    let dtype = match value {
        Value::Array(array) => Array::dtype(array),
        Value::Null => DType::F32,
        Value::Strings { .. } => {
            // A string of variable length, UTF-8 and with a zero byte at the end, of 16 bytes: length, heap, number.
            // Its base is a character.
            let mut bytes = vec![0x19, 0x01, 0x01, 0, 16, 0, 0, 0];
            bytes.extend([0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]);
            return bytes;
        }
    };
    // Class and version 1, flags (8: signed), size.
    let head = |class: u8, flags: [u8; 2]| vec![0x10 | class, flags[0], flags[1], 0, dtype.size() as u8, 0, 0, 0];
    let integer = |signed: u8| {
        let mut bytes = head(0, [signed, 0]);
        bytes.extend([0, 0, 8 * dtype.size() as u8, 0]);
        bytes
    };
    // 0x20: the mantissa's first bit is implied; then the sign's place, and those and sizes of exponent and mantissa.
    let float = |exponent: u8, mantissa: u8, bias: u32| {
        let bits = 8 * dtype.size() as u8;
        let mut bytes = head(1, [0x20, bits - 1]);
        bytes.extend([0, 0, bits, 0, mantissa, exponent, 0, mantissa]);
        bytes.extend(bias.to_le_bytes());
        bytes
    };
    match dtype {
        DType::Bool => {
            // Two members over int8, names padded to eight bytes, then the values.
            let mut bytes = head(8, [2, 0]);
            bytes.extend([0x10, 8, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]);
            bytes.extend(b"FALSE\0\0\0TRUE\0\0\0\0\0\x01");
            bytes
        }
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => integer(0),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => integer(8),
        DType::F16 => float(5, 10, 15),
        // Opaque, without a tag.
        DType::BF16 => head(5, [0, 0]),
        DType::F32 => float(8, 23, 127),
        DType::F64 => float(11, 52, 1023),
    }
}

#[cfg(test)]
mod tests {
    use super::super::H5File;
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut writer = H5Writer::new();
        writer.dataset("a/b", 1i32).unwrap();
        assert!(writer.dataset("a/b", 2i32).is_err());
        assert!(writer.dataset("a", 2i32).is_err());
        assert!(writer.dataset("a/b/c", 2i32).is_err());
        assert!(writer.dataset("/", 2i32).is_err());
        assert!(writer.group("a/b").is_err());
        assert!(writer.attribute("a", "x", Array::zeros(DType::F64, [10_000])).is_err());
        assert!(writer.dataset("s", Value::Strings { shape: vec![2], values: vec![] }).is_err());
        assert!(writer.dataset("z", "a\0b").is_err());
        writer.group(&"n".repeat(70_000)).unwrap();
        assert!(matches!(writer.to_bytes(), Err(Error::Argument { .. })));
    }

    #[test]
    fn many_and_long_strings_read_back() {
        let mut values: Vec<String> = (0..3000).map(|i| "x".repeat(i % 40)).collect();
        values.push("y".repeat(100_000));
        values.push(String::new());
        let mut writer = H5Writer::new();
        writer.dataset("s", values.clone()).unwrap();
        writer.attribute("s", "model_config", "{}".repeat(50_000)).unwrap();
        let file = H5File::from_bytes(writer.to_bytes().unwrap()).unwrap();
        let dataset = file.dataset("s").unwrap();
        assert_eq!(dataset.value().unwrap().as_strings(), Some(&values[..]));
        let config = dataset.attribute("model_config").unwrap().unwrap();
        assert_eq!(config.as_str(), Some("{}".repeat(50_000).as_str()));
    }
}
