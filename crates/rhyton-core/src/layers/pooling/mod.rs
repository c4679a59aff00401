//! Pooling.

mod adaptive_pooling;
mod global_pooling;
mod window_pooling;

use super::{LayerClass, make};

pub use adaptive_pooling::{
    AdaptiveAveragePooling, AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D,
    AdaptiveMaxPooling, AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D,
};
pub use global_pooling::{
    GlobalAveragePooling, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling,
    GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
};
pub use window_pooling::{
    AveragePooling, AveragePooling1D, AveragePooling2D, AveragePooling3D, MaxPooling, MaxPooling1D, MaxPooling2D,
    MaxPooling3D,
};

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "MaxPooling1D", from_config: make::<MaxPooling1D> },
    LayerClass { name: "MaxPooling2D", from_config: make::<MaxPooling2D> },
    LayerClass { name: "MaxPooling3D", from_config: make::<MaxPooling3D> },
    LayerClass { name: "AveragePooling1D", from_config: make::<AveragePooling1D> },
    LayerClass { name: "AveragePooling2D", from_config: make::<AveragePooling2D> },
    LayerClass { name: "AveragePooling3D", from_config: make::<AveragePooling3D> },
    LayerClass { name: "GlobalMaxPooling1D", from_config: make::<GlobalMaxPooling1D> },
    LayerClass { name: "GlobalMaxPooling2D", from_config: make::<GlobalMaxPooling2D> },
    LayerClass { name: "GlobalMaxPooling3D", from_config: make::<GlobalMaxPooling3D> },
    LayerClass { name: "GlobalAveragePooling1D", from_config: make::<GlobalAveragePooling1D> },
    LayerClass { name: "GlobalAveragePooling2D", from_config: make::<GlobalAveragePooling2D> },
    LayerClass { name: "GlobalAveragePooling3D", from_config: make::<GlobalAveragePooling3D> },
    LayerClass { name: "AdaptiveMaxPooling1D", from_config: make::<AdaptiveMaxPooling1D> },
    LayerClass { name: "AdaptiveMaxPooling2D", from_config: make::<AdaptiveMaxPooling2D> },
    LayerClass { name: "AdaptiveMaxPooling3D", from_config: make::<AdaptiveMaxPooling3D> },
    LayerClass { name: "AdaptiveAveragePooling1D", from_config: make::<AdaptiveAveragePooling1D> },
    LayerClass { name: "AdaptiveAveragePooling2D", from_config: make::<AdaptiveAveragePooling2D> },
    LayerClass { name: "AdaptiveAveragePooling3D", from_config: make::<AdaptiveAveragePooling3D> },
];
