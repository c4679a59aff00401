//! TFRecord files: records of bytes, each with its length and checksums.
//!
//! A record is its length (`u64`), the masked CRC-32C of those eight bytes (`u32`), the content, and the masked CRC-32C of the
//! content, all little-endian.

use std::io::{self, Write};
use std::path::Path;

use crate::cursor::Cursor;
use crate::error::{Fault, Result, memory, read_file};

/// Reads all records of an uncompressed TFRecord file.
///
/// # Errors
/// If the file cannot be read, ends within a record, or a checksum does not match.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Vec<u8>>> {
    let path = path.as_ref();
    let bytes = read_file(path)?;
    let records = records(&bytes).map_err(|fault| fault.at(path, ""))?;
    Ok(records.into_iter().map(|(_, record)| record.to_vec()).collect())
}

/// Reads all records from the bytes of a TFRecord file; see [`read`].
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let records = records(bytes).map_err(|fault| fault.at(&memory(), ""))?;
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

/// Appends one record to `out`.
///
/// # Errors
/// If `out` cannot be written to.
///
/// # Examples
/// ```
/// use rhyton_formats::tfrecord;
///
/// let mut bytes = Vec::new();
/// tfrecord::write_record(&mut bytes, b"horn")?;
/// assert_eq!(tfrecord::from_bytes(&bytes)?, [b"horn"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_record(out: &mut impl Write, record: &[u8]) -> io::Result<()> {
    let len = (record.len() as u64).to_le_bytes();
    // One write a record, so that a reader of a growing file seldom sees a part.
    let mut bytes = Vec::with_capacity(record.len() + 16);
    bytes.extend(len);
    bytes.extend(masked_crc32c(&len).to_le_bytes());
    bytes.extend(record);
    bytes.extend(masked_crc32c(record).to_le_bytes());
    out.write_all(&bytes)
}

/// The records with the offset of their content.
pub(crate) fn records(bytes: &[u8]) -> Result<Vec<(usize, &[u8])>, Fault> {
    let mut cursor = Cursor::at(bytes, 0);
    let mut records = Vec::new();
    while cursor.position() < bytes.len() {
        let start = cursor.position();
        let len = cursor.u64()?;
        if cursor.u32()? != masked_crc32c(&len.to_le_bytes()) {
            return Err(Fault::damaged(
                start,
                format!("the checksum of the length of record {} does not match", records.len()),
            ));
        }
        let at = cursor.position();
        let record = cursor.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        if cursor.u32()? != masked_crc32c(record) {
            return Err(Fault::damaged(at, format!("the checksum of record {} does not match", records.len())));
        }
        records.push((at, record));
    }
    Ok(records)
}

/// CRC-32C, rotated and offset so that the checksum of data that holds checksums is still a good one.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The Castagnoli polynomial, reflected, a table of one byte.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut crc, mut bit) = (i as u32, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, &b| crc >> 8 ^ TABLE[((crc ^ u32::from(b)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of RFC 3720, appendix B.4 and of the usual catalogues.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let mut bytes = Vec::new();
        write_record(&mut bytes, b"horn").unwrap();
        write_record(&mut bytes, b"").unwrap();
        assert_eq!(from_bytes(&bytes).unwrap(), [&b"horn"[..], b""]);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            assert!(from_bytes(&bytes).is_err(), "byte {at}");
        }
        for end in (1..bytes.len()).filter(|&end| end != 20) {
            assert!(from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
