//! Operations named after NumPy's: `keras.src.ops.numpy`.

mod arithmetic;
mod comparison;
mod creation;
mod cumulative;
mod einsum;
mod elementwise;
mod get_item;
mod indexing;
mod joining;
mod matmul;
mod pad;
mod reduction;
mod repetition;
mod selection;
mod shape;
mod sorting;

use super::record::OperationClass;

pub use arithmetic::*;
pub use comparison::*;
pub use creation::*;
pub use cumulative::*;
pub use einsum::*;
pub use elementwise::*;
pub use get_item::*;
pub use indexing::*;
pub use joining::*;
pub use matmul::*;
pub use pad::*;
pub use reduction::*;
pub use repetition::*;
pub use selection::*;
pub use shape::*;
pub use sorting::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.numpy";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[
    arithmetic::BINARY,
    comparison::BINARY,
    comparison::CLASSES,
    creation::CLASSES,
    cumulative::CLASSES,
    einsum::CLASSES,
    elementwise::UNARY,
    elementwise::CLASSES,
    get_item::CLASSES,
    indexing::CLASSES,
    joining::CLASSES,
    matmul::BINARY,
    matmul::CLASSES,
    pad::CLASSES,
    reduction::CLASSES,
    repetition::CLASSES,
    selection::CLASSES,
    shape::UNARY,
    shape::CLASSES,
    sorting::CLASSES,
];
