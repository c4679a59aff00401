//! Operations named after NumPy's: `keras.src.ops.numpy`.

mod arithmetic;
mod bitwise;
mod comparison;
mod creation;
mod cumulative;
mod einsum;
mod elementwise;
mod get_item;
mod indexing;
mod joining;
mod matmul;
mod nan;
mod pad;
mod reduction;
mod repetition;
mod selection;
mod shape;
mod sorting;
mod statistics;
mod windows;

use super::record::OperationClass;

pub use arithmetic::*;
pub use bitwise::*;
pub use comparison::*;
pub use creation::*;
pub use cumulative::*;
pub use einsum::*;
pub use elementwise::*;
pub use get_item::*;
pub use indexing::*;
pub use joining::*;
pub use matmul::*;
pub use nan::*;
pub use pad::*;
pub use reduction::*;
pub use repetition::*;
pub use selection::*;
pub use shape::*;
pub use sorting::*;
pub use statistics::*;
pub use windows::*;

/// The Python module of these operations.
pub(crate) const MODULE: &str = "keras.src.ops.numpy";

/// Every operation of this folder that configurations may name.
pub(crate) const TABLES: &[&[OperationClass]] = &[
    arithmetic::BINARY,
    bitwise::BINARY,
    bitwise::CLASSES,
    bitwise::UNARY,
    comparison::BINARY,
    comparison::CLASSES,
    creation::CLASSES,
    creation::MESHGRID,
    cumulative::CLASSES,
    einsum::CLASSES,
    elementwise::UNARY,
    elementwise::CLASSES,
    get_item::CLASSES,
    indexing::CLASSES,
    joining::CLASSES,
    matmul::BINARY,
    matmul::CLASSES,
    nan::CLASSES,
    pad::CLASSES,
    reduction::CLASSES,
    repetition::CLASSES,
    selection::CLASSES,
    shape::UNARY,
    shape::CLASSES,
    sorting::CLASSES,
    statistics::CLASSES,
    crate::ops::linalg::SLOGDET,
];
