//! The superblock: where the file's structures start.

use super::{Source, checksum};
use crate::cursor::Cursor;
use crate::error::Fault;

const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// The source that addresses count in, and the address of the root group's object header.
pub(super) fn read(data: &[u8]) -> Result<(Source<'_>, u64), Fault> {
    let start = find(data)?;
    let mut cursor = Cursor::at(data, start as u64 + 8);
    let version = cursor.u8()?;
    let sizes = |offset_size: u8, length_size: u8| {
        if [offset_size, length_size].iter().any(|size| ![2, 4, 8].contains(size)) {
            let what = format!("addresses of {offset_size} and lengths of {length_size} bytes");
            return Err(Fault::damaged(start, what));
        }
        Ok(Source { data, offset_size: offset_size.into(), length_size: length_size.into() })
    };
    match version {
        0 | 1 => {
            cursor.skip(4)?;
            let source = sizes(cursor.u8()?, cursor.u8()?)?;
            cursor.skip(if version == 0 { 9 } else { 13 })?;
            let base = source.address(&mut cursor)?;
            // Free space, end of file, driver information; then the root's link name offset.
            cursor.skip(4 * source.offset_size)?;
            let root = source.address(&mut cursor)?;
            Ok((based(source, base, start)?, root))
        }
        2 | 3 => {
            let source = sizes(cursor.u8()?, cursor.u8()?)?;
            cursor.skip(1)?;
            let base = source.address(&mut cursor)?;
            cursor.skip(2 * source.offset_size)?;
            let root = source.address(&mut cursor)?;
            checksum::check(data, start, &mut cursor, "superblock")?;
            Ok((based(source, base, start)?, root))
        }
        _ => Err(Fault::unsupported(
            start + 8,
            format!("version {version} of the superblock"),
            "write the file with libver='v114' or earlier",
        )),
    }
}

/// The signature may follow a user block of 512, 1024, 2048, … bytes.
fn find(data: &[u8]) -> Result<usize, Fault> {
    let starts = std::iter::once(0).chain(std::iter::successors(Some(512usize), |n| n.checked_mul(2)));
    for start in starts.take_while(|&start| start < data.len()) {
        if data[start..].starts_with(SIGNATURE) {
            return Ok(start);
        }
    }
    Err(Fault::damaged(0, "this is not an HDF5 file: it has no \\x89HDF signature"))
}

fn based(source: Source<'_>, base: u64, start: usize) -> Result<Source<'_>, Fault> {
    let data = usize::try_from(base).ok().and_then(|base| source.data.get(base..));
    let data = data.ok_or_else(|| Fault::damaged(start, format!("the base address {base} lies beyond the file")))?;
    Ok(Source { data, ..source })
}
