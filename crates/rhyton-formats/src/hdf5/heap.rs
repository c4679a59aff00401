//! Local heaps, which hold the names of a symbol table, and global heaps, which hold variable-length strings.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Source;
use crate::error::Fault;

/// The names of one old-style group.
pub(super) struct LocalHeap<'a> {
    names: &'a [u8],
    address: u64,
}

impl<'a> LocalHeap<'a> {
    pub fn read(source: &Source<'a>, address: u64) -> Result<LocalHeap<'a>, Fault> {
        let mut cursor = source.cursor(address);
        cursor.signature(b"HEAP")?;
        cursor.skip(4)?;
        let len = source.length(&mut cursor)?;
        source.length(&mut cursor)?;
        let start = source.address(&mut cursor)?;
        Ok(LocalHeap { names: source.bytes(start, len)?, address: start })
    }

    /// The string at `offset`, which ends at a zero byte.
    pub fn text(&self, offset: u64) -> Result<&'a str, Fault> {
        let at = self.address.saturating_add(offset) as usize;
        let bytes = usize::try_from(offset).ok().and_then(|offset| self.names.get(offset..));
        let bytes = bytes.ok_or_else(|| Fault::damaged(at, "a name lies beyond its heap"))?;
        let len = bytes.iter().position(|&b| b == 0);
        let len = len.ok_or_else(|| Fault::damaged(at, "a name does not end within its heap"))?;
        text(&bytes[..len], at)
    }
}

/// Text that must be UTF-8 (of which ASCII is a part).
pub(super) fn text(bytes: &[u8], at: usize) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        Fault::unsupported(at, format!("the text {text:?} is not UTF-8"), "write it as UTF-8")
    })
}

/// The objects of global heaps, each heap parsed once.
pub(super) struct GlobalHeaps<'a> {
    source: Source<'a>,
    /// For each heap its objects' places by their numbers.
    heaps: BTreeMap<u64, BTreeMap<u16, (u64, u64)>>,
    /// How much more may be read: no two strings share an object, so all fit into the file.
    left: usize,
}

impl<'a> GlobalHeaps<'a> {
    pub fn new(source: Source<'a>) -> GlobalHeaps<'a> {
        GlobalHeaps { source, heaps: BTreeMap::new(), left: source.data.len() }
    }

    /// `len` bytes of object `index` of the heap at `address`.
    pub fn bytes(&mut self, address: u64, index: u32, len: u32) -> Result<&'a [u8], Fault> {
        let objects = match self.heaps.entry(address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(objects(&self.source, address)?),
        };
        let found = u16::try_from(index).ok().and_then(|index| objects.get(&index));
        let &(start, size) = found
            .ok_or_else(|| Fault::damaged(address as usize, format!("the heap of strings has no object {index}")))?;
        if u64::from(len) > size {
            return Err(Fault::damaged(start as usize, format!("a string of {len} bytes is stored in {size}")));
        }
        self.left = self
            .left
            .checked_sub(len as usize)
            .ok_or_else(|| Fault::damaged(start as usize, "the strings are longer than the file that holds them"))?;
        self.source.bytes(start, len.into())
    }
}

fn objects(source: &Source, address: u64) -> Result<BTreeMap<u16, (u64, u64)>, Fault> {
    let mut cursor = source.cursor(address);
    cursor.signature(b"GCOL")?;
    cursor.skip(4)?;
    let size = source.length(&mut cursor)?;
    let end = address as usize + source.bytes(address, size)?.len();
    let mut objects = BTreeMap::new();
    while end.saturating_sub(cursor.position()) >= 8 + source.length_size {
        let index = cursor.u16()?;
        cursor.skip(6)?;
        let len = source.length(&mut cursor)?;
        // Object 0 is the free space at the end.
        if index == 0 {
            break;
        }
        let start = cursor.position();
        cursor.skip(usize::try_from(len).unwrap_or(usize::MAX))?;
        if cursor.position() > end {
            return Err(Fault::damaged(start, "an object of a heap of strings is longer than the heap"));
        }
        objects.insert(index, (start as u64, len));
        cursor.skip((cursor.position() - start).next_multiple_of(8) - (cursor.position() - start))?;
    }
    Ok(objects)
}
