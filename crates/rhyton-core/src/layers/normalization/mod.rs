//! Normalization.

mod batch_normalization;
mod group_normalization;
mod layer_normalization;
mod rms_normalization;
mod spectral_normalization;
mod unit_normalization;

use rhyton_ir::Shape;

use super::{Base, LayerClass, make, size_of};
use crate::error::Result;
use crate::ops::{self, Axes};

pub use batch_normalization::BatchNormalization;
pub use group_normalization::GroupNormalization;
pub use layer_normalization::LayerNormalization;
pub use rms_normalization::RMSNormalization;
pub use spectral_normalization::SpectralNormalization;
pub use unit_normalization::UnitNormalization;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "BatchNormalization", from_config: make::<BatchNormalization> },
    LayerClass { name: "LayerNormalization", from_config: make::<LayerNormalization> },
    LayerClass { name: "GroupNormalization", from_config: make::<GroupNormalization> },
    LayerClass { name: "RMSNormalization", from_config: make::<RMSNormalization> },
    LayerClass { name: "UnitNormalization", from_config: make::<UnitNormalization> },
    LayerClass { name: "SpectralNormalization", from_config: make::<SpectralNormalization> },
];

/// The sizes of `axes` of `shape`, ascending by the axes as they are given: negative ones first, as in Keras, which then reads the
/// weights in the order of the axes of the input.
fn sizes_along(shape: &Shape, axes: &Axes, layer: &str) -> Result<Vec<usize>> {
    let resolved = axes.resolve(shape.rank())?;
    let Axes::Many(given) = axes else {
        return resolved.into_iter().map(|axis| size_of(shape, axis, layer)).collect();
    };
    let mut given = given.clone();
    given.sort_unstable();
    given.into_iter().map(|axis| size_of(shape, ops::axis(axis, shape.rank())?, layer)).collect()
}

/// The axes as a layer writes them: as given until it is built, then as an ascending list.
fn built_axis(base: &Base, axis: &Axes) -> Axes {
    match axis {
        Axes::One(axis) if base.built() => Axes::Many(vec![*axis]),
        Axes::Many(axes) if base.built() => {
            let mut axes = axes.clone();
            axes.sort_unstable();
            Axes::Many(axes)
        }
        other => other.clone(),
    }
}
