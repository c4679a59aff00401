//! Sequences of different lengths in one array.

use rhyton_ir::{Array, Element};

/// An end of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The beginning.
    #[default]
    Pre,
    /// The end.
    Post,
}

/// How [`pad_sequences`] brings sequences to one length; Keras's arguments with Keras's defaults.
#[derive(Clone, Debug, Default)]
pub struct PadSequences<T> {
    maxlen: Option<usize>,
    padding: Side,
    truncating: Side,
    value: T,
}

impl<T: Default> PadSequences<T> {
    /// To the length of the longest, with zeros before.
    pub fn new() -> PadSequences<T> {
        PadSequences::default()
    }

    /// The length; that of the longest unless said.
    pub fn maxlen(mut self, maxlen: usize) -> PadSequences<T> {
        self.maxlen = Some(maxlen);
        self
    }

    /// Where short sequences are filled up; before them unless said.
    pub fn padding(mut self, padding: Side) -> PadSequences<T> {
        self.padding = padding;
        self
    }

    /// Where long sequences are cut; at the beginning unless said.
    pub fn truncating(mut self, truncating: Side) -> PadSequences<T> {
        self.truncating = truncating;
        self
    }

    /// What short sequences are filled up with; zeros unless said.
    pub fn value(mut self, value: T) -> PadSequences<T> {
        self.value = value;
        self
    }
}

/// Sequences as the rows of one array, of the dtype of their elements.
///
/// # Examples
/// ```
/// use rhyton_core::utils::{PadSequences, pad_sequences};
///
/// let rows = pad_sequences(&[vec![1i32], vec![2, 3, 4]], PadSequences::new().maxlen(2));
/// assert_eq!(rows.to_f64_vec(), [0.0, 1.0, 3.0, 4.0]);
/// ```
pub fn pad_sequences<T: Element, S: AsRef<[T]>>(sequences: &[S], options: PadSequences<T>) -> Array {
    let longest = sequences.iter().map(|s| s.as_ref().len()).max().unwrap_or(0);
    let maxlen = options.maxlen.unwrap_or(longest);
    let mut values = Vec::with_capacity(sequences.len() * maxlen);
    for sequence in sequences {
        let sequence = sequence.as_ref();
        let kept = match options.truncating {
            Side::Pre => &sequence[sequence.len().saturating_sub(maxlen)..],
            Side::Post => &sequence[..sequence.len().min(maxlen)],
        };
        let filler = std::iter::repeat_n(options.value, maxlen - kept.len());
        match options.padding {
            Side::Pre => values.extend(filler.chain(kept.iter().copied())),
            Side::Post => values.extend(kept.iter().copied().chain(filler)),
        }
    }
    Array::new([sequences.len(), maxlen], values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_in_keras() {
        // keras.utils.pad_sequences([[1], [2, 3], [4, 5, 6]], …), Keras 3.15.1.
        let sequences = [vec![1i32], vec![2, 3], vec![4, 5, 6]];
        let rows = |options| pad_sequences(&sequences, options).as_slice::<i32>().unwrap().to_vec();
        assert_eq!(rows(PadSequences::new()), [0, 0, 1, 0, 2, 3, 4, 5, 6]);
        assert_eq!(rows(PadSequences::new().value(-1).padding(Side::Post)), [1, -1, -1, 2, 3, -1, 4, 5, 6]);
        assert_eq!(rows(PadSequences::new().maxlen(2)), [0, 1, 2, 3, 5, 6]);
        assert_eq!(rows(PadSequences::new().maxlen(2).truncating(Side::Post)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(pad_sequences::<i32, Vec<i32>>(&[], PadSequences::new()).shape(), [0, 0]);
    }
}
