//! The indexes that find a dataset's chunks.

use super::message::{Index, IndexKind, UNLIMITED};
use super::{Budget, Source, UNDEFINED, btree, checksum};
use crate::cursor::Cursor;
use crate::error::Fault;

/// One stored chunk.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chunk {
    /// Its place in the grid of chunks.
    pub place: Vec<u64>,
    pub address: u64,
    /// Its stored length.
    pub len: u64,
    /// The filters that were left out.
    pub mask: u32,
}

/// How a dataset is cut into chunks.
pub(super) struct Grid {
    /// Chunks along each axis.
    counts: Vec<u64>,
    /// Chunks along each axis once the dataset is as large as it may get.
    max_counts: Vec<u64>,
    chunk_shape: Vec<u64>,
    /// Bytes of a chunk before filters.
    chunk_len: u64,
    filtered: bool,
}

impl Grid {
    pub fn new(shape: &[usize], max: &[u64], chunk_shape: &[u64], chunk_len: u64, filtered: bool) -> Grid {
        let counts = shape.iter().zip(chunk_shape).map(|(&n, &chunk)| (n as u64).div_ceil(chunk)).collect();
        let max_count = |(&n, &chunk): (&u64, &u64)| if n == UNLIMITED { UNLIMITED } else { n.div_ceil(chunk) };
        let max_counts = max.iter().zip(chunk_shape).map(max_count).collect();
        Grid { counts, max_counts, chunk_shape: chunk_shape.to_vec(), chunk_len, filtered }
    }

    /// The chunk with this number in a fixed or extensible array, unless the dataset does not reach there.
    fn place(&self, number: u64) -> Option<Vec<u64>> {
        // Numbers count in row-major order, with the axis that grows without end moved to the front.
        let growing = self.max_counts.iter().position(|&n| n == UNLIMITED).unwrap_or(0);
        let mut axes: Vec<usize> = (0..self.counts.len()).collect();
        axes[..=growing.min(self.counts.len() - 1)].rotate_right(1);
        let mut place = vec![0; axes.len()];
        let mut rest = number;
        for &axis in axes[1..].iter().rev() {
            let count = self.max_counts[axis].max(1);
            place[axis] = rest % count;
            rest /= count;
        }
        place[axes[0]] = rest;
        place.iter().zip(&self.counts).all(|(p, n)| p < n).then_some(place)
    }

    /// Reads an array's element: an address, and for filtered chunks the stored length and the mask.
    fn element(&self, source: &Source, cursor: &mut Cursor, size: usize) -> Result<Element, Fault> {
        let mut rest = *cursor;
        cursor.skip(size)?;
        let address = source.address(&mut rest)?;
        let (len, mask) = match size.checked_sub(source.offset_size + 4) {
            Some(bytes @ 1..=8) if self.filtered => (rest.uint(bytes)?, rest.u32()?),
            _ => (self.chunk_len, 0),
        };
        Ok(Element { address, len, mask })
    }
}

struct Element {
    address: u64,
    len: u64,
    mask: u32,
}

/// The chunks that are stored and that the dataset reaches.
pub(super) fn chunks(source: &Source, index: &Index, grid: &Grid) -> Result<Vec<Chunk>, Fault> {
    if index.address == UNDEFINED || grid.counts.contains(&0) {
        return Ok(Vec::new());
    }
    match index.kind {
        IndexKind::BTree1 => btree_1(source, index.address, grid),
        IndexKind::BTree2 => btree_2(source, index.address, grid),
        IndexKind::Single(stored) => {
            let (len, mask) = stored.unwrap_or((grid.chunk_len, 0));
            Ok(vec![Chunk { place: vec![0; grid.counts.len()], address: index.address, len, mask }])
        }
        IndexKind::Implicit => implicit(source, index.address, grid),
        IndexKind::FixedArray => numbered(fixed_array(source, index.address, grid)?, grid),
        IndexKind::ExtensibleArray => numbered(extensible_array(source, index.address, grid)?, grid),
    }
}

fn numbered(elements: Vec<(u64, Element)>, grid: &Grid) -> Result<Vec<Chunk>, Fault> {
    let chunk = |(number, Element { address, len, mask }): (u64, Element)| {
        let place = grid.place(number).filter(|_| address != UNDEFINED)?;
        Some(Chunk { place, address, len, mask })
    };
    Ok(elements.into_iter().filter_map(chunk).collect())
}

fn btree_1(source: &Source, address: u64, grid: &Grid) -> Result<Vec<Chunk>, Fault> {
    let rank = grid.counts.len();
    let mut chunks = Vec::new();
    for (mut key, address) in btree::leaves_1(source, address, 1, 8 + 8 * (rank + 1))? {
        let (len, mask) = (u64::from(key.u32()?), key.u32()?);
        let place = grid.chunk_shape.iter().map(|&n| Ok(key.u64()? / n)).collect::<Result<Vec<_>, Fault>>()?;
        chunks.push(Chunk { place, address, len, mask });
    }
    Ok(reached(chunks, grid))
}

fn btree_2(source: &Source, address: u64, grid: &Grid) -> Result<Vec<Chunk>, Fault> {
    let len_size = (1 + (grid.chunk_len.max(1).ilog2() as usize + 8) / 8).min(8);
    let mut chunks = Vec::new();
    for mut record in btree::records_2(source, address, if grid.filtered { 11 } else { 10 })? {
        let address = source.address(&mut record)?;
        let (len, mask) = if grid.filtered { (record.uint(len_size)?, record.u32()?) } else { (grid.chunk_len, 0) };
        let place = grid.counts.iter().map(|_| record.u64()).collect::<Result<Vec<_>, _>>()?;
        chunks.push(Chunk { place, address, len, mask });
    }
    Ok(reached(chunks, grid))
}

/// Without the chunks beyond the dataset's shape, which remain where it shrank.
fn reached(mut chunks: Vec<Chunk>, grid: &Grid) -> Vec<Chunk> {
    chunks.retain(|chunk| chunk.place.iter().zip(&grid.counts).all(|(p, n)| p < n));
    chunks
}

/// All chunks one after the other, in the order of the grid at its largest.
fn implicit(source: &Source, address: u64, grid: &Grid) -> Result<Vec<Chunk>, Fault> {
    let total = grid.max_counts.iter().try_fold(1u64, |n, &count| n.checked_mul(count));
    let stored = total.and_then(|total| total.checked_mul(grid.chunk_len)).unwrap_or(UNDEFINED);
    source.bytes(address, stored)?;
    let chunk = |number| {
        let address = address + number * grid.chunk_len;
        grid.place(number).map(|place| Chunk { place, address, len: grid.chunk_len, mask: 0 })
    };
    Ok((0..total.unwrap_or(0)).filter_map(chunk).collect())
}

/// Whether page `page` of a paged block was ever written.
fn written(bitmap: &[u8], page: usize) -> bool {
    bitmap.get(page / 8).is_some_and(|byte| byte & (0x80 >> (page % 8)) != 0)
}

fn fixed_array(source: &Source, address: u64, grid: &Grid) -> Result<Vec<(u64, Element)>, Fault> {
    let start = address as usize;
    let mut cursor = source.cursor(address);
    cursor.signature(b"FAHD")?;
    cursor.skip(2)?;
    let (size, page_bits) = (usize::from(cursor.u8()?), u32::from(cursor.u8()?));
    let count = source.length(&mut cursor)?;
    let block = source.address(&mut cursor)?;
    checksum::check(source.data, start, &mut cursor, "chunk index")?;
    if block == UNDEFINED {
        return Ok(Vec::new());
    }
    if size < source.offset_size || count > source.data.len() as u64 {
        return Err(Fault::damaged(start, format!("a chunk index of {count} elements of {size} bytes")));
    }
    let page = 1u64.checked_shl(page_bits).unwrap_or(u64::MAX);
    let start = block as usize;
    let mut cursor = source.cursor(block);
    cursor.signature(b"FADB")?;
    cursor.skip(2 + source.offset_size)?;
    let mut elements = Vec::new();
    if count <= page {
        for number in 0..count {
            elements.push((number, grid.element(source, &mut cursor, size)?));
        }
        checksum::check(source.data, start, &mut cursor, "chunk index")?;
        return Ok(elements);
    }
    let bitmap = cursor.take(count.div_ceil(page).div_ceil(8) as usize)?;
    checksum::check(source.data, start, &mut cursor, "chunk index")?;
    for (number, first) in (0..count).step_by(page as usize).enumerate() {
        let start = cursor.position();
        let numbers = first..count.min(first + page);
        if !written(bitmap, number) {
            cursor.skip((numbers.end - numbers.start) as usize * size + 4)?;
            continue;
        }
        for number in numbers {
            elements.push((number, grid.element(source, &mut cursor, size)?));
        }
        checksum::check(source.data, start, &mut cursor, "page of a chunk index")?;
    }
    Ok(elements)
}

/// The sizes that an extensible array is built from.
struct Extensible {
    /// Bytes of an element.
    size: usize,
    /// Bytes of an offset of elements.
    offset_size: usize,
    /// Elements of a page; blocks with more are paged.
    page: u64,
}

/// An index block with the first elements, then data blocks, then super blocks of data blocks, ever larger.
fn extensible_array(source: &Source, address: u64, grid: &Grid) -> Result<Vec<(u64, Element)>, Fault> {
    let start = address as usize;
    let mut cursor = source.cursor(address);
    cursor.signature(b"EAHD")?;
    cursor.skip(2)?;
    let [size, bits, in_index, min_elements, min_pointers, page_bits] =
        [cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?].map(u32::from);
    cursor.skip(6 * source.length_size)?;
    let block = source.address(&mut cursor)?;
    checksum::check(source.data, start, &mut cursor, "chunk index")?;
    if block == UNDEFINED {
        return Ok(Vec::new());
    }
    let sound = min_elements.is_power_of_two() && min_pointers.is_power_of_two() && bits <= 64 && page_bits < 64;
    if !sound || bits < min_elements.ilog2() || (size as usize) < source.offset_size {
        return Err(Fault::damaged(start, "the sizes of a chunk index contradict each other"));
    }
    let array = Extensible { size: size as usize, offset_size: bits.div_ceil(8) as usize, page: 1 << page_bits };
    let mut budget = Budget::new(source);
    let mut elements = Vec::new();

    let start = block as usize;
    let mut cursor = source.cursor(block);
    cursor.signature(b"EAIB")?;
    cursor.skip(2 + source.offset_size)?;
    for number in 0..u64::from(in_index) {
        elements.push((number, grid.element(source, &mut cursor, array.size)?));
    }
    let mut next = u64::from(in_index);
    let super_blocks = 1 + bits - min_elements.ilog2();
    // Super block u has 2^(u/2) data blocks of 2^((u+1)/2) times the least number of elements.
    let blocks_of = |u: u32| (1u64.checked_shl(u / 2), u64::from(min_elements).checked_shl(u.div_ceil(2)));
    let direct = (2 * min_pointers.ilog2()).min(super_blocks);
    for u in 0..super_blocks {
        let (Some(count), Some(len)) = blocks_of(u) else { break };
        if u < direct {
            for _ in 0..count {
                let block = source.address(&mut cursor)?;
                if block != UNDEFINED {
                    data_block(source, block, grid, &array, (next, len, None), &mut budget, &mut elements)?;
                }
                next = next.saturating_add(len);
            }
            continue;
        }
        let block = source.address(&mut cursor)?;
        if block != UNDEFINED {
            super_block(source, block, grid, &array, (next, count, len), &mut budget, &mut elements)?;
        }
        next = next.saturating_add(count.saturating_mul(len));
    }
    checksum::check(source.data, start, &mut cursor, "chunk index")?;
    Ok(elements)
}

/// Reads `count` data blocks of `len` elements, the first of which has the number `first`.
fn super_block(
    source: &Source,
    address: u64,
    grid: &Grid,
    array: &Extensible,
    (first, count, len): (u64, u64, u64),
    budget: &mut Budget,
    elements: &mut Vec<(u64, Element)>,
) -> Result<(), Fault> {
    let start = address as usize;
    let mut cursor = source.cursor(address);
    cursor.signature(b"EASB")?;
    cursor.skip(2 + source.offset_size + array.offset_size)?;
    budget.spend(address, count.saturating_mul(source.offset_size as u64))?;
    let bitmap_len = if len > array.page { (len / array.page).div_ceil(8) as usize } else { 0 };
    let bitmaps = cursor.take((count as usize).saturating_mul(bitmap_len))?;
    for number in 0..count {
        let block = source.address(&mut cursor)?;
        if block != UNDEFINED {
            // The bits of all blocks follow each other, though each block has whole bytes set aside.
            let bitmap = (bitmap_len > 0).then_some((bitmaps, number * (len / array.page)));
            data_block(source, block, grid, array, (first + number * len, len, bitmap), budget, elements)?;
        }
    }
    checksum::check(source.data, start, &mut cursor, "chunk index")
}

/// Reads `len` elements, the first of which has the number `first`; from those pages that are set in `bitmap`, from a bit on,
/// if there is one.
fn data_block(
    source: &Source,
    address: u64,
    grid: &Grid,
    array: &Extensible,
    (first, len, bitmap): (u64, u64, Option<(&[u8], u64)>),
    budget: &mut Budget,
    elements: &mut Vec<(u64, Element)>,
) -> Result<(), Fault> {
    let start = address as usize;
    let mut cursor = source.cursor(address);
    cursor.signature(b"EADB")?;
    cursor.skip(2 + source.offset_size + array.offset_size)?;
    budget.spend(address, len.saturating_mul(array.size as u64))?;
    let Some((bitmap, first_bit)) = bitmap else {
        for number in 0..len {
            elements.push((first.saturating_add(number), grid.element(source, &mut cursor, array.size)?));
        }
        return checksum::check(source.data, start, &mut cursor, "chunk index");
    };
    checksum::check(source.data, start, &mut cursor, "chunk index")?;
    for page in 0..len / array.page {
        let start = cursor.position();
        if !written(bitmap, (first_bit + page) as usize) {
            cursor.skip(array.page as usize * array.size + 4)?;
            continue;
        }
        for number in 0..array.page {
            let number = first.saturating_add(page * array.page + number);
            elements.push((number, grid.element(source, &mut cursor, array.size)?));
        }
        checksum::check(source.data, start, &mut cursor, "page of a chunk index")?;
    }
    Ok(())
}
