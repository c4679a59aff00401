//! `Normalization`: features brought to mean 0 and variance 1 by statistics of the data.

use rhyton_ir::{Array, DType, Dim, Shape};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::initializers::{Ones, Zeros};
use crate::keras_layer;
use crate::layers::builders::builders;
use crate::layers::{Base, Context, InputShapes, Layer, build_layer, size_of};
use crate::nest::{Args, Nest};
use crate::ops::{self, Axes, Operand};
use crate::tensor::Tensor;

/// `y = (x − mean) / max(√variance, 1e-7)`, or with `invert` `mean + x · max(√variance, 1e-7)`.
///
/// Mean and variance are given, or found from data by [`adapt`](Normalization::adapt): one for each index of `axis`.
///
/// # Shapes
/// The shape of the input; the weights `mean` and `variance` have the sizes of `axis`.
///
/// # Errors
/// If only one of mean and variance is given.
///
/// # Examples
/// ```
/// use rhyton_core::prelude::*;
///
/// let layer = Normalization::new();
/// layer.adapt(&Array::new([2, 1], vec![1.0f32, 3.0]))?;
/// assert_eq!(layer.call(&Tensor::new([1, 1], vec![4.0f32])).to_vec::<f32>()?, [2.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Normalization {
    #[serde(skip)]
    base: Base,
    /// `()` for none.
    #[serde(deserialize_with = "axes")]
    axis: Vec<i64>,
    invert: bool,
    mean: Value,
    variance: Value,
}

keras_layer!(Normalization);

/// One axis, several, or `null` for none.
fn axes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    Ok(match Axes::deserialize(deserializer)? {
        Axes::All => Vec::new(),
        Axes::One(axis) => vec![axis],
        Axes::Many(axes) => axes,
    })
}

impl Default for Normalization {
    fn default() -> Normalization {
        Normalization { base: Base::default(), axis: vec![-1], invert: false, mean: Value::Null, variance: Value::Null }
    }
}

impl Normalization {
    /// One mean and variance for each feature of the last axis.
    pub fn new() -> Normalization {
        Normalization::default()
    }

    /// The axes whose indices have statistics of their own; the last unless said, [`Axes::All`] for none.
    pub fn axis(mut self, axis: impl Into<Axes>) -> Normalization {
        self.axis = match axis.into() {
            Axes::All => Vec::new(),
            Axes::One(axis) => vec![axis],
            Axes::Many(axes) => axes,
        };
        self
    }

    /// The mean, one for each index of `axis`; found by `adapt` unless said.
    pub fn mean(mut self, mean: impl Into<Vec<f64>>) -> Normalization {
        self.mean = mean.into().into();
        self
    }

    /// The variance, one for each index of `axis`; found by `adapt` unless said.
    pub fn variance(mut self, variance: impl Into<Vec<f64>>) -> Normalization {
        self.variance = variance.into().into();
        self
    }

    builders! {
        /// Whether to undo the normalization; not unless said.
        invert: bool,
    }

    /// Whether mean and variance were given.
    pub(super) fn is_given(&self) -> bool {
        !self.mean.is_null()
    }

    /// The axes that have statistics, ascending.
    fn kept(&self, rank: usize) -> Result<Vec<usize>> {
        let mut kept = Axes::Many(self.axis.clone()).resolve(rank)?;
        kept.sort_unstable();
        Ok(kept)
    }

    /// Finds mean and variance from data, batch first, and builds the layer for its shape.
    ///
    /// # Errors
    /// If mean and variance were given; if there is no data, or it does not fit the shape for which the layer was built.
    pub fn adapt(&self, data: &Array) -> Result<()> {
        if self.is_given() {
            return Err(Error::argument("adapt", "mean and variance were given", "make the layer without them"));
        }
        if data.is_empty() {
            return Err(Error::argument("adapt", "there is no data", "pass at least one example"));
        }
        let shape = Shape::from(data.shape());
        build_layer(self, &InputShapes::one(shape))?;
        let kept = self.kept(data.rank())?;
        let reduced: Vec<i64> = (0..data.rank()).filter(|a| !kept.contains(a)).map(|a| a as i64).collect();
        let x = Tensor::from(data.clone());
        let x = if x.dtype().is_float() { x } else { x.cast(DType::F32) };
        let mean = ops::mean(&x, reduced.clone(), false);
        let variance = ops::var(&x, reduced, false);
        self.base.variable("mean")?.assign(Tensor::from(mean.eval()?))?;
        self.base.variable("variance")?.assign(Tensor::from(variance.eval()?))
    }

    /// A statistic in the shape in which it broadcasts over an input of `shape`.
    fn statistic(&self, name: &str, given: &Value, shape: &Shape) -> Result<Tensor> {
        let kept = self.kept(shape.rank())?;
        let mut aligned = vec![Dim::Known(1); shape.rank()];
        let value = if self.is_given() {
            let value = Operand::from_nest(&Nest::Plain(given.clone()))?.to_tensor(self.base.compute_dtype());
            // As many axes as there are, the last first.
            for (&axis, d) in kept.iter().rev().zip(value.shape().iter().rev()) {
                aligned[axis] = d.clone();
            }
            value
        } else {
            for &axis in &kept {
                aligned[axis] = shape[axis].clone();
            }
            self.base.weight(name)?.cast(self.base.compute_dtype())
        };
        ops::reshape_to(&value, aligned).check().cloned()
    }
}

impl Layer for Normalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.mean.is_null() != self.variance.is_null() {
            return Err(Error::argument("mean", "only one of mean and variance is given", "give both, or none"));
        }
        let shape = inputs.first()?;
        let kept = self.kept(shape.rank())?;
        let sizes = kept.iter().map(|&axis| size_of(shape, axis, "Normalization")).collect::<Result<Vec<_>>>()?;
        if self.is_given() {
            return Ok(());
        }
        self.base.add_weight("mean", sizes.clone()).initializer(Zeros {}).trainable(false).add()?;
        self.base.add_weight("variance", sizes).initializer(Ones {}).trainable(false).add()?;
        self.base.add_weight("count", []).initializer(Zeros {}).dtype(DType::I64).trainable(false).add()?;
        Ok(())
    }

    fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
        let x = inputs.tensor()?.cast(self.base.compute_dtype());
        let mean = self.statistic("mean", &self.mean, x.shape())?;
        let variance = self.statistic("variance", &self.variance, x.shape())?;
        let deviation = ops::maximum(ops::sqrt(&variance), 1e-7);
        let y = if self.invert { mean + x * deviation } else { (x - mean) / deviation };
        Ok(y.check()?.into())
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Call;
    use crate::testing::check_layer;

    #[test]
    fn agrees_with_keras() {
        check_layer("normalization");
    }

    #[test]
    fn adapting_finds_mean_and_variance_over_all_other_axes() {
        let layer = Normalization::new();
        layer.adapt(&Array::new([2, 2, 2], vec![1i32, 10, 3, 20, 5, 30, 7, 40])).unwrap();
        assert_eq!(layer.weights()[0].value().to_vec::<f32>().unwrap(), [4.0, 25.0]);
        assert_eq!(layer.weights()[1].value().to_vec::<f32>().unwrap(), [5.0, 125.0]);
        assert!(layer.adapt(&Array::new([0, 2], Vec::<f32>::new())).is_err());
    }

    #[test]
    fn mean_and_variance_go_together() {
        assert!(Normalization::new().mean([1.0]).call(Tensor::new([1, 1], vec![1.0f32])).eval().is_err());
    }
}
