//! `RepeatVector`: each example several times.

use rhyton_ir::op::BroadcastInDim;
use rhyton_ir::{Dim, Shape};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keras_layer;
use crate::layers::ranked::expect_rank;
use crate::layers::{Base, Context, InputShapes, Layer};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;

/// Each example `n` times.
///
/// # Shapes
/// `(batch, features)` gives `(batch, n, features)`.
///
/// # Errors
/// If `n` is 0, or the input is of another rank.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatVector {
    #[serde(skip)]
    base: Base,
    n: usize,
}

keras_layer!(RepeatVector);

impl RepeatVector {
    /// `n` times.
    pub fn new(n: usize) -> RepeatVector {
        RepeatVector { base: Base::default(), n }
    }
}

impl Layer for RepeatVector {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.n == 0 {
            return Err(Error::argument("n", "0 repetitions were asked for", "give at least 1"));
        }
        expect_rank(inputs.first()?, 2, "RepeatVector")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let shape: Shape = vec![x.dim(0), Dim::Known(self.n), x.dim(1)].into();
        Ok(Tensor::apply(BroadcastInDim { shape, axes: vec![0, 2] }, &[x]).check()?.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("repeat_vector");
    }
}
