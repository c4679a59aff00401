//! B-trees of both versions, read whole: what they index is small against what it points to.

use super::{Budget, Source, bytes_for, checksum};
use crate::cursor::Cursor;
use crate::error::Fault;

/// The children of all leaves of a version 1 tree of this `kind` (0 groups, 1 chunks), each with the cursor at its key.
/// `key_size` is the length of a key.
pub(super) fn leaves_1<'a>(
    source: &Source<'a>,
    root: u64,
    kind: u8,
    key_size: usize,
) -> Result<Vec<(Cursor<'a>, u64)>, Fault> {
    let mut leaves = Vec::new();
    let mut budget = Budget::new(source);
    let mut pending = vec![(root, None)];
    while let Some((address, expected)) = pending.pop() {
        let mut cursor = source.cursor(address);
        cursor.signature(b"TREE")?;
        let (found, level, count) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
        if found != kind || expected.is_some_and(|expected| level != expected) {
            let what = format!("a node of kind {found} and level {level} in a tree of kind {kind}");
            return Err(Fault::damaged(address as usize, what));
        }
        cursor.skip(2 * source.offset_size)?;
        for _ in 0..count {
            budget.spend(address, (key_size + source.offset_size) as u64)?;
            let key = cursor;
            cursor.skip(key_size)?;
            let child = source.address(&mut cursor)?;
            match level.checked_sub(1) {
                Some(below) => pending.push((child, Some(below))),
                None => leaves.push((key, child)),
            }
        }
    }
    Ok(leaves)
}

/// All records of a version 2 tree of this `kind`, each with a cursor at its start.
pub(super) fn records_2<'a>(source: &Source<'a>, address: u64, kind: u8) -> Result<Vec<Cursor<'a>>, Fault> {
    let start = address as usize;
    let mut cursor = source.cursor(address);
    cursor.signature(b"BTHD")?;
    let (version, found) = (cursor.u8()?, cursor.u8()?);
    if version != 0 || found != kind {
        return Err(Fault::damaged(start, format!("a tree of version {version} and kind {found}, not 0 and {kind}")));
    }
    let node_size = u64::from(cursor.u32()?);
    let record_size = u64::from(cursor.u16()?);
    let depth = cursor.u16()?;
    cursor.skip(2)?;
    let root = source.address(&mut cursor)?;
    let count = cursor.u16()?;
    source.length(&mut cursor)?;
    checksum::check(source.data, start, &mut cursor, "B-tree")?;
    if record_size == 0 || node_size < 10 + record_size || depth > 32 {
        let what = format!("a tree of depth {depth} with records of {record_size} bytes in nodes of {node_size}");
        return Err(Fault::damaged(start, what));
    }
    // How many bytes a node of each level uses for the number of its child's records, and of all records below the child.
    let most_in_leaf = (node_size - 10) / record_size;
    let count_size = bytes_for(most_in_leaf);
    let (mut total_sizes, mut total) = (vec![0], most_in_leaf);
    for level in 1..=depth {
        let pointer = (source.offset_size + count_size + total_sizes[usize::from(level) - 1]) as u64;
        let most = node_size.saturating_sub(10 + pointer) / (record_size + pointer);
        total = (most + 1).saturating_mul(total).saturating_add(most);
        total_sizes.push(bytes_for(total).min(8));
    }

    let mut records = Vec::new();
    let mut budget = Budget::new(source);
    let mut pending = Vec::new();
    if count > 0 {
        pending.push((root, u64::from(count), depth));
    }
    while let Some((address, count, level)) = pending.pop() {
        let start = address as usize;
        let mut cursor = source.cursor(address);
        cursor.signature(if level == 0 { b"BTLF" } else { b"BTIN" })?;
        cursor.skip(2)?;
        budget.spend(address, 10u64.saturating_add(count.saturating_mul(record_size)))?;
        for _ in 0..count {
            records.push(cursor);
            cursor.skip(record_size as usize)?;
        }
        if level > 0 {
            for _ in 0..=count {
                let child = source.address(&mut cursor)?;
                let count = cursor.uint(count_size)?;
                cursor.skip(total_sizes[usize::from(level) - 1])?;
                pending.push((child, count, level - 1));
            }
        }
        checksum::check(source.data, start, &mut cursor, "B-tree node")?;
    }
    Ok(records)
}
