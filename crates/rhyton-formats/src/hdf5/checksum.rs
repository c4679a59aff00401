//! Bob Jenkins's `lookup3` hash, which guards HDF5's newer structures.

use crate::cursor::Cursor;
use crate::error::Fault;

/// `hashlittle` with the initial value 0 (lookup3.c, public domain, 2006).
pub(crate) fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |n: u32, &b| n << 8 | u32::from(b));
    let mut rest = bytes;
    while rest.len() > 12 {
        a = a.wrapping_add(word(&rest[..4]));
        b = b.wrapping_add(word(&rest[4..8]));
        c = c.wrapping_add(word(&rest[8..12]));
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        rest = &rest[12..];
    }
    if rest.is_empty() {
        return c;
    }
    let mut tail = [0; 12];
    tail[..rest.len()].copy_from_slice(rest);
    a = a.wrapping_add(word(&tail[..4]));
    b = b.wrapping_add(word(&tail[4..8]));
    c = c.wrapping_add(word(&tail[8..]));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// Checks the four bytes at `cursor` against the checksum of everything from byte `start` up to there.
pub(crate) fn check(data: &[u8], start: usize, cursor: &mut Cursor, what: &str) -> Result<(), Fault> {
    let end = cursor.position();
    let stored = cursor.u32()?;
    #[cfg(any(test, feature = "fuzz"))]
    if IGNORED.get() {
        return Ok(());
    }
    if stored != lookup3(&data[start..end]) {
        return Err(Fault::damaged(start, format!("the checksum of the {what} does not match")));
    }
    Ok(())
}

#[cfg(any(test, feature = "fuzz"))]
thread_local! {
    /// Whether checksums are taken as right, so that tests damage what they guard.
    pub(super) static IGNORED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_jenkins_s() {
        // From driver5 of lookup3.c.
        assert_eq!(super::lookup3(b""), 0xdead_beef);
        assert_eq!(super::lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
