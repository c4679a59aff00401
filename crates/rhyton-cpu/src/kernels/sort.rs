//! Orders of lines of elements: `sort` by one key or several, and `top_k`.
//!
//! An element is mapped to an unsigned number that orders as it does, NaN last and both zeros alike, and is packed with
//! its place along the line below that number. Packed numbers are all different, so an unstable sort of them in place
//! gives the stable order, and comparing two is one instruction. Several keys are sorted by from the last to the first,
//! each time from the order that the others gave.

use half::{bf16, f16};
use rhyton_ir::Element;

/// An element with a rank.
pub trait Ranked: Element {
    /// A number that orders as the elements do, below 2^32 for elements of at most 4 bytes. NaN has the largest, and both
    /// zeros have the same.
    fn rank(self) -> u64;
}

macro_rules! ranked_integers {
    ($($unsigned:ident $signed:ident),*) => {$(
        impl Ranked for $unsigned {
            fn rank(self) -> u64 {
                u64::from(self)
            }
        }
        impl Ranked for $signed {
            fn rank(self) -> u64 {
                u64::from(self.cast_unsigned() ^ $signed::MIN.cast_unsigned())
            }
        }
    )*};
}

ranked_integers!(u8 i8, u16 i16, u32 i32, u64 i64);

impl Ranked for bool {
    fn rank(self) -> u64 {
        u64::from(self)
    }
}

/// The rank of a float whose bits are the low `width` ones of `bits`.
#[inline(always)]
fn rank_of_float(bits: u64, width: u32, nan: bool) -> u64 {
    let (sign, all) = (1 << (width - 1), u64::MAX >> (64 - width));
    match bits {
        _ if nan => all,
        negative if negative & sign != 0 && negative != sign => !negative & all,
        // A negative zero ranks as the positive one.
        positive => positive | sign,
    }
}

macro_rules! ranked_floats {
    ($($float:ident $width:literal),*) => {$(
        impl Ranked for $float {
            fn rank(self) -> u64 {
                rank_of_float(u64::from(self.to_bits()), $width, self.is_nan())
            }
        }
    )*};
}

ranked_floats!(f16 16, bf16 16, f32 32, f64 64);

/// A rank and a place in one number.
trait Packed: Copy + Ord {
    fn new(rank: u64, place: usize) -> Self;
    fn place(self) -> usize;
}

/// For ranks and places of 32 bits.
impl Packed for u64 {
    #[inline(always)]
    fn new(rank: u64, place: usize) -> u64 {
        rank << 32 | place as u64
    }

    #[inline(always)]
    fn place(self) -> usize {
        (self & 0xffff_ffff) as usize
    }
}

impl Packed for u128 {
    #[inline(always)]
    fn new(rank: u64, place: usize) -> u128 {
        u128::from(rank) << 64 | place as u128
    }

    #[inline(always)]
    fn place(self) -> usize {
        self as u64 as usize
    }
}

/// Where the elements of a line lie.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The first one.
    pub start: usize,
    /// From one to the next.
    pub step: usize,
    /// How many there are.
    pub len: usize,
}

impl Line {
    /// The line number `number` along the middle axis of `(outer, len, inner)`.
    pub fn nth(number: usize, (_, len, inner): (usize, usize, usize)) -> Line {
        Line { start: number / inner * len * inner + number % inner, step: inner, len }
    }

    fn at(self, place: usize) -> usize {
        self.start + place * self.step
    }

    /// Whether all of it is among `len` elements.
    fn is_within(self, len: usize) -> bool {
        self.len == 0 || self.at(self.len - 1) < len
    }
}

/// The order of the elements of a line, and the memory to find it in.
#[derive(Debug, Default)]
pub struct Order {
    narrow: Vec<u64>,
    wide: Vec<u128>,
    /// The place from which each element of the ordered line comes.
    from: Vec<usize>,
    before: Vec<usize>,
}

/// Whether ranks of `T` and places below `len` have 32 bits.
fn is_narrow<T>(len: usize) -> bool {
    size_of::<T>() <= 4 && len as u64 <= 1 << 32
}

impl Order {
    /// The order of a line of `len` elements as it stands.
    pub fn start(&mut self, len: usize) {
        self.from.clear();
        self.from.extend(0..len);
    }

    /// Orders the line by the key `x`; what is equal stays in the order that there was.
    ///
    /// # Panics
    /// If the line is not in `x` or not of the length the order was started with.
    pub fn refine<T: Ranked>(&mut self, x: &[T], line: Line, descending: bool) {
        assert!(line.is_within(x.len()) && line.len == self.from.len(), "the line");
        std::mem::swap(&mut self.from, &mut self.before);
        if is_narrow::<T>(line.len) {
            refine(x, line, descending, &self.before, &mut self.narrow, &mut self.from);
        } else {
            refine(x, line, descending, &self.before, &mut self.wide, &mut self.from);
        }
    }

    /// Writes the line of `x` in this order to the same line of `out`.
    ///
    /// # Panics
    /// As [`Order::refine`].
    ///
    /// # Safety
    /// `out` is valid for writes of as many elements as `x` has, which are not those of `x`; nothing else reads or writes
    /// this line of it meanwhile.
    pub unsafe fn permute<T: Copy>(&self, x: &[T], line: Line, out: *mut T) {
        assert!(line.is_within(x.len()) && line.len == self.from.len(), "the line");
        for (to, &from) in self.from.iter().enumerate() {
            // SAFETY: the line is within `x.len()`, asserted, for which `out` is valid (caller).
            unsafe { out.add(line.at(to)).write(x[line.at(from)]) };
        }
    }

    /// The largest elements of `x` in descending order, as many as `values` takes, and their places; equal ones by
    /// ascending place. NaN is largest.
    ///
    /// # Panics
    /// If more are asked for than there are, or `values` and `places` differ in length.
    pub fn largest<T: Ranked>(&mut self, x: &[T], values: &mut [T], places: &mut [i32]) {
        assert!(values.len() == places.len() && values.len() <= x.len(), "the results");
        if is_narrow::<T>(x.len()) {
            largest(x, &mut self.narrow, values, places);
        } else {
            largest(x, &mut self.wide, values, places);
        }
    }
}

/// The rank that orders as asked for.
#[inline(always)]
fn rank<T: Ranked>(x: T, descending: bool) -> u64 {
    // The complement reverses, within the bits that the rank has.
    let mask = if size_of::<T>() <= 4 { 0xffff_ffff } else { u64::MAX };
    if descending { !x.rank() & mask } else { x.rank() }
}

fn refine<T: Ranked, P: Packed>(
    x: &[T],
    line: Line,
    descending: bool,
    before: &[usize],
    packed: &mut Vec<P>,
    from: &mut Vec<usize>,
) {
    packed.clear();
    packed.extend(before.iter().enumerate().map(|(i, &place)| P::new(rank(x[line.at(place)], descending), i)));
    packed.sort_unstable();
    from.clear();
    from.extend(packed.iter().map(|p| before[p.place()]));
}

fn largest<T: Ranked, P: Packed>(x: &[T], packed: &mut Vec<P>, values: &mut [T], places: &mut [i32]) {
    let k = values.len();
    if k == 0 {
        return;
    }
    packed.clear();
    packed.extend(x.iter().enumerate().map(|(i, &x)| P::new(rank(x, true), i)));
    if k < packed.len() {
        packed.select_nth_unstable(k - 1);
    }
    let first = &mut packed[..k];
    first.sort_unstable();
    for ((value, place), p) in values.iter_mut().zip(places).zip(first) {
        *value = x[p.place()];
        *place = p.place() as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    /// The order of numbers with NaN as the largest.
    fn order<T: Element>(x: T, y: T) -> Ordering {
        let nan = |v: T| v.partial_cmp(&v).is_none();
        x.partial_cmp(&y).unwrap_or_else(|| nan(x).cmp(&nan(y)))
    }

    fn ranks_order_as<T: Ranked>(values: &[T]) {
        for &x in values {
            assert!(size_of::<T>() > 4 || x.rank() < 1 << 32, "{x:?}");
            for &y in values {
                assert_eq!(x.rank().cmp(&y.rank()), order(x, y), "{x:?} {y:?}");
            }
        }
    }

    #[test]
    fn ranks_order_as_the_elements_do() {
        let floats =
            [0.0, -0.0, 1.0, -1.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -5e-324, 1e300];
        ranks_order_as(&floats);
        ranks_order_as(&floats.map(|x| x as f32));
        ranks_order_as(&floats.map(f16::from_f64));
        ranks_order_as(&floats.map(bf16::from_f64));
        ranks_order_as(&[i64::MIN, -1, 0, 1, i64::MAX]);
        ranks_order_as(&[i8::MIN, -1, 0, 1, i8::MAX]);
        ranks_order_as(&[0, 1, u64::MAX]);
        ranks_order_as(&[0, 1, u32::MAX]);
        ranks_order_as(&[false, true]);
        // All pairs of neighbours of 16 bits.
        let mut all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        all.sort_by(|&x, &y| order(x, y));
        assert!(all.windows(2).all(|w| w[0].rank().cmp(&w[1].rank()) == order(w[0], w[1])));
    }

    /// Numbers with many equals.
    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        (0..n as u64).map(|i| ((i + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59) as f32 - 9.0).collect()
    }

    #[test]
    fn keys_from_the_last_to_the_first_give_the_stable_order() {
        let mut found = Order::default();
        for n in [0, 1, 2, 15, 16, 17, 1009] {
            let (x, y) = (numbers(2 * n, 1), numbers(2 * n, 77).iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
            for descending in [false, true] {
                let line = Line { start: usize::from(n > 0), step: 2, len: n };
                found.start(n);
                found.refine(&y, line, descending);
                found.refine(&x, line, descending);
                let mut expected: Vec<usize> = (0..n).collect();
                expected.sort_by(|&i, &j| {
                    let order = order(x[line.at(i)], x[line.at(j)]).then(order(y[line.at(i)], y[line.at(j)]));
                    if descending { order.reverse() } else { order }
                });
                assert_eq!(found.from, expected, "{n} descending {descending}");
                let mut out = vec![7.0; x.len()];
                // SAFETY: of the length of x.
                unsafe { found.permute(&x, line, out.as_mut_ptr()) };
                assert!((0..n).all(|i| out[line.at(i)] == x[line.at(expected[i])] && out[2 * i] == 7.0));
            }
        }
    }

    #[test]
    fn the_largest_are_the_first_of_the_descending_order() {
        let mut found = Order::default();
        for n in [0, 1, 2, 16, 17, 1009] {
            let mut x = numbers(n, 3);
            if n > 2 {
                (x[1], x[n - 1]) = (f32::NAN, f32::NAN);
            }
            let mut expected: Vec<usize> = (0..n).collect();
            expected.sort_by(|&i, &j| order(x[j], x[i]));
            for k in [0, 1, n / 2, n].into_iter().filter(|&k| k <= n) {
                let (mut values, mut places) = (vec![0.0; k], vec![-1; k]);
                found.largest(&x, &mut values, &mut places);
                assert!((0..k).all(|i| places[i] as usize == expected[i]), "{n} {k}");
                assert!((0..k).all(|i| values[i].to_bits() == x[expected[i]].to_bits()), "{n} {k}");
            }
        }
    }
}
