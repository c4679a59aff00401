//! Fractal heaps, which hold the links and attributes of objects with many of them.

use super::{Budget, Source, UNDEFINED, btree, bytes_for, checksum};
use crate::cursor::Cursor;
use crate::error::Fault;

/// A heap: blocks whose sizes follow a doubling table. An object's place is its offset in the space of all blocks.
pub(super) struct FractalHeap<'a> {
    source: Source<'a>,
    address: u64,
    id_len: usize,
    /// Bytes of an offset in the heap's space, and of an object's length.
    offset_size: usize,
    length_size: usize,
    huge: u64,
    width: u64,
    start_size: u64,
    max_direct: u64,
    root: u64,
    /// Rows of the root's table; 0 if the root is the only block.
    rows: u64,
}

impl<'a> FractalHeap<'a> {
    pub fn read(source: &Source<'a>, address: u64) -> Result<FractalHeap<'a>, Fault> {
        let start = address as usize;
        let mut cursor = source.cursor(address);
        cursor.signature(b"FRHP")?;
        cursor.skip(1)?;
        let id_len = usize::from(cursor.u16()?);
        let filters = cursor.u16()?;
        cursor.skip(1)?;
        let max_managed = u64::from(cursor.u32()?);
        source.length(&mut cursor)?;
        let huge = source.address(&mut cursor)?;
        // Free space: its amount and manager. Then statistics: managed space, allocated, iterator, count, huge, tiny.
        cursor.skip(source.offset_size + 9 * source.length_size)?;
        let width = u64::from(cursor.u16()?);
        let start_size = source.length(&mut cursor)?;
        let max_direct = source.length(&mut cursor)?;
        let bits = u64::from(cursor.u16()?);
        cursor.skip(2)?;
        let root = source.address(&mut cursor)?;
        let rows = u64::from(cursor.u16()?);
        if filters != 0 {
            let fix = "rewrite the file without filters on groups and attributes";
            return Err(Fault::unsupported(start, "a heap of links or attributes with filters", fix));
        }
        checksum::check(source.data, start, &mut cursor, "heap")?;
        let sound =
            width > 0 && start_size.is_power_of_two() && max_direct.is_power_of_two() && max_direct >= start_size;
        if !sound || bits > 64 || id_len < 1 {
            return Err(Fault::damaged(start, "the sizes of a heap contradict each other"));
        }
        let length_size = (max_direct.ilog2() as usize).div_ceil(8).min(bytes_for(max_managed));
        Ok(FractalHeap {
            source: *source,
            address,
            id_len,
            offset_size: (bits as usize).div_ceil(8),
            length_size,
            huge,
            width,
            start_size,
            max_direct,
            root,
            rows,
        })
    }

    /// A cursor at the object with the identifier that `id` stands before.
    pub fn object(&self, id: &mut Cursor<'a>) -> Result<Cursor<'a>, Fault> {
        let at = id.position();
        let mut rest = *id;
        id.skip(self.id_len)?;
        let first = rest.u8()?;
        match first >> 4 & 3 {
            0 => {
                let offset = rest.uint(self.offset_size)?;
                let len = rest.uint(self.length_size)?;
                self.managed(offset, len, at)
            }
            1 => self.huge(&mut rest),
            2 if self.id_len > 17 => {
                rest.skip(1)?;
                Ok(rest)
            }
            2 => Ok(rest),
            other => Err(Fault::damaged(at, format!("an object of a heap has the unknown kind {other}"))),
        }
    }

    fn huge(&self, id: &mut Cursor<'a>) -> Result<Cursor<'a>, Fault> {
        // An identifier with room for them holds address and length, else the key of a tree that does.
        if self.id_len > self.source.offset_size + self.source.length_size {
            return Ok(self.source.cursor(self.source.address(id)?));
        }
        let key = id.uint((self.id_len - 1).min(8))?;
        for mut record in btree::records_2(&self.source, self.huge, 1)? {
            let address = self.source.address(&mut record)?;
            self.source.length(&mut record)?;
            if self.source.length(&mut record)? == key {
                return Ok(self.source.cursor(address));
            }
        }
        Err(Fault::damaged(self.address as usize, format!("the heap has no large object {key}")))
    }

    /// Finds the block that holds `offset` by descending the doubling tables.
    fn managed(&self, offset: u64, len: u64, at: usize) -> Result<Cursor<'a>, Fault> {
        let missing = || Fault::damaged(at, format!("the heap has nothing at its offset {offset}"));
        if self.rows == 0 {
            return self.in_block(self.root, offset, self.start_size.max(len), len);
        }
        let mut budget = Budget::new(&self.source);
        let (mut address, mut rows, mut offset) = (self.root, self.rows, offset);
        loop {
            let mut cursor = self.source.cursor(address);
            cursor.signature(b"FHIB")?;
            cursor.skip(1 + self.source.offset_size + self.offset_size)?;
            let (row, column, size, within) = self.entry(offset).filter(|entry| entry.0 < rows).ok_or_else(missing)?;
            let entry = row.checked_mul(self.width).and_then(|n| n.checked_add(column)).ok_or_else(missing)?;
            let skip = usize::try_from(entry).ok().and_then(|n| n.checked_mul(self.source.offset_size));
            cursor.skip(skip.ok_or_else(missing)?)?;
            let child = self.source.address(&mut cursor)?;
            if child == UNDEFINED {
                return Err(missing());
            }
            if size <= self.max_direct {
                return self.in_block(child, within, size, len);
            }
            budget.spend(address, 16)?;
            // A table that spans `size` bytes has the rows that add up to it.
            rows = (u64::from(size.ilog2()) + 1).saturating_sub(u64::from((self.start_size * self.width).ilog2()));
            (address, offset) = (child, within);
        }
    }

    /// Row and column of the table entry that spans `offset`, the span's size, and the offset within it.
    fn entry(&self, offset: u64) -> Option<(u64, u64, u64, u64)> {
        // Rows 0 and 1 have entries of the starting size, each further row twice the one before.
        let (mut row, mut first, mut size) = (0, 0u64, self.start_size);
        loop {
            let span = size.checked_mul(self.width)?;
            if offset - first < span {
                return Some((row, (offset - first) / size, size, (offset - first) % size));
            }
            first = first.checked_add(span)?;
            if row > 0 {
                size = size.checked_mul(2)?;
            }
            row += 1;
        }
    }

    fn in_block(&self, address: u64, offset: u64, size: u64, len: u64) -> Result<Cursor<'a>, Fault> {
        let mut cursor = self.source.cursor(address);
        cursor.signature(b"FHDB")?;
        let start = address.saturating_add(offset);
        if offset.saturating_add(len) > size.max(self.max_direct) {
            return Err(Fault::damaged(start as usize, "an object of a heap is longer than its block"));
        }
        self.source.bytes(start, len)?;
        Ok(self.source.cursor(start))
    }
}
