//! `digits`: handwritten digits of 8 × 8 pixels, small enough to be part of the program.

use rhyton_formats::npz;
use rhyton_ir::Array;

use super::{Dataset, Split};
use crate::error::{Error, Result};

pub(super) const DATASET: Dataset = Dataset {
    name: "digits",
    description: "handwritten digits 0 to 9 as images of 8 × 8 grey values from 0 to 16",
    source: "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning Repository, \
             https://doi.org/10.24432/C50P49",
    licence: "CC BY 4.0",
    x_shape: &[8, 8, 1],
    x_range: (0.0, 16.0),
    class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    samples: (1438, 359),
    load,
};

/// The sample's number chooses the split, so changing this changes every result that was ever reported.
const SEED: u64 = 1998;

/// Loads the handwritten digits as `((x_train, y_train), (x_test, y_test))`.
///
/// `x` is uint8 of shape (samples, 8, 8, 1) with values from 0 (blank) to 16 (full): divide by 16 for 0 to 1. `y` is uint8 of
/// shape (samples,), the digit.
///
/// The split is stratified and always the same: of each digit's samples, shuffled with a fixed seed, a fifth (rounded) is for
/// testing; both parts are then shuffled. That makes 1,438 samples to train and 359 to test.
///
/// # Errors
/// None that a caller could cause: the data is part of the program.
///
/// # Examples
/// ```
/// let ((x_train, y_train), (x_test, _)) = rhyton_data::datasets::digits::load()?;
/// assert_eq!(x_train.shape(), [1438, 8, 8, 1]);
/// assert_eq!(y_train.shape(), [1438]);
/// assert_eq!(x_test.shape(), [359, 8, 8, 1]);
/// # Ok::<(), rhyton_data::Error>(())
/// ```
///
/// # References
/// E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, 1998, <https://doi.org/10.24432/C50P49>, CC BY 4.0.
pub fn load() -> Result<Split> {
    let arrays = npz::from_bytes(include_bytes!("../../data/digits.npz"))?;
    let take = |name: &str| arrays.iter().find(|(n, _)| n == name).map(|(_, array)| array.clone());
    let (x, y) = match (take("x").and_then(|x| x.reshape([x.len() / 64, 8, 8, 1])), take("y")) {
        (Some(x), Some(y)) if x.shape()[0] == y.len() => (x, y),
        _ => {
            return Err(Error::Argument {
                what: "the embedded digits are not (n, 8, 8) images with n labels".into(),
                fix: "rebuild the program from an unchanged source".into(),
            });
        }
    };
    let (train, test) = stratified(&y);
    Ok(((x.take_rows(&train), y.take_rows(&train)), (x.take_rows(&test), y.take_rows(&test))))
}

/// The numbers of the samples to train and to test with.
fn stratified(y: &Array) -> (Vec<usize>, Vec<usize>) {
    let labels = y.to_f64_vec();
    let mut random = SplitMix64(SEED);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for class in 0..10 {
        let mut samples: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == f64::from(class)).collect();
        random.shuffle(&mut samples);
        let (tests, trains) = samples.split_at((samples.len() + 2) / 5);
        test.extend(tests);
        train.extend(trains);
    }
    random.shuffle(&mut train);
    random.shuffle(&mut test);
    (train, test)
}

/// The generator of G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Fisher and Yates's shuffle; the bias of the remainder is below 2⁻⁵³ here.
    fn shuffle(&mut self, values: &mut [usize]) {
        for i in (1..values.len()).rev() {
            values.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_fixed_and_stratified() {
        let ((x_train, y_train), (x_test, y_test)) = load().unwrap();
        assert_eq!(load().unwrap(), ((x_train.clone(), y_train.clone()), (x_test.clone(), y_test.clone())));
        for class in 0..10 {
            let count = |y: &Array| y.to_f64_vec().iter().filter(|&&label| label == f64::from(class)).count();
            let (train, test) = (count(&y_train), count(&y_test));
            assert!((train as f64 / test as f64 - 4.0).abs() < 0.1, "{class}: {train} and {test}");
        }
        // These labels change when the split does.
        assert_eq!(y_test.to_f64_vec()[..8], [3.0, 1.0, 1.0, 3.0, 0.0, 7.0, 4.0, 4.0]);
    }

    #[test]
    fn no_sample_is_in_both_parts_or_missing() {
        let ((_, y_train), (_, y_test)) = load().unwrap();
        let y = &npz::from_bytes(include_bytes!("../../data/digits.npz")).unwrap()[1].1;
        let (mut train, test) = stratified(y);
        assert_eq!((train.len(), test.len()), (y_train.len(), y_test.len()));
        train.extend(test);
        train.sort_unstable();
        assert_eq!(train, (0..1797).collect::<Vec<_>>());
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut random = SplitMix64(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
