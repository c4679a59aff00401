//! The filters of chunks, undone.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::message::Filter;
use crate::error::Fault;

/// Undoes `filters`, which were applied in their order, on a stored chunk at byte `at` of the file. A set bit of `mask` says
/// that the filter with that number was left out. The result is at most `limit` bytes.
pub(super) fn undo(filters: &[Filter], mask: u32, stored: &[u8], at: usize, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = stored.to_vec();
    for (number, filter) in filters.iter().enumerate().rev() {
        if mask.checked_shr(number as u32).unwrap_or(0) & 1 == 1 {
            continue;
        }
        bytes = match filter.id {
            1 => inflate(&bytes, at, limit)?,
            2 => unshuffle(&bytes, filter.parameters.first().copied().unwrap_or(1) as usize),
            3 => without_checksum(bytes, at)?,
            id => {
                let fix = "rewrite the dataset with gzip or without compression";
                return Err(Fault::unsupported(filter.offset, format!("the filter {} of a dataset", name(id)), fix));
            }
        };
    }
    Ok(bytes)
}

fn name(id: u16) -> String {
    match id {
        4 => "szip".into(),
        5 => "nbit".into(),
        6 => "scale-offset".into(),
        32000 => "LZF".into(),
        32001 => "Blosc".into(),
        32004 => "LZ4".into(),
        32015 => "Zstandard".into(),
        _ => format!("number {id}"),
    }
}

fn inflate(bytes: &[u8], at: usize, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    // Fletcher-32 before deflate adds four bytes to the chunk.
    let most = limit as u64 + 4;
    let read = ZlibDecoder::new(bytes).take(most + 1).read_to_end(&mut out);
    read.map_err(|e| Fault::damaged(at, format!("a chunk does not inflate: {e}")))?;
    if out.len() as u64 > most {
        return Err(Fault::damaged(at, format!("a chunk inflates to more than its {limit} bytes")));
    }
    Ok(out)
}

/// Shuffling puts the first bytes of all elements first, then all second ones, …; bytes after the last whole element stay.
fn unshuffle(bytes: &[u8], size: usize) -> Vec<u8> {
    if size < 2 || bytes.len() < size {
        return bytes.to_vec();
    }
    let count = bytes.len() / size;
    let mut out = bytes.to_vec();
    for byte in 0..size {
        for (element, &value) in bytes[byte * count..(byte + 1) * count].iter().enumerate() {
            out[element * size + byte] = value;
        }
    }
    out
}

fn without_checksum(mut bytes: Vec<u8>, at: usize) -> Result<Vec<u8>, Fault> {
    let Some(len) = bytes.len().checked_sub(4) else {
        return Err(Fault::damaged(at, "a chunk is shorter than its checksum"));
    };
    let stored = u32::from_le_bytes([bytes[len], bytes[len + 1], bytes[len + 2], bytes[len + 3]]);
    bytes.truncate(len);
    if stored != fletcher32(&bytes) {
        return Err(Fault::damaged(at, "the checksum of a chunk does not match"));
    }
    Ok(bytes)
}

/// Fletcher's checksum over big-endian words of 16 bits; HDF5 reduces to 1..=65535, where 0 stays 0.
fn fletcher32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (0u32, 0u32);
    let reduce = |n: u32| (n & 0xffff) + (n >> 16);
    // 360 words are the most before the sums could overflow.
    for block in bytes.chunks(720) {
        for pair in block.chunks(2) {
            low += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            high += low;
        }
        (low, high) = (reduce(low), reduce(high));
    }
    reduce(high) << 16 | reduce(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffling_gathers_the_bytes_of_an_element() {
        assert_eq!(unshuffle(&[1, 3, 5, 2, 4, 6], 2), [1, 2, 3, 4, 5, 6]);
        assert_eq!(unshuffle(&[1, 3, 2, 4, 9], 2), [1, 2, 3, 4, 9]);
        assert_eq!(unshuffle(&[1], 4), [1]);
    }
}
