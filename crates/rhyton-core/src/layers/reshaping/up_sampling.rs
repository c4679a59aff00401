//! `UpSampling1D`, `UpSampling2D`, `UpSampling3D`: larger examples.

use rhyton_ir::op::{BroadcastInDim, Reshape};
use rhyton_ir::{Dim, Shape};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::ranked::expect_rank;
use crate::layers::{Base, Context, DataFormat, InputShapes, Layer, Spatial, interpolate};
use crate::nest::{Args, Nest};
use crate::tensor::Tensor;

/// How elements between those of an image are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The nearest element.
    #[default]
    Nearest,
    /// Linearly along both axes.
    Bilinear,
    /// By cubic polynomials along both axes.
    Bicubic,
    /// By a sinc window of radius 3.
    Lanczos3,
    /// By a sinc window of radius 5.
    Lanczos5,
}

impl Interpolation {
    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Lanczos3 => "lanczos3",
            Interpolation::Lanczos5 => "lanczos5",
        }
    }
}

/// Each step `size` times.
///
/// # Shapes
/// `(batch, steps, features)` gives `(batch, steps · size, features)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpSampling1D {
    #[serde(skip)]
    base: Base,
    size: usize,
}

/// Each row and column `size` times, or a larger image by interpolation.
///
/// # Shapes
/// `(batch, height, width, channels)` gives `(batch, height · size₀, width · size₁, channels)`.
///
/// # Errors
/// If a size is 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpSampling2D {
    #[serde(skip)]
    base: Base,
    size: Spatial<2>,
    data_format: DataFormat,
    interpolation: Interpolation,
}

/// Each element `size` times along three axes.
///
/// # Shapes
/// `(batch, depth, height, width, channels)`, each spatial size times `size`.
///
/// # Errors
/// If a size is 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpSampling3D {
    #[serde(skip)]
    base: Base,
    size: Spatial<3>,
    data_format: DataFormat,
}

keras_layer!(UpSampling1D);
keras_layer!(UpSampling2D);
keras_layer!(UpSampling3D);

impl Default for UpSampling1D {
    fn default() -> UpSampling1D {
        UpSampling1D::new(2)
    }
}

impl Default for UpSampling2D {
    fn default() -> UpSampling2D {
        UpSampling2D::new(2)
    }
}

impl Default for UpSampling3D {
    fn default() -> UpSampling3D {
        UpSampling3D::new(2)
    }
}

impl UpSampling1D {
    /// Each step `size` times; 2 by default.
    pub fn new(size: usize) -> UpSampling1D {
        UpSampling1D { base: Base::default(), size }
    }
}

impl UpSampling2D {
    /// `size` times as large: a number for both axes, or an array; 2 by default.
    pub fn new(size: impl Into<Spatial<2>>) -> UpSampling2D {
        UpSampling2D {
            base: Base::default(),
            size: size.into(),
            data_format: DataFormat::default(),
            interpolation: Interpolation::default(),
        }
    }

    builders! {
        /// Where the channels are; last unless said.
        data_format: DataFormat,
        /// How elements in between are found; the nearest unless said.
        interpolation: Interpolation,
    }
}

impl UpSampling3D {
    /// `size` times as large: a number for all axes, or an array; 2 by default.
    pub fn new(size: impl Into<Spatial<3>>) -> UpSampling3D {
        UpSampling3D { base: Base::default(), size: size.into(), data_format: DataFormat::default() }
    }

    builders! {
        /// Where the channels are; last unless said.
        data_format: DataFormat,
    }
}

/// Each element `sizes[i]` times along axis `first + i`.
fn repeated(x: &Tensor, first: usize, sizes: &[usize]) -> Result<Tensor> {
    // (…, n, …) as (…, n, 1, …), repeated to (…, n, size, …), merged to (…, n · size, …).
    let (mut spread, mut merged, mut axes) = (Vec::new(), Vec::new(), Vec::new());
    for (axis, d) in x.shape().iter().enumerate() {
        axes.push(spread.len());
        spread.push(d.clone());
        match axis.checked_sub(first).and_then(|i| sizes.get(i)) {
            Some(&size) => {
                spread.push(Dim::Known(size));
                merged.push(d.clone() * Dim::Known(size));
            }
            None => merged.push(d.clone()),
        }
    }
    let spread = Tensor::apply(BroadcastInDim { shape: Shape::from(spread), axes }, &[x]);
    Tensor::apply(Reshape { shape: merged.into() }, &[&spread]).check().cloned()
}

impl Layer for UpSampling1D {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        Spatial([self.size]).check_positive("size")?;
        expect_rank(inputs.first()?, 3, "UpSampling1D")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        Ok(repeated(inputs.tensor()?, 1, &[self.size])?.into())
    }
}

impl Layer for UpSampling2D {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.size.check_positive("size")?;
        expect_rank(inputs.first()?, 4, "UpSampling2D")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?;
        let first = self.data_format.first_spatial();
        if self.interpolation == Interpolation::Nearest {
            return Ok(repeated(x, first, &self.size.0)?.into());
        }
        let size = |i: usize| x.shape()[first + i].known().unwrap_or(0) * self.size.0[i];
        let y = interpolate::resize(x, [first, first + 1], [size(0), size(1)], self.interpolation, false)?;
        Ok(y.cast(x.dtype()).into())
    }
}

impl Layer for UpSampling3D {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.size.check_positive("size")?;
        expect_rank(inputs.first()?, 5, "UpSampling3D")
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        Ok(repeated(inputs.tensor()?, self.data_format.first_spatial(), &self.size.0)?.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("up_sampling");
    }

    #[test]
    fn a_size_of_0_is_refused() {
        assert!(UpSampling1D::new(0).call(Tensor::new([1, 1, 1], vec![0.0f32])).eval().is_err());
    }
}
