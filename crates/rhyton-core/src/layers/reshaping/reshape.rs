//! `Reshape`: another shape for each example.

use rhyton_ir::Shape;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::{Base, Context, Layer};
use crate::nest::{Args, Nest};
use crate::ops;

/// The same elements of each example in another shape; one size may be −1, which is computed.
///
/// # Shapes
/// `(batch, …)` gives `(batch, target_shape…)`.
///
/// # Errors
/// If the counts of elements differ.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    #[serde(skip)]
    base: Base,
    target_shape: Vec<Option<i64>>,
}

keras_layer!(Reshape);

impl Reshape {
    /// To `target_shape`, the batch not included.
    pub fn new(target_shape: impl Into<Vec<i64>>) -> Reshape {
        Reshape { base: Base::default(), target_shape: target_shape.into().into_iter().map(Some).collect() }
    }
}

impl Layer for Reshape {
    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let rest: Shape = x.shape().iter().skip(1).cloned().collect();
        let resolved = ops::resolve(&rest, &self.target_shape)?;
        let shape: Shape = std::iter::once(x.dim(0)).chain(resolved.into_vec()).collect();
        Ok(ops::reshape_to(x, shape).check()?.into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::layers::Reshape;
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("reshape");
    }

    #[test]
    fn the_count_of_elements_must_stay() {
        let error = Reshape::new([4]).call(Tensor::new([1, 3], vec![0.0f32; 3])).eval().unwrap_err();
        assert!(error.to_string().contains("differ"), "{error}");
    }
}
