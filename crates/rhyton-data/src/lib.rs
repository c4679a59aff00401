//! Data to train on: built-in data sets, and readers of files that hold samples.
//!
//! | Module | What |
//! | --- | --- |
//! | [`datasets`] | data sets that come with the crate, and a table of them |
//! | [`image`] | single images: files, and arrays made of them |
//! | [`image_directory`] | a directory with a folder of images for each class |
//!
//! Everything is read into host arrays, samples along the first axis, images as (samples, height, width, channels). The crate
//! knows nothing of models.

#![forbid(unsafe_code)]

pub mod datasets;
pub mod error;
pub mod image;
pub mod image_directory;

pub use error::{Error, Result};
