//! Hashes of texts, and of the text of whole numbers, as TensorFlow takes them: what lies in which bucket is part of a trained model.

/// The bucket, of `buckets`, that the decimal text of `value` falls into: by FarmHash64, or with a salt by SipHash.
pub(super) fn bucket(value: i64, buckets: u64, salt: Option<[u64; 2]>) -> i64 {
    bucket_of_text(value.to_string().as_bytes(), buckets, salt)
}

/// The bucket, of `buckets`, that `text` falls into.
pub(super) fn bucket_of_text(text: &[u8], buckets: u64, salt: Option<[u64; 2]>) -> i64 {
    let hash = match salt {
        None => farm_hash64(text),
        Some(key) => sip_hash(key, text),
    };
    (hash % buckets) as i64
}

/// TensorFlow's hash of two hashes (`FingerprintCat64`).
pub(super) fn join_hashes(first: u64, second: u64) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    let joined = (first ^ MULTIPLIER) ^ shift_mix(second.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    let joined = shift_mix(joined.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    shift_mix(joined)
}

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

/// The first 8 bytes of `bytes`, the lowest first.
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes are 8 bytes"))
}

/// The first 4 bytes of `bytes`, the lowest first.
fn half(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes are 4 bytes")))
}

/// FarmHash's `Fingerprint64` (G. Pike, 2014, <https://github.com/google/farmhash>).
pub(super) fn farm_hash64(s: &[u8]) -> u64 {
    let n = s.len();
    let multiplier = K2.wrapping_add(2 * n as u64);
    match n {
        0 => K2,
        1..4 => {
            let y = u64::from(s[0]) + (u64::from(s[n / 2]) << 8);
            let z = n as u64 + (u64::from(s[n - 1]) << 2);
            shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2)
        }
        4..8 => mix(n as u64 + (half(s) << 3), half(&s[n - 4..]), multiplier),
        8..=16 => {
            let a = word(s).wrapping_add(K2);
            let b = word(&s[n - 8..]);
            let c = b.rotate_right(37).wrapping_mul(multiplier).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(multiplier);
            mix(c, d, multiplier)
        }
        17..=32 => {
            let a = word(s).wrapping_mul(K1);
            let b = word(&s[8..]);
            let c = word(&s[n - 8..]).wrapping_mul(multiplier);
            let d = word(&s[n - 16..]).wrapping_mul(K2);
            let u = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
            let v = a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c);
            mix(u, v, multiplier)
        }
        33..=64 => {
            let a = word(s).wrapping_mul(K2);
            let b = word(&s[8..]);
            let c = word(&s[n - 8..]).wrapping_mul(multiplier);
            let d = word(&s[n - 16..]).wrapping_mul(K2);
            let y = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
            let z = mix(y, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), multiplier);
            let e = word(&s[16..]).wrapping_mul(multiplier);
            let f = word(&s[24..]);
            let g = y.wrapping_add(word(&s[n - 32..])).wrapping_mul(multiplier);
            let h = z.wrapping_add(word(&s[n - 24..])).wrapping_mul(multiplier);
            let u = e.wrapping_add(f).rotate_right(43).wrapping_add(g.rotate_right(30)).wrapping_add(h);
            let v = e.wrapping_add(f.wrapping_add(a).rotate_right(18)).wrapping_add(g);
            mix(u, v, multiplier)
        }
        _ => long_farm_hash64(s),
    }
}

/// [`farm_hash64`] of more than 64 bytes: 64 at a time, then the last 64.
fn long_farm_hash64(s: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let n = s.len();
    let mut y = SEED.wrapping_mul(K1).wrapping_add(113);
    let mut z = shift_mix(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let mut x = SEED.wrapping_mul(K2).wrapping_add(word(s));
    let (mut v, mut w) = ((0, 0), (0, 0));
    for block in s[..(n - 1) / 64 * 64].chunks_exact(64) {
        x = sum(&[x, y, v.0, word(&block[8..])]).rotate_right(37).wrapping_mul(K1);
        y = sum(&[y, v.1, word(&block[48..])]).rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y = sum(&[y, v.0, word(&block[40..])]);
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        v = weak_hash(block, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak_hash(&block[32..], z.wrapping_add(w.1), y.wrapping_add(word(&block[16..])));
        std::mem::swap(&mut z, &mut x);
    }
    let multiplier = K1.wrapping_add((z & 0xff) << 1);
    let block = &s[n - 64..];
    w.0 = w.0.wrapping_add((n as u64 - 1) & 63);
    v.0 = v.0.wrapping_add(w.0);
    w.0 = w.0.wrapping_add(v.0);
    x = sum(&[x, y, v.0, word(&block[8..])]).rotate_right(37).wrapping_mul(multiplier);
    y = sum(&[y, v.1, word(&block[48..])]).rotate_right(42).wrapping_mul(multiplier);
    x ^= w.1.wrapping_mul(9);
    y = sum(&[y, v.0.wrapping_mul(9), word(&block[40..])]);
    z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(multiplier);
    v = weak_hash(block, v.1.wrapping_mul(multiplier), x.wrapping_add(w.0));
    w = weak_hash(&block[32..], z.wrapping_add(w.1), y.wrapping_add(word(&block[16..])));
    std::mem::swap(&mut z, &mut x);
    let first = sum(&[mix(v.0, w.0, multiplier), shift_mix(y).wrapping_mul(K0), z]);
    mix(first, mix(v.1, w.1, multiplier).wrapping_add(x), multiplier)
}

fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |total, &word| total.wrapping_add(word))
}

/// FarmHash's `WeakHashLen32WithSeeds` of the first 32 bytes.
fn weak_hash(bytes: &[u8], a: u64, b: u64) -> (u64, u64) {
    let (w, x, y, z) = (word(bytes), word(&bytes[8..]), word(&bytes[16..]), word(&bytes[24..]));
    let a = a.wrapping_add(w);
    let b = sum(&[b, a, z]).rotate_right(21);
    let middle = sum(&[a, x, y]);
    (middle.wrapping_add(z), sum(&[b, middle.rotate_right(44), a]))
}

fn shift_mix(v: u64) -> u64 {
    v ^ (v >> 47)
}

/// FarmHash's `HashLen16`.
fn mix(u: u64, v: u64, multiplier: u64) -> u64 {
    let a = shift_mix((u ^ v).wrapping_mul(multiplier));
    let b = shift_mix((v ^ a).wrapping_mul(multiplier));
    b.wrapping_mul(multiplier)
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012, <https://www.131002.net/siphash/siphash.pdf>).
fn sip_hash(key: [u64; 2], text: &[u8]) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let mut take = |word: u64| {
        v[3] ^= word;
        (0..2).for_each(|_| sip_round(&mut v));
        v[0] ^= word;
    };
    let words = text.chunks_exact(8);
    // The rest of the text, and its length in the highest byte.
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    last[7] = text.len() as u8;
    words.for_each(|w| take(word(w)));
    take(word(&last));
    v[2] ^= 0xff;
    (0..4).for_each(|_| sip_round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_each_length_fall_into_the_buckets_of_tensorflow() {
        // tf.strings.to_hash_bucket_fast(tf.strings.as_string(values), 1000003), and …_strong with key=[133, 137].
        let values = [7, -12, 1234, -123_456, 123_456_789, -1_234_567_890_123_456, i64::MAX, i64::MIN];
        let fast = [929154, 73515, 755216, 216272, 924877, 438067, 121738, 400334];
        let strong = [259924, 180689, 754843, 869328, 518773, 104572, 462284, 247356];
        assert_eq!(values.map(|v| bucket(v, 1_000_003, None)), fast);
        assert_eq!(values.map(|v| bucket(v, 1_000_003, Some([133, 137]))), strong);
        // tf.strings.to_hash_bucket_fast(texts, 1000003), and …_strong of some with key=[133, 137].
        let texts =
            ["a".repeat(40), "b".repeat(64), "hello world ".repeat(10), "x".repeat(200), String::new(), "é".repeat(30)];
        let fast = [58881, 138209, 91138, 603131, 377723, 457648];
        assert_eq!(texts.each_ref().map(|t| bucket_of_text(t.as_bytes(), 1_000_003, None)), fast);
        let strong = [(0, 848296), (1, 195005), (4, 953272), (3, 736155)];
        for (i, expected) in strong {
            assert_eq!(bucket_of_text(texts[i].as_bytes(), 1_000_003, Some([133, 137])), expected);
        }
    }
}
