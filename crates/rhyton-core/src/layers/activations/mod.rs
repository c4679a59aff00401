//! Activation functions as layers.

mod activation;
mod elu;
mod leaky_relu;
mod prelu;
mod relu;
mod softmax;

use super::{LayerClass, make};

pub use activation::Activation;
pub use elu::ELU;
pub use leaky_relu::LeakyReLU;
pub use prelu::PReLU;
pub use relu::ReLU;
pub use softmax::Softmax;

/// Every class of this folder.
pub(crate) const CLASSES: &[LayerClass] = &[
    LayerClass { name: "Activation", from_config: make::<Activation> },
    LayerClass { name: "ReLU", from_config: make::<ReLU> },
    LayerClass { name: "LeakyReLU", from_config: make::<LeakyReLU> },
    LayerClass { name: "PReLU", from_config: make::<PReLU> },
    LayerClass { name: "ELU", from_config: make::<ELU> },
    LayerClass { name: "Softmax", from_config: make::<Softmax> },
];
