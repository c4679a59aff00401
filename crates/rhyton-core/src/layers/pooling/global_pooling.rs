//! `GlobalMaxPooling1D` to `3D` and `GlobalAveragePooling1D` to `3D`: all spatial axes reduced to one element.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, first_mask};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes};
use crate::tensor::Tensor;

/// The largest element over `N` spatial axes, channel by channel.
///
/// # Shapes
/// `(batch, …, channels)` gives `(batch, channels)`, or `(batch, 1…, channels)` with `keepdims`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct GlobalMaxPooling<const N: usize> {
    #[serde(skip)]
    base: Base,
    data_format: DataFormat,
    keepdims: bool,
}

/// The mean over `N` spatial axes, channel by channel; over one axis, steps that a mask leaves out do not count.
///
/// # Shapes
/// `(batch, …, channels)` gives `(batch, channels)`, or `(batch, 1…, channels)` with `keepdims`.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let x = Tensor::new([1, 3, 2], vec![1.0f32, 10.0, 2.0, 20.0, 6.0, 60.0]);
/// let y = GlobalAveragePooling1D::new().call(&x);
/// assert_eq!(y.to_vec::<f32>()?, [3.0, 30.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct GlobalAveragePooling<const N: usize> {
    #[serde(skip)]
    base: Base,
    data_format: DataFormat,
    keepdims: bool,
}

/// [`GlobalMaxPooling`] over one axis: `(batch, steps, channels)`.
pub type GlobalMaxPooling1D = GlobalMaxPooling<1>;
/// [`GlobalMaxPooling`] over two axes: `(batch, height, width, channels)`.
pub type GlobalMaxPooling2D = GlobalMaxPooling<2>;
/// [`GlobalMaxPooling`] over three axes: `(batch, depth, height, width, channels)`.
pub type GlobalMaxPooling3D = GlobalMaxPooling<3>;
/// [`GlobalAveragePooling`] over one axis: `(batch, steps, channels)`.
pub type GlobalAveragePooling1D = GlobalAveragePooling<1>;
/// [`GlobalAveragePooling`] over two axes: `(batch, height, width, channels)`.
pub type GlobalAveragePooling2D = GlobalAveragePooling<2>;
/// [`GlobalAveragePooling`] over three axes: `(batch, depth, height, width, channels)`.
pub type GlobalAveragePooling3D = GlobalAveragePooling<3>;

ranked_layer!(GlobalMaxPooling: "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D");
ranked_layer!(GlobalAveragePooling: "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D");

macro_rules! arguments {
    ($name:ident) => {
        impl<const N: usize> $name<N> {
            /// Over all spatial axes of channels-last input.
            pub fn new() -> Self {
                Self::default()
            }

            builders! {
                /// Where the channels are; last unless said.
                data_format: DataFormat,
                /// Whether the spatial axes stay, with size 1; they do not unless said.
                keepdims: bool,
            }
        }
    };
}
arguments!(GlobalMaxPooling);
arguments!(GlobalAveragePooling);

fn spatial<const N: usize>(format: DataFormat) -> Axes {
    let first = format.first_spatial() as i64;
    Axes::from((first..first + N as i64).collect::<Vec<_>>())
}

impl<const N: usize> Layer for GlobalMaxPooling<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        expect_rank(inputs.first()?, N + 2, "global pooling")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        Ok(ops::max(inputs.tensor()?, spatial::<N>(self.data_format), self.keepdims).into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }
}

impl<const N: usize> Layer for GlobalAveragePooling<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        expect_rank(inputs.first()?, N + 2, "global pooling")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let axes = spatial::<N>(self.data_format);
        let Some(mask) = first_mask(inputs).filter(|_| N == 1) else {
            return Ok(ops::mean(x, axes, self.keepdims).into());
        };
        let channels = self.data_format.channel_axis(3) as i64;
        let weights = ops::expand_dims(&mask.cast(rhyton_ir::DType::Bool), channels).cast(x.dtype());
        let sum = ops::sum(&ops::r#where(weights.cast(rhyton_ir::DType::Bool), x, 0.0), axes.clone(), self.keepdims);
        Ok((sum / ops::sum(&weights, axes, self.keepdims)).into())
    }

    fn is_built_at_init(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        N == 1
    }

    /// The steps are gone, and their mask with them.
    fn compute_mask(&self, _: &Args, _: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("global_pooling");
    }
}
