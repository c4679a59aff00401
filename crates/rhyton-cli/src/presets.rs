//! The models that `rhyton train --model` names.

use rhyton::prelude::*;

use crate::error::{Error, Result};

/// The names of the presets.
pub const PRESETS: &[&str] = &["cnn", "mlp"];

/// Whether there is a preset `name`.
///
/// # Errors
/// If not.
pub fn check(name: &str) -> Result<()> {
    if PRESETS.contains(&name) { Ok(()) } else { Err(unknown(name)) }
}

fn unknown(name: &str) -> Error {
    Error::new(format!(
        "--model {name}: there is no such preset or file; presets are {}, or give a .keras file",
        PRESETS.join(" and ")
    ))
}

/// The preset `name` for images of `shape` with values up to `brightest`, and `classes` classes.
pub fn build(name: &str, shape: &[usize], brightest: f64, classes: usize) -> Result<Model> {
    let model = Sequential::new().add(Input::new(shape)).add(Rescaling::new(1.0 / brightest));
    match name {
        "cnn" => Ok(cnn(model, shape, classes)),
        "mlp" => Ok(model
            .add(Flatten::new())
            .add(Dense::new(128).activation(Activation::Relu))
            .add(Dropout::new(0.3))
            .add(Dense::new(64).activation(Activation::Relu))
            .add(Dense::new(classes).activation(Activation::Softmax))),
        other => Err(unknown(other)),
    }
}

/// Blocks of two convolutions and a pooling, as many as the image has room for, then a classifier.
fn cnn(model: Model, shape: &[usize], classes: usize) -> Model {
    const SMALLEST: usize = 4; // a side below which pooling loses more than it gathers
    let mut side = shape[..2].iter().copied().min().unwrap_or(1);
    let mut filters = 32;
    let mut model = model;
    loop {
        for _ in 0..2 {
            model = model
                .add(Conv2D::new(filters, 3).padding(Padding::Same).use_bias(false))
                // Epochs are short: statistics must settle within one.
                .add(BatchNormalization::new().momentum(0.9))
                .add(ReLU::new());
        }
        if side < 2 * SMALLEST {
            break;
        }
        model = model.add(MaxPooling2D::new(2)).add(Dropout::new(0.2));
        side /= 2;
        filters = (2 * filters).min(256);
    }
    model
        .add(GlobalAveragePooling2D::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(classes).activation(Activation::Softmax))
}
