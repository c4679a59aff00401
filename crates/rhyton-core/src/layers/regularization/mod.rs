//! Regularization by noise and by penalties on activity.

mod activity_regularization;
mod alpha_dropout;
mod dropout;
mod gaussian;
mod spatial_dropout;

use rhyton_ir::{DType, Dim, Shape};

use super::{Base, LayerClass, make};
use crate::error::{Error, Result};
use crate::ops;
use crate::random;
use crate::tensor::Tensor;

pub use activity_regularization::ActivityRegularization;
pub use alpha_dropout::AlphaDropout;
pub use dropout::Dropout;
pub use gaussian::{GaussianDropout, GaussianNoise};
pub use spatial_dropout::{SpatialDropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Dropout", from_config: make::<Dropout> },
    LayerClass { name: "SpatialDropout1D", from_config: make::<SpatialDropout1D> },
    LayerClass { name: "SpatialDropout2D", from_config: make::<SpatialDropout2D> },
    LayerClass { name: "SpatialDropout3D", from_config: make::<SpatialDropout3D> },
    LayerClass { name: "GaussianNoise", from_config: make::<GaussianNoise> },
    LayerClass { name: "GaussianDropout", from_config: make::<GaussianDropout> },
    LayerClass { name: "AlphaDropout", from_config: make::<AlphaDropout> },
    LayerClass { name: "ActivityRegularization", from_config: make::<ActivityRegularization> },
];

/// Refuses what is no probability.
fn check_rate(rate: f64, name: &str) -> Result<()> {
    if !(0.0..=1.0).contains(&rate) {
        return Err(Error::argument(name, format!("{rate} is not between 0 and 1"), "give a number in [0, 1]"));
    }
    Ok(())
}

/// Truth values of `shape`, true with probability `1 − rate`.
fn kept(base: &Base, seed: Option<i64>, shape: impl Into<Shape>, rate: f64) -> Result<Tensor> {
    let generator = base.seed_generator(seed.map(|s| s as u64));
    let uniform = random::uniform(shape, 0.0, 1.0, DType::F32, &generator)?;
    ops::greater_equal(&uniform, rate).check().cloned()
}

/// `x / (1 − rate)` where an element of noise of `shape`, repeated to that of `x`, is kept, else 0.
fn drop_out(base: &Base, seed: Option<i64>, x: &Tensor, shape: impl Into<Shape>, rate: f64) -> Result<Tensor> {
    if rate >= 1.0 {
        return ops::zeros_like(x).check().cloned();
    }
    let kept = kept(base, seed, shape, rate)?;
    ops::r#where(&kept, x * (1.0 / (1.0 - rate)), 0.0).check().cloned()
}

/// The shape of noise: that of `x` where `given` leaves it open.
fn noise_shape(x: &Tensor, given: &Option<Vec<Option<usize>>>) -> Result<Shape> {
    let Some(given) = given else { return Ok(x.shape().clone()) };
    if given.len() != x.rank() || given.contains(&Some(0)) {
        return Err(Error::shape(
            "noise_shape",
            format!("{given:?} does not fit the input {}", x.shape()),
            "give one size an axis: 1 to share the noise along it, None for that of the input",
        ));
    }
    Ok(given.iter().zip(x.shape().iter()).map(|(g, d)| g.map_or_else(|| d.clone(), Dim::Known)).collect())
}
