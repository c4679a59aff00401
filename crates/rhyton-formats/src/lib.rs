//! The file formats that Keras users hold, as plain codecs: bytes in, arrays and strings out, and back.
//!
//! | Module | Files |
//! | --- | --- |
//! | [`npy`], [`npz`] | NumPy's `.npy` and `.npz` |
//! | [`hdf5`] | `.h5`, `.weights.h5` and the weights inside `.keras` |
//! | [`keras_archive`] | the `.keras` container |
//! | [`safetensors`] | Hugging Face's `.safetensors` |
//! | [`tfrecord`], [`tfevents`] | TFRecord files and TensorBoard's event files |
//! | [`atomic`] | replacing a file without ever leaving half of one |
//!
//! The crate knows bytes and schemas, not layers or models. A file may come from anywhere: damage, truncation and lies about
//! sizes give an [`Error`] with the place in the file, never a panic, and nothing is allocated for a size that a file merely
//! declares.
//!
//! Words: a *member* is a file inside an archive; a *dataset*, *group* and *attribute* are HDF5's.

#![forbid(unsafe_code)]

pub mod atomic;
pub mod error;
pub mod hdf5;
pub mod keras_archive;
pub mod npy;
pub mod npz;
pub mod safetensors;
pub mod tfevents;
pub mod tfrecord;

mod archive;
mod cursor;
mod elements;
mod pickle;

pub use error::{Error, Place, Result};
