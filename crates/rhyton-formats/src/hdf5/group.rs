//! The links of a group, however it keeps them.

use std::collections::BTreeMap;

use super::heap::{LocalHeap, text};
use super::object::{Object, kind};
use super::{Budget, Source, UNDEFINED, btree};
use crate::cursor::Cursor;
use crate::error::Fault;
use crate::hdf5::fractal_heap::FractalHeap;

/// What a name in a group refers to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Link {
    /// The address of an object header.
    Hard(u64),
    /// A path, from the root if it starts with `/`.
    Soft(String),
    /// Something in another file, or of a kind that an application defines; the byte where the link is.
    External(usize),
}

/// Whether the object is a group.
pub(super) fn is_group(object: &Object) -> bool {
    [kind::SYMBOL_TABLE, kind::LINK_INFO, kind::LINK, kind::GROUP_INFO].iter().any(|&k| object.find(k).is_some())
}

/// The links of a group by name.
pub(super) fn links(source: &Source, object: &Object) -> Result<BTreeMap<String, Link>, Fault> {
    let mut links = BTreeMap::new();
    for message in &object.messages {
        let mut cursor = message.cursor(source);
        match message.kind {
            kind::SYMBOL_TABLE => symbol_table(source, &mut cursor, &mut links)?,
            kind::LINK => {
                let (name, link) = link(source, &mut cursor)?;
                links.insert(name, link);
            }
            kind::LINK_INFO => dense(source, &mut cursor, &mut links)?,
            _ => {}
        }
    }
    Ok(links)
}

fn symbol_table(source: &Source, cursor: &mut Cursor, links: &mut BTreeMap<String, Link>) -> Result<(), Fault> {
    let tree = source.address(cursor)?;
    let heap = LocalHeap::read(source, source.address(cursor)?)?;
    let mut budget = Budget::new(source);
    for (_, address) in btree::leaves_1(source, tree, 0, source.length_size)? {
        let mut cursor = source.cursor(address);
        cursor.signature(b"SNOD")?;
        cursor.skip(2)?;
        let count = cursor.u16()?;
        for _ in 0..count {
            budget.spend(address, 24 + 2 * source.offset_size as u64)?;
            let name = heap.text(cursor.uint(source.offset_size)?)?;
            let header = source.address(&mut cursor)?;
            let cached = cursor.u32()?;
            cursor.skip(4)?;
            let mut scratch = cursor;
            cursor.skip(16)?;
            let link = match cached {
                2 => Link::Soft(heap.text(scratch.u32()?.into())?.to_owned()),
                _ => Link::Hard(header),
            };
            links.insert(name.to_owned(), link);
        }
    }
    Ok(())
}

fn dense(source: &Source, cursor: &mut Cursor, links: &mut BTreeMap<String, Link>) -> Result<(), Fault> {
    cursor.skip(1)?;
    let flags = cursor.u8()?;
    cursor.skip(if flags & 1 != 0 { 8 } else { 0 })?;
    let heap = source.address(cursor)?;
    let names = source.address(cursor)?;
    if heap == UNDEFINED || names == UNDEFINED {
        return Ok(());
    }
    let heap = FractalHeap::read(source, heap)?;
    // A record is the name's hash and the link's place in the heap.
    for mut record in btree::records_2(source, names, 5)? {
        record.skip(4)?;
        let (name, link) = link(source, &mut heap.object(&mut record)?)?;
        links.insert(name, link);
    }
    Ok(())
}

fn link(source: &Source, cursor: &mut Cursor) -> Result<(String, Link), Fault> {
    let at = cursor.position();
    let (version, flags) = (cursor.u8()?, cursor.u8()?);
    if version != 1 {
        return Err(Fault::damaged(at, format!("version {version} of a link")));
    }
    let class = if flags & 8 != 0 { cursor.u8()? } else { 0 };
    cursor.skip(if flags & 4 != 0 { 8 } else { 0 })?;
    cursor.skip(if flags & 0x10 != 0 { 1 } else { 0 })?;
    let len = cursor.uint(1 << (flags & 3))?;
    let name = cursor.take(usize::try_from(len).unwrap_or(usize::MAX))?;
    let name = text(name, at)?.to_owned();
    let link = match class {
        0 => Link::Hard(source.address(cursor)?),
        1 => {
            let len = cursor.u16()?;
            Link::Soft(text(cursor.take(len.into())?, at)?.to_owned())
        }
        _ => Link::External(at),
    };
    Ok((name, link))
}
