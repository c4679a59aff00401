//! The models that `rhyton train --model` names.

use rhyton::applications::{self, APPLICATIONS, Application, Arguments, Weights};
use rhyton::prelude::*;

use crate::error::{Error, Result};

/// The names of the presets.
pub const PRESETS: &[&str] = &["cnn", "mlp"];

/// Whether there is a preset or an application `name`.
///
/// # Errors
/// If not.
pub fn check(name: &str) -> Result<()> {
    if PRESETS.contains(&name) || applications::find(name).is_some() { Ok(()) } else { Err(unknown(name)) }
}

fn unknown(name: &str) -> Error {
    Error::new(format!(
        "--model {name}: there is no such preset, application or file; presets are {}, applications are {}, or give a \
         .keras or .h5 file",
        PRESETS.join(" and "),
        APPLICATIONS.iter().map(|a| a.name.to_lowercase()).collect::<Vec<_>>().join(", ")
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
        other => match applications::find(other) {
            Some(found) => application(found, shape, brightest, classes),
            None => Err(unknown(other)),
        },
    }
}

/// An application with random weights, whose own preprocessing is part of the model.
fn application(found: &Application, shape: &[usize], brightest: f64, classes: usize) -> Result<Model> {
    /// The greatest value of pixels that applications expect.
    const BRIGHTEST: f64 = 255.0;
    let mut x = Input::new(shape).symbol();
    if brightest != BRIGHTEST {
        x = Rescaling::new(BRIGHTEST / brightest).call(&x);
    }
    if shape[2] == 1 {
        x = Concatenate::new().call([&x, &x, &x]); // gray as red, green and blue
    }
    let arguments = Arguments {
        weights: Weights::None,
        input_tensor: Some((found.preprocess_input)(&x)),
        input_shape: [shape[0], shape[1], shape[2].max(3)].into(),
        classes,
        ..Arguments::default()
    };
    (found.build)(arguments)
        .map_err(|e| Error::new(format!("--model {}: {e}; directories take --image-size", found.name.to_lowercase())))
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
