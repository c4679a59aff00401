//! The messages of a dataset: shape, layout, fill value, filters.

use rhyton_ir::array::element_count;

use super::{Source, UNDEFINED};
use crate::cursor::Cursor;
use crate::error::Fault;

/// The shape of a dataset or attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Dataspace {
    Null,
    /// Rank 0 is a scalar. `max` is how far each dimension may grow, [`UNLIMITED`] for without end.
    Simple {
        shape: Vec<usize>,
        max: Vec<u64>,
    },
}

/// A dimension that may grow without end.
pub(super) const UNLIMITED: u64 = u64::MAX;

impl Dataspace {
    pub fn read(source: &Source, cursor: &mut Cursor) -> Result<Dataspace, Fault> {
        let at = cursor.position();
        let (version, rank, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        match version {
            1 => cursor.skip(5)?,
            2 => {
                if cursor.u8()? == 2 {
                    return Ok(Dataspace::Null);
                }
            }
            _ => return Err(Fault::damaged(at, format!("version {version} of a dataspace"))),
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            let dimension = source.length(cursor)?;
            let dimension = usize::try_from(dimension);
            shape.push(dimension.map_err(|_| Fault::damaged(at, "a dimension is larger than any memory"))?);
        }
        let max = if flags & 1 != 0 {
            let unlimited = UNLIMITED >> (64 - 8 * source.length_size);
            let grown = |n| if n == unlimited { UNLIMITED } else { n };
            (0..rank).map(|_| source.length(cursor).map(grown)).collect::<Result<_, _>>()?
        } else {
            shape.iter().map(|&n| n as u64).collect()
        };
        match element_count(&shape) {
            Some(_) => Ok(Dataspace::Simple { shape, max }),
            None => Err(Fault::damaged(at, format!("the shape {shape:?} is larger than any memory"))),
        }
    }
}

/// Where the elements of a dataset are.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// In the message itself.
    Compact { start: u64, len: u64 },
    /// In one piece, unless it was never written.
    Contiguous { address: Option<u64> },
    /// In chunks, which an index finds.
    Chunked { shape: Vec<u64>, index: Index },
}

/// The index of a dataset's chunks.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub kind: IndexKind,
    /// [`UNDEFINED`] before the first chunk is written.
    pub address: u64,
}

/// The kinds of chunk indexes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum IndexKind {
    BTree1,
    /// The only chunk, with its stored size and filter mask if it is filtered.
    Single(Option<(u64, u32)>),
    Implicit,
    FixedArray,
    ExtensibleArray,
    BTree2,
}

impl Layout {
    pub fn read(source: &Source, cursor: &mut Cursor) -> Result<Layout, Fault> {
        let at = cursor.position();
        let version = cursor.u8()?;
        if !(3..=4).contains(&version) {
            return Err(Fault::unsupported(
                at,
                format!("version {version} of a dataset's layout"),
                "write the file with libver='v114' or earlier, or copy it with h5repack",
            ));
        }
        match (cursor.u8()?, version) {
            (0, _) => {
                let len = u64::from(cursor.u16()?);
                Ok(Layout::Compact { start: cursor.position() as u64, len })
            }
            (1, _) => {
                let address = source.address(cursor)?;
                Ok(Layout::Contiguous { address: Some(address).filter(|&a| a != UNDEFINED) })
            }
            (2, 3) => {
                let rank = cursor.u8()?;
                let address = source.address(cursor)?;
                let shape = chunk_shape(cursor, rank, 4)?;
                Ok(Layout::Chunked { shape, index: Index { kind: IndexKind::BTree1, address } })
            }
            (2, _) => {
                let flags = cursor.u8()?;
                let (rank, size) = (cursor.u8()?, cursor.u8()?);
                if flags & 1 != 0 {
                    return Err(Fault::unsupported(at, "unfiltered edge chunks", "copy the file with h5repack"));
                }
                if !(1..=8).contains(&size) {
                    return Err(Fault::damaged(at, format!("chunk dimensions of {size} bytes")));
                }
                let shape = chunk_shape(cursor, rank, size.into())?;
                let kind = match cursor.u8()? {
                    1 if flags & 2 != 0 => IndexKind::Single(Some((source.length(cursor)?, cursor.u32()?))),
                    1 => IndexKind::Single(None),
                    2 => IndexKind::Implicit,
                    3 => {
                        cursor.skip(1)?;
                        IndexKind::FixedArray
                    }
                    4 => {
                        cursor.skip(5)?;
                        IndexKind::ExtensibleArray
                    }
                    5 => {
                        cursor.skip(6)?;
                        IndexKind::BTree2
                    }
                    other => return Err(Fault::damaged(at, format!("a chunk index of the unknown kind {other}"))),
                };
                Ok(Layout::Chunked { shape, index: Index { kind, address: source.address(cursor)? } })
            }
            (3, _) => Err(Fault::unsupported(at, "a virtual dataset", "copy it into a plain dataset")),
            (class, _) => Err(Fault::damaged(at, format!("a layout of the unknown class {class}"))),
        }
    }
}

/// The chunk's shape. What is stored has the element's size as one more dimension.
fn chunk_shape(cursor: &mut Cursor, rank: u8, size: usize) -> Result<Vec<u64>, Fault> {
    let at = cursor.position();
    let mut shape = (0..rank).map(|_| cursor.uint(size)).collect::<Result<Vec<_>, _>>()?;
    if shape.pop().is_none() || shape.contains(&0) {
        return Err(Fault::damaged(at, format!("chunks of the shape {shape:?}")));
    }
    Ok(shape)
}

/// The bytes of the element that unwritten parts hold; none is zeros.
pub(super) fn fill_value<'a>(cursor: &mut Cursor<'a>, old: bool) -> Result<Option<&'a [u8]>, Fault> {
    if !old {
        let version = cursor.u8()?;
        let defined = match version {
            1 | 2 => {
                cursor.skip(2)?;
                let defined = cursor.u8()? != 0;
                version == 1 || defined
            }
            _ => cursor.u8()? & 0x20 != 0,
        };
        if !defined {
            return Ok(None);
        }
    }
    // A negative size, which means "undefined", is a large one here and has the high bit.
    let size = cursor.u32()?;
    if size == 0 || size >> 31 == 1 { Ok(None) } else { cursor.take(size as usize).map(Some) }
}

/// One step of the filter pipeline.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub id: u16,
    pub parameters: Vec<u32>,
    pub offset: usize,
}

/// The filters in the order in which they were applied.
pub(super) fn filters(cursor: &mut Cursor) -> Result<Vec<Filter>, Fault> {
    let at = cursor.position();
    let (version, count) = (cursor.u8()?, cursor.u8()?);
    match version {
        1 => cursor.skip(6)?,
        2 => {}
        _ => return Err(Fault::damaged(at, format!("version {version} of a filter pipeline"))),
    }
    let mut filters = Vec::new();
    for _ in 0..count {
        let offset = cursor.position();
        let id = cursor.u16()?;
        let name = if version == 1 || id >= 256 { usize::from(cursor.u16()?) } else { 0 };
        cursor.skip(2)?;
        let count = cursor.u16()?;
        cursor.skip(if version == 1 { name.next_multiple_of(8) } else { name })?;
        let parameters = (0..count).map(|_| cursor.u32()).collect::<Result<Vec<_>, _>>()?;
        if version == 1 && count % 2 == 1 {
            cursor.skip(4)?;
        }
        filters.push(Filter { id, parameters, offset });
    }
    Ok(filters)
}
