//! Damage to bytes.

use crate::random::Random;

/// Numbers at the edges of what readers check.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_fff0,
    u64::MAX,
];

/// Changes `bytes` in one to eight places; `others` lend parts of theirs.
pub fn damage(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(8) {
        once(bytes, others, random);
    }
}

fn once(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let len = 1 + random.below(64.min(bytes.len() - at));
    match random.below(10) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.next() as u8,
        // A number of one to eight bytes: one at an edge, the file's length, or a place in it.
        3..=5 => {
            let size = *random.of(&[1, 2, 4, 8]);
            let number = match random.below(4) {
                0 => bytes.len() as u64,
                1 => random.below(bytes.len()) as u64,
                _ => random.of(&EDGES).wrapping_add(random.below(3) as u64).wrapping_sub(1),
            };
            let number = number.to_le_bytes();
            let end = bytes.len().min(at + size);
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        6 => bytes.truncate(at),
        7 => {
            let part = bytes[at..at + len].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, part);
        }
        8 => drop(bytes.drain(at..at + len)),
        _ => {
            let other = random.of(others);
            let from = random.below(other.len());
            let part = &other[from..(from + len).min(other.len())];
            let end = bytes.len().min(at + part.len());
            bytes.splice(at..end, part.iter().copied());
        }
    }
}
