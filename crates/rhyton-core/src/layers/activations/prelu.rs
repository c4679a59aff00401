//! `PReLU`: a slope below 0 that is learned.

use serde::{Deserialize, Serialize};

use crate::constraints::ConstraintRef;
use crate::error::{Error, Result};
use crate::initializers::{InitializerRef, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, size_of};
use crate::nest::{Args, Nest};
use crate::ops;
use crate::regularizers::RegularizerRef;

/// `x` from 0 on, `alpha · x` below, with a slope `alpha` for each element of an example.
///
/// # Shapes
/// The shape of the input; `alpha` has it without the batch, and with 1 along `shared_axes`.
///
/// # Errors
/// If a shared axis is not between 1 and the rank of the input.
///
/// # References
/// He, Zhang, Ren and Sun, 2015, <https://arxiv.org/abs/1502.01852>.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PReLU {
    #[serde(skip)]
    base: Base,
    alpha_initializer: InitializerRef,
    alpha_regularizer: Option<RegularizerRef>,
    alpha_constraint: Option<ConstraintRef>,
    shared_axes: Option<Vec<usize>>,
}

keras_layer!(PReLU);

impl Default for PReLU {
    fn default() -> PReLU {
        PReLU {
            base: Base::default(),
            alpha_initializer: Zeros {}.into(),
            alpha_regularizer: None,
            alpha_constraint: None,
            shared_axes: None,
        }
    }
}

impl PReLU {
    /// With slopes that start at 0.
    pub fn new() -> PReLU {
        PReLU::default()
    }

    builders! {
        /// How the slopes start; zeros unless said.
        alpha_initializer: into InitializerRef,
        /// A penalty on the slopes.
        alpha_regularizer: some RegularizerRef,
        /// What the slopes are held to.
        alpha_constraint: some ConstraintRef,
        /// The axes (from 1: the batch is 0) along which the slope is the same; none unless said.
        shared_axes: some Vec<usize>,
    }
}

impl Layer for PReLU {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let shape = inputs.first()?;
        let shared = self.shared_axes.as_deref().unwrap_or_default();
        if shared.iter().any(|&a| a == 0 || a >= shape.rank()) {
            return Err(Error::argument(
                "shared_axes",
                format!("{shared:?} are not all axes of the input {shape} other than the batch"),
                "count axes from 1",
            ));
        }
        let size = |axis: usize| if shared.contains(&axis) { Ok(1) } else { size_of(shape, axis, "PReLU") };
        self.base
            .add_weight("alpha", (1..shape.rank()).map(size).collect::<Result<Vec<_>>>()?)
            .initializer(self.alpha_initializer.clone())
            .regularizer(self.alpha_regularizer.clone())
            .constraint(self.alpha_constraint.clone())
            .add()?;
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        Ok((ops::relu(x) - self.base.weight("alpha")? * ops::relu(&-x)).into())
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("prelu");
    }

    #[test]
    fn the_batch_cannot_be_shared() {
        assert!(PReLU::new().shared_axes([0]).call(Tensor::new([1, 1], vec![1.0f32])).eval().is_err());
    }
}
