//! Keras's model zoo: the networks of `keras.applications`, with Keras's arguments, layer names, weights' order and numbers.
//!
//! What it is for: networks to train from random weights, or to use and fine-tune with weights from a file. What it does not
//! do: download weights (see [`Weights::ImageNet`]).
//!
//! Words: an *application* is a function from arguments to a model; its *top* is the classifier at the end, without which it
//! extracts features; its *family* is the module that has its layers and the preprocessing of its inputs.
//!
//! ```
//! use rhyton_applications::{MobileNetV2, Pooling, mobilenet_v2};
//! use rhyton_core::prelude::*;
//!
//! let features = MobileNetV2::new().weights(None).include_top(false).input_shape([32, 32, 3]).pooling(Pooling::Avg);
//! let base = features.build()?;
//! base.set_trainable(false);
//! let image = Input::new([32, 32, 3]);
//! let x = base.call(&mobilenet_v2::preprocess_input(&image.symbol()));
//! let model = Model::new(&image, Dense::new(10).call(&x))?;
//! assert_eq!(model.trainable_weights().len(), 2);
//! # Ok::<(), rhyton_core::Error>(())
//! ```

#![forbid(unsafe_code)]

mod application;
mod arguments;
#[cfg(test)]
mod golden_test;
pub mod imagenet_utils;
mod weights;

pub mod efficientnet;
pub mod mobilenet_v2;
pub mod resnet;
pub mod xception;

pub use application::Application;
pub use arguments::{Arguments, InputShape, Pooling};
pub use efficientnet::{
    EfficientNetB0, EfficientNetB1, EfficientNetB2, EfficientNetB3, EfficientNetB4, EfficientNetB5, EfficientNetB6,
    EfficientNetB7,
};
pub use mobilenet_v2::MobileNetV2;
pub use resnet::{ResNet50, ResNet101, ResNet152};
pub use weights::Weights;
pub use xception::Xception;

/// Every application, by its name.
pub const APPLICATIONS: &[Application] = &[
    EfficientNetB0::APPLICATION,
    EfficientNetB1::APPLICATION,
    EfficientNetB2::APPLICATION,
    EfficientNetB3::APPLICATION,
    EfficientNetB4::APPLICATION,
    EfficientNetB5::APPLICATION,
    EfficientNetB6::APPLICATION,
    EfficientNetB7::APPLICATION,
    MobileNetV2::APPLICATION,
    ResNet50::APPLICATION,
    ResNet101::APPLICATION,
    ResNet152::APPLICATION,
    Xception::APPLICATION,
];

/// The application of this name, whatever its case: `ResNet50`, `resnet50`.
pub fn find(name: &str) -> Option<&'static Application> {
    APPLICATIONS.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}
