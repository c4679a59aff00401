//! `Cropping1D`, `Cropping2D`, `Cropping3D`: the edges of each example cut off.

use rhyton_ir::Dim;
use rhyton_ir::op::Slice;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Margins, config_with};
use crate::nest::{Args, Nest};
use crate::saving::config_of;
use crate::tensor::Tensor;

/// Each of `N` spatial axes without its first and last elements.
///
/// # Shapes
/// `(batch, …, channels)`, each spatial size smaller by its cropping. For one axis the channels are always last.
///
/// # Errors
/// If nothing is left.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct Cropping<const N: usize> {
    #[serde(skip)]
    base: Base,
    cropping: Margins<N>,
    data_format: DataFormat,
}

/// [`Cropping`] along one axis: `(batch, steps, channels)`.
pub type Cropping1D = Cropping<1>;
/// [`Cropping`] along two axes: `(batch, height, width, channels)`.
pub type Cropping2D = Cropping<2>;
/// [`Cropping`] along three axes: `(batch, depth, height, width, channels)`.
pub type Cropping3D = Cropping<3>;

ranked_layer!(Cropping: "Cropping1D", "Cropping2D", "Cropping3D");

impl<const N: usize> Default for Cropping<N> {
    /// One element on each side of each axis; none for two axes, as in Keras.
    fn default() -> Self {
        let size = usize::from(N != 2);
        Cropping { base: Base::default(), cropping: Margins([[size; 2]; N]), data_format: DataFormat::default() }
    }
}

impl<const N: usize> Cropping<N> {
    /// Without `cropping` elements: a number for all sides, one for both sides of each axis, or pairs of before and after.
    pub fn new(cropping: impl Into<Margins<N>>) -> Self {
        Cropping { cropping: cropping.into(), ..Cropping::default() }
    }

    builders! {
        /// Where the channels are; last unless said, and always for one axis.
        data_format: DataFormat,
    }

    fn first_spatial(&self) -> usize {
        if N == 1 { 1 } else { self.data_format.first_spatial() }
    }
}

impl<const N: usize> Layer for Cropping<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let shape = inputs.first()?;
        expect_rank(shape, N + 2, "Cropping")?;
        let sizes = shape.iter().skip(self.first_spatial());
        if sizes.zip(&self.cropping.0).any(|(d, c)| d.known().is_some_and(|n| c[0].saturating_add(c[1]) >= n)) {
            return Err(Error::shape(
                "cropping",
                format!("{:?} leaves nothing of the input {shape}", self.cropping.0),
                "crop less than each size",
            ));
        }
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let mut start = vec![0; x.rank()];
        let mut limit = x.shape().clone().into_vec();
        for (i, cropping) in self.cropping.0.iter().enumerate() {
            let axis = self.first_spatial() + i;
            start[axis] = cropping[0];
            limit[axis] = x.shape()[axis].clone() - Dim::Known(cropping[1]);
        }
        let stride = vec![1; x.rank()];
        Ok(Tensor::apply(Slice { start, limit, stride }, &[x]).check()?.into())
    }

    /// For one axis there is no `data_format`.
    fn config(&self) -> Value {
        let mut own = config_of(self);
        if N == 1
            && let Value::Object(own) = &mut own
        {
            own.shift_remove("data_format");
        }
        config_with(self.name(), &self.base, own)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("cropping");
    }

    #[test]
    fn something_must_be_left() {
        let error = Cropping1D::default().call(Tensor::new([1, 2, 1], vec![0.0f32; 2])).eval().unwrap_err();
        assert!(error.to_string().contains("leaves nothing"), "{error}");
    }
}
