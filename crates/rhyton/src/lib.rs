//! Keras in Rust: Keras 3's API, file formats and numbers, on an engine of its own.
//!
//! This crate is what programs depend on; [`prelude`] has what most of them use.
//!
//! ```
//! use rhyton::prelude::*;
//!
//! let ((x_train, y_train), (x_test, y_test)) = rhyton::data::datasets::digits::load()?;
//! let model = Sequential::new()
//!     .add(Input::new([8, 8, 1]))
//!     .add(Rescaling::new(1.0 / 16.0))
//!     .add(Flatten::new())
//!     .add(Dense::new(32).activation(Activation::Relu))
//!     .add(Dense::new(10));
//! model.compile(
//!     Adam::new(1e-2),
//!     SparseCategoricalCrossentropy::new().from_logits(true),
//!     [SparseCategoricalAccuracy::new()],
//! )?;
//! model.fit(&Data::new(x_train, y_train), Fit::new().epochs(3).verbose(0))?;
//! let scores = model.evaluate(&Data::new(x_test, y_test), Evaluate::new())?;
//! assert!(scores["sparse_categorical_accuracy"].number() > Some(0.8));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

/// The model zoo.
pub use rhyton_applications as applications;
pub use rhyton_core::*;
#[cfg(feature = "data")]
pub use rhyton_data as data;
/// File formats as plain codecs.
pub use rhyton_formats as formats;
/// The graph of primitive operations underneath.
pub use rhyton_ir as ir;
/// Pictures of models and of learning curves.
#[cfg(feature = "plot")]
pub use rhyton_plot as plot;

/// The README's programs, which are tests so that they stay true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
