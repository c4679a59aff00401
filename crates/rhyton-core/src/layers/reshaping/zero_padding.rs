//! `ZeroPadding1D`, `ZeroPadding2D`, `ZeroPadding3D`: zeros around each example.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layers::builders::builders;
use crate::layers::ranked::{expect_rank, ranked_layer};
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Margins};
use crate::nest::{Args, Nest};
use crate::ops;

/// Zeros before and after each of `N` spatial axes.
///
/// # Shapes
/// `(batch, …, channels)`, each spatial size larger by its padding.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let y = ZeroPadding1D::new((1, 0)).call(&Tensor::new([1, 2, 1], vec![1.0f32, 2.0]));
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 1.0, 2.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct ZeroPadding<const N: usize> {
    #[serde(skip)]
    base: Base,
    padding: Margins<N>,
    data_format: DataFormat,
}

/// [`ZeroPadding`] along one axis: `(batch, steps, channels)`.
pub type ZeroPadding1D = ZeroPadding<1>;
/// [`ZeroPadding`] along two axes: `(batch, height, width, channels)`.
pub type ZeroPadding2D = ZeroPadding<2>;
/// [`ZeroPadding`] along three axes: `(batch, depth, height, width, channels)`.
pub type ZeroPadding3D = ZeroPadding<3>;

ranked_layer!(ZeroPadding: "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D");

impl<const N: usize> Default for ZeroPadding<N> {
    /// One zero on each side of each axis.
    fn default() -> Self {
        ZeroPadding { base: Base::default(), padding: Margins([[1; 2]; N]), data_format: DataFormat::default() }
    }
}

impl<const N: usize> ZeroPadding<N> {
    /// `padding` zeros: a number for all sides, one for both sides of each axis, or pairs of before and after.
    pub fn new(padding: impl Into<Margins<N>>) -> Self {
        ZeroPadding { padding: padding.into(), ..ZeroPadding::default() }
    }

    builders! {
        /// Where the channels are; last unless said.
        data_format: DataFormat,
    }
}

impl<const N: usize> Layer for ZeroPadding<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        expect_rank(inputs.first()?, N + 2, "ZeroPadding")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let mut width = vec![[0i64; 2]; N + 2];
        let first = self.data_format.first_spatial();
        for (w, p) in width[first..].iter_mut().zip(&self.padding.0) {
            *w = p.map(|n| n as i64);
        }
        Ok(ops::pad(inputs.tensor()?, width, "constant", None).check()?.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("zero_padding");
    }
}
