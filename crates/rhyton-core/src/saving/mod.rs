//! Saving and loading: the form of configurations, weights, and whole models.

mod any;
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

pub use any::{AnyObject, deserialize_keras_object, serialize_keras_object};
pub(crate) use custom::registered_name;
pub use custom::{
    CustomObjectScope, CustomObjects, Family, get_custom_objects, get_registered_name, get_registered_object,
    register_keras_serializable,
};
pub use file_editor::{Comparison, KerasFileEditor};
pub use model::{KERAS_VERSION, LoadModel, load_model, load_model_with, model_from_json};
pub use object::*;
pub use registry::{Registered, registered};
pub use weight_files::{LoadWeights, SaveWeights};
pub use weights::arrays_of_hdf5;
pub use written::*;
