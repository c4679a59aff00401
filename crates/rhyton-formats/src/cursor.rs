//! Reading little-endian fields from bytes that may end too early.

use crate::error::Fault;

/// A position in `data`. Every read checks that the bytes are there.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at `position`, which need not lie within `data`: the first read tells.
    pub fn at(data: &'a [u8], position: u64) -> Cursor<'a> {
        Cursor { data, position: usize::try_from(position).unwrap_or(usize::MAX) }
    }

    /// The offset of the next byte.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.position.checked_add(len).filter(|&end| end <= self.data.len());
        let Some(end) = end else {
            let at = self.position.min(self.data.len());
            return Err(Fault::damaged(
                at,
                format!("{len} bytes were due at byte {} but there are {} in all", self.position, self.data.len()),
            ));
        };
        let bytes = &self.data[self.position..end];
        self.position = end;
        Ok(bytes)
    }

    /// Passes over `len` bytes.
    pub fn skip(&mut self, len: usize) -> Result<(), Fault> {
        self.take(len).map(drop)
    }

    /// An unsigned number of `size` bytes, at most 8.
    pub fn uint(&mut self, size: usize) -> Result<u64, Fault> {
        debug_assert!(size <= 8);
        let bytes = self.take(size)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    pub fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Fault> {
        Ok(self.uint(2)? as u16)
    }

    pub fn u32(&mut self) -> Result<u32, Fault> {
        Ok(self.uint(4)? as u32)
    }

    pub fn u64(&mut self) -> Result<u64, Fault> {
        self.uint(8)
    }

    /// The next four bytes, which must be `signature`.
    pub fn signature(&mut self, signature: &[u8; 4]) -> Result<(), Fault> {
        let at = self.position;
        let found = self.take(4)?;
        if found == signature {
            return Ok(());
        }
        let name = String::from_utf8_lossy(signature);
        Err(Fault::damaged(at, format!("{name:?} was due here but {:?} is", String::from_utf8_lossy(found))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end_wherever_they_start() {
        let mut cursor = Cursor::at(&[1, 2, 3], 1);
        assert_eq!(cursor.u16(), Ok(0x0302));
        assert_eq!(cursor.u8().unwrap_err().offset, 3);
        assert!(Cursor::at(&[], u64::MAX).take(usize::MAX).is_err());
    }
}
