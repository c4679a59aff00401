//! Saving and loading: the form of configurations, weights, and whole models.

pub(crate) mod custom;
mod model;
mod object;
mod weights;
mod written;

pub(crate) use custom::registered_name;
pub use custom::{CustomObjects, Family};
pub use model::{KERAS_VERSION, load_model, load_model_with, model_from_json};
pub use object::*;
pub use weights::arrays_of_hdf5;
pub use written::*;
