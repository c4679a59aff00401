//! Saving and loading: the form of configurations, weights, and whole models.

mod any;
pub(crate) mod custom;
mod model;
mod object;
mod weights;
mod written;

pub use any::{AnyObject, deserialize_keras_object, serialize_keras_object};
pub(crate) use custom::registered_name;
pub use custom::{
    CustomObjectScope, CustomObjects, Family, get_custom_objects, get_registered_name, get_registered_object,
    register_keras_serializable,
};
pub use model::{KERAS_VERSION, load_model, load_model_with, model_from_json};
pub use object::*;
pub use weights::arrays_of_hdf5;
pub use written::*;
