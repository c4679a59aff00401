//! Data taken apart and put together.

use crate::error::{Error, Result};
use crate::nest::Nest;
use crate::trainer::{Batch, Data};

/// A part of the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// This many.
    Count(usize),
    /// This share of all.
    Fraction(f64),
}

impl From<usize> for Share {
    fn from(count: usize) -> Share {
        Share::Count(count)
    }
}

impl From<f64> for Share {
    fn from(fraction: f64) -> Share {
        Share::Fraction(fraction)
    }
}

impl Share {
    /// How many of `samples`: shares are rounded to even as Python's `round` does.
    fn of(self, samples: usize) -> Result<usize> {
        let count = match self {
            Share::Count(count) => count,
            Share::Fraction(f) if f > 0.0 && f < 1.0 => (f * samples as f64).round_ties_even() as usize,
            Share::Fraction(_) => usize::MAX,
        };
        if count == 0 || count >= samples {
            let what = format!("{self:?} of {samples} samples leaves nothing on one side");
            return Err(Error::argument("split_dataset", what, "give a fraction between 0 and 1, or a smaller count"));
        }
        Ok(count)
    }
}

/// The first samples of `data` and the last, in a new order if `shuffle` gives a seed for one. One size is enough; of both, the
/// samples between them are left out.
///
/// # Errors
/// If neither is given, one of the two would be empty, or both together are more than there are.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
/// use rhyton_core::utils::split_dataset;
///
/// let data = Data::new(Array::zeros(DType::F32, [10, 2]), Array::zeros(DType::F32, [10]));
/// let (left, right) = split_dataset(&data, Some(0.8.into()), None, None)?;
/// assert_eq!((left.samples()?, right.samples()?), (8, 2));
/// # Ok::<(), rhyton_core::Error>(())
/// ```
pub fn split_dataset(
    data: &Data,
    left_size: Option<Share>,
    right_size: Option<Share>,
    shuffle: Option<u64>,
) -> Result<(Data, Data)> {
    let samples = data.samples()?;
    let (left, right) = match (left_size, right_size) {
        (None, None) => {
            return Err(Error::argument("split_dataset", "no size is given", "give left_size or right_size"));
        }
        (Some(left), None) => (left.of(samples)?, samples - left.of(samples)?),
        (None, Some(right)) => (samples - right.of(samples)?, right.of(samples)?),
        (Some(left), Some(right)) => (left.of(samples)?, right.of(samples)?),
    };
    if left + right > samples {
        let what = format!("{left} and {right} samples are more than {samples}");
        return Err(Error::argument("split_dataset", what, "give sizes that fit together"));
    }
    let order: Vec<usize> = match shuffle {
        Some(seed) => crate::trainer::permutation(samples, seed),
        None => (0..samples).collect(),
    };
    Ok((data.rows(&order[..left])?, data.rows(&order[samples - right..])?))
}

/// Inputs, targets and weights as one batch.
pub fn pack_x_y_sample_weight(x: impl Into<Nest>, y: Option<Nest>, sample_weight: Option<Nest>) -> Batch {
    Batch { x: x.into(), y, sample_weight }
}

/// Inputs, targets and weights of a batch.
pub fn unpack_x_y_sample_weight(batch: Batch) -> (Nest, Option<Nest>, Option<Nest>) {
    (batch.x, batch.y, batch.sample_weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhyton_ir::Array;

    fn values(data: &Data) -> Vec<f64> {
        data.as_batch().x.single().unwrap().to_vec::<f64>().unwrap()
    }

    #[test]
    fn samples_go_to_one_side_or_the_other() {
        let x: Vec<f32> = (0..5).map(|i| i as f32).collect();
        let data = Data::new(Array::new([5], x.clone()), Array::new([5], x));
        let (left, right) = split_dataset(&data, Some(Share::Fraction(0.5)), None, None).unwrap();
        assert_eq!((values(&left), values(&right)), (vec![0.0, 1.0], vec![2.0, 3.0, 4.0]));
        let (left, right) = split_dataset(&data, Some(2.into()), Some(1.into()), Some(7)).unwrap();
        let mut all = [values(&left), values(&right)].concat();
        assert_eq!(all.len(), 3);
        all.sort_by(f64::total_cmp);
        all.dedup();
        assert_eq!(all.len(), 3);
        for (left, right) in
            [(None, None), (Some(5.into()), None), (Some(0.0.into()), None), (Some(3.into()), Some(3.into()))]
        {
            assert!(split_dataset(&data, left, right, None).is_err());
        }
        let (x, y, weight) = unpack_x_y_sample_weight(pack_x_y_sample_weight(Nest::none(), Some(Nest::none()), None));
        assert!(x.is_none() && y.is_some() && weight.is_none());
    }
}
