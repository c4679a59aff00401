//! Saving and loading: the form of configurations, weights, and whole models.

pub(crate) mod budget;
pub(crate) mod custom;
mod file_editor;
mod legacy;
mod model;
mod object;
mod registry;
mod stores;
mod weight_files;
mod weights;
mod written;

pub(crate) use custom::registered_name;
pub use custom::{CustomObjects, Family};
pub use file_editor::{Comparison, KerasFileEditor};
pub use model::{KERAS_VERSION, load_model, load_model_with, model_from_json};
pub use object::*;
pub use registry::{Registered, registered};
pub use weight_files::{LoadWeights, SaveWeights};
pub use weights::arrays_of_hdf5;
pub use written::*;
