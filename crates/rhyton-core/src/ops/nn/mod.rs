//! Operations of neural networks: `keras.src.ops.nn`.

mod activation;
mod attention;
mod convolution;
mod crossentropy;
mod ctc;
mod encoding;
mod normalization;
mod pooling;
mod rearrangement;
mod softmax;
mod window;

use super::record::OperationClass;

pub use activation::*;
pub use attention::*;
pub use convolution::*;
pub use crossentropy::*;
pub use ctc::*;
pub use encoding::*;
pub use normalization::*;
pub use pooling::*;
pub use rearrangement::*;
pub use softmax::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.nn";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[
    activation::UNARY,
    activation::CLASSES,
    attention::CLASSES,
    convolution::CLASSES,
    crossentropy::CLASSES,
    ctc::CLASSES,
    encoding::CLASSES,
    normalization::CLASSES,
    pooling::CLASSES,
    rearrangement::CLASSES,
    softmax::CLASSES,
];
