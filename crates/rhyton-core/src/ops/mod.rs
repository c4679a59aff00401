//! Operations on tensors: Keras's `keras.ops`.
//!
//! An operation is a function here and, for functional models, a class that is written into configurations: called on
//! symbols, the function records a call of that class. One file an operation (or a family that differs in nothing but
//! the primitive), with its class, its function and its tests; its entry in the table of its folder makes it loadable.

pub(crate) mod class;
pub mod core;
mod einops;
#[cfg(test)]
mod fixtures;
pub mod image;
pub mod linalg;
pub mod math;
pub mod nn;
pub mod numpy;
pub(crate) mod operand;
pub(crate) mod primitives;
mod record;

pub(crate) use operand::axis;
pub use operand::{Axes, Number, Operand, Sizes};
pub use record::{Operation, OperationClass, OperationLayer, apply, apply_all};

pub use self::core::*;
pub use einops::*;
pub use linalg::*;
pub use math::*;
pub use nn::*;
pub use numpy::*;

/// All classes of operations that configurations may name.
pub(crate) fn classes() -> impl Iterator<Item = &'static OperationClass> {
    [numpy::TABLES, nn::TABLES, math::TABLES, linalg::TABLES, image::TABLES, &[einops::CLASSES], self::core::TABLES]
        .into_iter()
        .flatten()
        .copied()
        .flatten()
}
