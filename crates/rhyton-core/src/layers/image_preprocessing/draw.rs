//! Random numbers of layers on images: one or a few for each image of a batch.

use rhyton_ir::{DType, Dim};

use super::factor::ends;
use crate::error::Result;
use crate::ops::{self, Number};
use crate::random::{self, SeedGenerator};
use crate::tensor::Tensor;

/// Numbers uniform in a range, of shape `(batch, …)`.
pub(super) fn uniform(
    images: &Tensor,
    rest: &[usize],
    (low, high): (f64, f64),
    dtype: DType,
    seed: &SeedGenerator,
) -> Result<Tensor> {
    let shape: Vec<Dim> = std::iter::once(images.dim(0)).chain(rest.iter().map(|&n| n.into())).collect();
    random::uniform(shape, low, high, dtype, seed)
}

/// For each image, whether the layer acts, `(batch)`: a probability is drawn from `factor`, and then whether it
/// happens.
pub(super) fn happens(images: &Tensor, factor: [Number; 2], seed: &SeedGenerator) -> Result<Tensor> {
    let probability = uniform(images, &[], ends(factor), DType::F32, seed)?;
    let threshold = uniform(images, &[], (0.0, 1.0), DType::F32, seed)?;
    ops::less(threshold, probability).check().cloned()
}

/// −1 or 1, each half the time, of shape `(batch, …)`.
pub(super) fn sign(images: &Tensor, rest: &[usize], dtype: DType, seed: &SeedGenerator) -> Result<Tensor> {
    let number = uniform(images, rest, (0.0, 1.0), DType::F32, seed)?;
    let one = ops::ones_like(&number);
    ops::r#where(ops::greater(number, 0.5), -&one, one).check().map(|t| t.cast(dtype))
}

/// `(batch)` as `(batch, 1, 1, 1)`, which broadcasts over images.
pub(super) fn over_pixels(x: &Tensor) -> Tensor {
    ops::expand_dims(x, [1, 2, 3])
}
