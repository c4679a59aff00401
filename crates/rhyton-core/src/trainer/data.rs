//! What models are trained on: arrays, or anything that gives batches.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rhyton_ir::{Array, DType, with_data};

use crate::error::{Error, Result};
use crate::nest::Nest;
use crate::tensor::Tensor;

/// Inputs, targets and weights of some samples. All arrays have the samples along their first axis.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs of the model.
    pub x: Nest,
    /// The targets.
    pub y: Option<Nest>,
    /// How much each sample counts, for all outputs or for each.
    pub sample_weight: Option<Nest>,
}

/// How a pass over the data is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Samples a batch.
    pub batch_size: usize,
    /// A seed for a new order of the samples; `None` keeps them as they are.
    pub shuffle: Option<u64>,
    /// Which pass this is, from 0.
    pub epoch: usize,
}

/// Batches of one pass.
pub type Batches<'d> = Box<dyn Iterator<Item = Result<Batch>> + 'd>;

/// Something that can be passed over, batch by batch, as often as there are epochs.
pub trait Dataset {
    /// The batches of one pass. A data set that makes its own batches may ignore the batch size and the order asked for.
    ///
    /// # Errors
    /// If the data cannot be read, or does not fit together.
    fn batches(&self, pass: &Pass) -> Result<Batches<'_>>;

    /// How many batches a pass has, if that is known.
    fn steps(&self, batch_size: usize) -> Option<usize>;

    /// The last `fraction` of the samples, and those before.
    ///
    /// # Errors
    /// If the data is not in memory, or one of the two would be empty.
    fn split(&self, fraction: f64) -> Result<(Data, Data)> {
        let _ = fraction;
        Err(Error::argument("validation_split", "only arrays can be split", "give validation_data instead"))
    }
}

/// Data in memory.
#[derive(Clone, Debug)]
pub struct Data(Batch);

impl Data {
    /// Inputs alone, for prediction: an array, or several in a list or dictionary.
    pub fn inputs(x: impl IntoArrays) -> Data {
        Data(Batch { x: x.into_arrays(), y: None, sample_weight: None })
    }

    /// Inputs and targets.
    pub fn new(x: impl IntoArrays, y: impl IntoArrays) -> Data {
        Data(Batch { x: x.into_arrays(), y: Some(y.into_arrays()), sample_weight: None })
    }

    /// How much each sample counts.
    pub fn sample_weight(mut self, weight: impl IntoArrays) -> Data {
        self.0.sample_weight = Some(weight.into_arrays());
        self
    }

    /// From structures of tensors with values.
    pub fn from_batch(batch: Batch) -> Data {
        Data(batch)
    }

    /// All of it as one batch.
    pub fn as_batch(&self) -> &Batch {
        &self.0
    }

    /// The number of samples.
    ///
    /// # Errors
    /// If there are none, or arrays differ in it.
    pub fn samples(&self) -> Result<usize> {
        let named = |what: &'static str, nest: Option<&Nest>| -> Vec<(String, Tensor)> {
            let tensors = nest.map(Nest::tensors).unwrap_or_default();
            tensors.into_iter().enumerate().map(|(i, t)| (format!("{what}[{i}]"), t.clone())).collect()
        };
        let mut arrays = named("x", Some(&self.0.x));
        arrays.extend(named("y", self.0.y.as_ref()));
        arrays.extend(named("sample_weight", self.0.sample_weight.as_ref()));
        let mut found: Option<(String, usize)> = None;
        for (name, tensor) in arrays {
            tensor.check()?;
            let Some(n) = tensor.shape().first().and_then(|d| d.known()) else {
                let what = format!("{name} has no axis of samples");
                return Err(Error::shape("data", what, "put the samples along the first axis"));
            };
            match &found {
                Some((first, samples)) if *samples != n => {
                    return Err(Error::shape(
                        "data",
                        format!("{first} has {samples} samples but {name} has {n}"),
                        "give as many of each",
                    ));
                }
                _ => found = Some((name, n)),
            }
        }
        match found {
            Some((_, n)) if n > 0 => Ok(n),
            _ => Err(Error::argument("data", "there are no samples", "give at least one")),
        }
    }

    /// With the weight of each sample set by the class that its target names (Keras's `class_weight`).
    ///
    /// # Errors
    /// If there is not exactly one target.
    pub fn class_weight(&self, weights: &BTreeMap<usize, f64>) -> Result<Data> {
        let y = self.0.y.as_ref().ok_or_else(|| {
            Error::argument("class_weight", "the data has no targets", "give targets, or sample weights instead")
        })?;
        let y = y.single()?.eval()?;
        let classes = y.shape().get(1..).map_or(1, |s| s.iter().product::<usize>()).max(1);
        let values = y.to_f64_vec();
        let class = |row: &[f64]| -> usize {
            if row.len() == 1 {
                return row[0].round() as usize;
            }
            // The first of equals, as argmax.
            (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0)
        };
        let mut weight: Vec<f32> =
            values.chunks(classes).map(|row| weights.get(&class(row)).copied().unwrap_or(1.0) as f32).collect();
        if let Some(given) = &self.0.sample_weight {
            let given = given.single()?.eval()?.to_f64_vec();
            weight.iter_mut().zip(given).for_each(|(w, g)| *w *= g as f32);
        }
        let weight = Tensor::from(Array::new([weight.len()], weight));
        Ok(Data(Batch { sample_weight: Some(weight.into()), ..self.0.clone() }))
    }

    /// The samples at `rows`.
    pub(crate) fn rows(&self, rows: &[usize]) -> Result<Data> {
        self.select(&Rows::List(rows)).map(Data)
    }

    fn select(&self, rows: &Rows) -> Result<Batch> {
        let take = |nest: &Nest| nest.map(&mut |t| Ok(Tensor::from(rows.of(&t.eval()?))));
        Ok(Batch {
            x: take(&self.0.x)?,
            y: self.0.y.as_ref().map(take).transpose()?,
            sample_weight: self.0.sample_weight.as_ref().map(take).transpose()?,
        })
    }
}

/// Some of the samples.
enum Rows<'r> {
    Range(usize, usize),
    List(&'r [usize]),
}

impl Rows<'_> {
    fn of(&self, array: &Array) -> Array {
        match self {
            Rows::Range(0, end) if *end == array.shape()[0] => array.clone(),
            Rows::Range(start, end) => array.rows(*start, *end),
            Rows::List(rows) => array.take_rows(rows),
        }
    }
}

impl Dataset for Data {
    fn batches(&self, pass: &Pass) -> Result<Batches<'_>> {
        let samples = self.samples()?;
        let size = pass.batch_size.max(1);
        let order = pass.shuffle.map(|seed| permutation(samples, seed));
        let starts = (0..samples).step_by(size);
        Ok(Box::new(starts.map(move |start| {
            let end = (start + size).min(samples);
            match &order {
                Some(order) => self.select(&Rows::List(&order[start..end])),
                None => self.select(&Rows::Range(start, end)),
            }
        })))
    }

    fn steps(&self, batch_size: usize) -> Option<usize> {
        Some(self.samples().ok()?.div_ceil(batch_size.max(1)))
    }

    fn split(&self, fraction: f64) -> Result<(Data, Data)> {
        let samples = self.samples()?;
        let at = (samples as f64 * (1.0 - fraction)).floor() as usize;
        if !(0.0..1.0).contains(&fraction) || at == 0 || at == samples {
            return Err(Error::argument(
                "validation_split",
                format!("{fraction} of {samples} samples leaves none for training or none for validation"),
                "choose another fraction or give more samples",
            ));
        }
        Ok((Data(self.select(&Rows::Range(0, at))?), Data(self.select(&Rows::Range(at, samples))?)))
    }
}

/// Batches made by a function, for data that does not fit in memory: `epoch` to an iterator of batches.
pub struct Generated<F> {
    make: F,
    steps: Option<usize>,
}

impl<F, I> Generated<F>
where
    F: Fn(usize) -> I,
    I: Iterator<Item = Result<Batch>> + 'static,
{
    /// A data set whose pass number `epoch` is what `make(epoch)` gives.
    pub fn new(make: F) -> Generated<F> {
        Generated { make, steps: None }
    }

    /// How many batches a pass has.
    pub fn steps(mut self, steps: usize) -> Generated<F> {
        self.steps = Some(steps);
        self
    }
}

impl<F, I> Dataset for Generated<F>
where
    F: Fn(usize) -> I,
    I: Iterator<Item = Result<Batch>> + 'static,
{
    fn batches(&self, pass: &Pass) -> Result<Batches<'_>> {
        Ok(Box::new((self.make)(pass.epoch)))
    }

    fn steps(&self, _: usize) -> Option<usize> {
        self.steps
    }
}

/// A random order of `0..n` (Fisher and Yates).
pub(crate) fn permutation(n: usize, seed: u64) -> Vec<usize> {
    let mut state = seed;
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        // SplitMix64, as in `random::next_seed`.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The high half of the product: uniform but for a part in 2⁶⁴/n.
        order.swap(i, ((u128::from(z) * (i as u128 + 1)) >> 64) as usize);
    }
    order
}

/// What counts as arrays of data: an array, a list of them, or pairs of names and arrays.
pub trait IntoArrays {
    /// As a structure of tensors with values.
    fn into_arrays(self) -> Nest;
}

impl IntoArrays for Array {
    fn into_arrays(self) -> Nest {
        Nest::Tensor(narrowed(self).into())
    }
}

impl IntoArrays for &Array {
    fn into_arrays(self) -> Nest {
        self.clone().into_arrays()
    }
}

impl IntoArrays for Tensor {
    fn into_arrays(self) -> Nest {
        Nest::Tensor(self)
    }
}

impl IntoArrays for &Tensor {
    fn into_arrays(self) -> Nest {
        Nest::Tensor(self.clone())
    }
}

impl IntoArrays for Nest {
    fn into_arrays(self) -> Nest {
        self
    }
}

impl<A: IntoArrays> IntoArrays for Vec<A> {
    fn into_arrays(self) -> Nest {
        Nest::List(self.into_iter().map(A::into_arrays).collect())
    }
}

impl<A: IntoArrays, const N: usize> IntoArrays for [A; N] {
    fn into_arrays(self) -> Nest {
        Nest::List(self.into_iter().map(A::into_arrays).collect())
    }
}

impl<A: IntoArrays> IntoArrays for IndexMap<String, A> {
    fn into_arrays(self) -> Nest {
        Nest::Dict(self.into_iter().map(|(k, a)| (k, a.into_arrays())).collect())
    }
}

/// Keras feeds `float64` arrays as its `floatx`: models compute in it unless told otherwise.
fn narrowed(array: Array) -> Array {
    if array.dtype() == DType::F64 { array.cast(crate::config::floatx()) } else { array }
}

/// Whether any element is NaN or infinite.
pub fn has_non_finite(array: &Array) -> bool {
    use rhyton_ir::Element;
    array.dtype().is_float() && with_data!(array.data(), v => v.iter().any(|x| !x.to_f64().is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(n: usize) -> Data {
        let x: Vec<f32> = (0..2 * n).map(|i| i as f32).collect();
        let y: Vec<i32> = (0..n as i32).collect();
        Data::new(Array::new([n, 2], x), Array::new([n], y))
    }

    #[test]
    fn every_sample_comes_once_a_pass_and_stays_with_its_target() {
        let data = data(10);
        let pass = Pass { batch_size: 4, shuffle: Some(3), epoch: 0 };
        let mut seen = Vec::new();
        for batch in data.batches(&pass).unwrap() {
            let batch = batch.unwrap();
            let x = batch.x.single().unwrap().to_vec::<f64>().unwrap();
            let y = batch.y.unwrap().single().unwrap().to_vec::<f64>().unwrap();
            for (row, target) in x.chunks(2).zip(&y) {
                assert_eq!(row[0], 2.0 * target);
            }
            seen.extend(y);
        }
        assert_ne!(seen, (0..10).map(f64::from).collect::<Vec<_>>());
        seen.sort_by(f64::total_cmp);
        assert_eq!(seen, (0..10).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn the_split_keeps_the_last_part_for_validation() {
        let (train, validation) = data(10).split(0.25).unwrap();
        assert_eq!((train.samples().unwrap(), validation.samples().unwrap()), (7, 3));
        assert!(data(2).split(0.9).is_err());
    }

    #[test]
    fn lengths_that_differ_are_named() {
        let data = Data::new(Array::zeros(DType::F32, [3, 1]), Array::zeros(DType::F32, [4]));
        let error = data.samples().unwrap_err().to_string();
        assert!(error.contains("x[0] has 3") && error.contains("y[0] has 4"), "{error}");
    }

    #[test]
    fn class_weights_follow_labels_and_one_hot_rows() {
        let weights = BTreeMap::from([(1, 5.0)]);
        let labels = Data::new(Array::zeros(DType::F32, [2, 1]), Array::new([2], vec![0i32, 1]));
        let one_hot = Data::new(Array::zeros(DType::F32, [2, 1]), Array::new([2, 2], vec![1.0f32, 0.0, 0.0, 1.0]));
        for data in [labels, one_hot] {
            let weighted = data.class_weight(&weights).unwrap();
            let weight = weighted.as_batch().sample_weight.clone().unwrap();
            assert_eq!(weight.single().unwrap().to_vec::<f32>().unwrap(), [1.0, 5.0]);
        }
    }
}
