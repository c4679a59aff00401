//! `Permute`: axes in another order.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::ranked::expect_rank;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::ops;

/// The axes of each example in another order: axis `i` of the output is axis `dims[i]` of the input, both counted from 1.
///
/// # Shapes
/// `(batch, d₁, d₂, …)` gives `(batch, d_dims[1], d_dims[2], …)`.
///
/// # Errors
/// If `dims` is no permutation of `1..=n`, or the input has not `n` axes beside the batch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    #[serde(skip)]
    base: Base,
    dims: Vec<i64>,
}

keras_layer!(Permute);

impl Permute {
    /// To the order `dims`, counted from 1.
    pub fn new(dims: impl Into<Vec<i64>>) -> Permute {
        Permute { base: Base::default(), dims: dims.into() }
    }
}

impl Layer for Permute {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(1..=self.dims.len() as i64) {
            return Err(Error::argument(
                "dims",
                format!("{:?} is no permutation", self.dims),
                "name each axis from 1 once; the batch stays first",
            ));
        }
        expect_rank(inputs.first()?, self.dims.len() + 1, "Permute")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let axes: Vec<i64> = std::iter::once(0).chain(self.dims.iter().copied()).collect();
        Ok(ops::transpose(inputs.tensor()?, axes).check()?.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("permute");
    }

    #[test]
    fn dims_must_be_a_permutation() {
        assert!(Permute::new([1, 1]).call(Tensor::new([1, 1, 1], vec![0.0f32])).eval().is_err());
        assert!(Permute::new([2, 1]).call(Tensor::new([1, 1], vec![0.0f32])).eval().is_err());
    }
}
