//! Changes of shape.

mod cropping;
mod flatten;
mod permute;
mod repeat_vector;
mod reshape;
mod up_sampling;
mod zero_padding;

use super::{LayerClass, make};

pub use cropping::{Cropping, Cropping1D, Cropping2D, Cropping3D};
pub use flatten::Flatten;
pub use permute::Permute;
pub use repeat_vector::RepeatVector;
pub use reshape::Reshape;
pub use up_sampling::{Interpolation, UpSampling1D, UpSampling2D, UpSampling3D};
pub use zero_padding::{ZeroPadding, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Flatten", from_config: make::<Flatten> },
    LayerClass { name: "Reshape", from_config: make::<Reshape> },
    LayerClass { name: "Permute", from_config: make::<Permute> },
    LayerClass { name: "RepeatVector", from_config: make::<RepeatVector> },
    LayerClass { name: "ZeroPadding1D", from_config: make::<ZeroPadding1D> },
    LayerClass { name: "ZeroPadding2D", from_config: make::<ZeroPadding2D> },
    LayerClass { name: "ZeroPadding3D", from_config: make::<ZeroPadding3D> },
    LayerClass { name: "Cropping1D", from_config: make::<Cropping1D> },
    LayerClass { name: "Cropping2D", from_config: make::<Cropping2D> },
    LayerClass { name: "Cropping3D", from_config: make::<Cropping3D> },
    LayerClass { name: "UpSampling1D", from_config: make::<UpSampling1D> },
    LayerClass { name: "UpSampling2D", from_config: make::<UpSampling2D> },
    LayerClass { name: "UpSampling3D", from_config: make::<UpSampling3D> },
];
