//! Keras in Rust: tensors, operations, layers, models, training and saving.
//!
//! What it is for: everything that Keras's user works with. What it does not do: compute (a back end does), read data
//! sets (`rhyton-data`) or know bytes of files (`rhyton-formats`).
//!
//! Words are Keras's: a [`layers::Layer`] has weights, which are [`Variable`]s; a model is layers applied to symbols;
//! an operation ([`ops`]) is a function of [`Tensor`]s.

#![forbid(unsafe_code)]

pub mod activations;
pub mod backend;
pub mod bounding_boxes;
pub mod callbacks;
pub mod config;
pub mod constraints;
mod dtype_policy;
mod error;
pub mod initializers;
mod jit;
pub mod layers;
pub mod losses;
pub mod metrics;
pub mod model;
pub mod naming;
mod nest;
pub mod ops;
pub mod optimizers;
pub mod preprocessing;
mod promotion;
pub mod random;
pub mod regularizers;
pub mod saving;
mod tensor;
#[cfg(test)]
mod testing;
pub mod text;
pub mod trainer;
pub mod tree;
pub mod utils;
mod variable;

pub use dtype_policy::{DTypePolicy, DTypePolicyMap};
pub use error::{Error, Report, Result};
pub use jit::{Jit, jit};
pub use naming::NameScope;
pub use nest::{Args, Nest};
pub use promotion::promote;
pub use rhyton_ir::{Array, DType, Dim, Shape, TensorType, bf16, f16};
pub use tensor::{
    Captured, Tensor, Trace, clear_cache, evaluate_all, grad, gradients, gradients_if_any, in_trace, trace_function,
    value_and_grad,
};
pub use variable::{Variable, VariableOptions};

/// What most programs use.
///
/// Names that Keras gives to two things are here what they mostly mean: `Activation` is the function (the layer is
/// [`layers::Activation`]), `MeanSquaredError` the loss (the metric is [`metrics::MeanSquaredError`]).
pub mod prelude {
    pub use crate::activations::Activation;
    pub use crate::callbacks::{
        BackupAndRestore, CSVLogger, Callback, EarlyStopping, LambdaCallback, LearningRateScheduler, Logs,
        ModelCheckpoint, ReduceLROnPlateau, Run, SwapEMAWeights, TensorBoard, TerminateOnNaN,
    };
    pub use crate::constraints::*;
    pub use crate::initializers::*;
    // Named apart, for other modules have these names, too.
    pub use crate::bounding_boxes::{BoundingBoxes, BoxFormat};
    pub use crate::layers::*;
    pub use crate::layers::{Average, Identity};
    pub use crate::losses::{
        BinaryCrossentropy, BinaryFocalCrossentropy, CTC, CategoricalCrossentropy, CategoricalFocalCrossentropy,
        CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle, CosineSimilarity, Dice, Hinge, Huber,
        KLDivergence, LogCosh, Loss, LossRef, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, Poisson, SparseCategoricalCrossentropy, SquaredHinge, Tversky,
    };
    pub use crate::metrics::*;
    pub use crate::model::{Model, Sequential};
    pub use crate::ops::Axes;
    pub use crate::optimizers::Step;
    pub use crate::optimizers::*;
    pub use crate::regularizers::*;
    pub use crate::trainer::*;
    pub use crate::{
        Args, Array, DType, DTypePolicy, Error, Nest, Result, Tensor, Variable, grad, jit, value_and_grad,
    };
    pub use crate::{callbacks, layers, losses, metrics, ops, text};
}
