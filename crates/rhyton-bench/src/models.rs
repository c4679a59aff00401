//! The models of the workloads, layer by layer as in the peers' scripts.

use rhyton::applications::{EfficientNetB0, MobileNetV2, ResNet50, Xception, xception};
use rhyton::prelude::*;
use rhyton::saving::Json;

pub(crate) fn mlp() -> Result<Model> {
    Ok(Sequential::new()
        .add(Input::new([784]))
        .add(Dense::new(512).activation(Activation::Relu))
        .add(Dense::new(512).activation(Activation::Relu))
        .add(Dense::new(10)))
}

pub(crate) fn cnn() -> Result<Model> {
    Ok(Sequential::new()
        .add(Input::new([28, 28, 1]))
        .add(Conv2D::new(32, 3).activation(Activation::Relu))
        .add(Conv2D::new(64, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(128).activation(Activation::Relu))
        .add(Dense::new(10)))
}

pub(crate) fn resnet() -> Result<Model> {
    let input = Input::new([32, 32, 3]);
    let mut x = Conv2D::new(32, 3).padding(Padding::Same).call(&input);
    for (filters, stride) in [(32, 1), (64, 2), (128, 2)] {
        let y = layers::Activation::new(Activation::Relu).call(BatchNormalization::new().call(&x));
        let y = Conv2D::new(filters, 3).strides(stride).padding(Padding::Same).call(&y);
        let y = layers::Activation::new(Activation::Relu).call(BatchNormalization::new().call(&y));
        let y = Conv2D::new(filters, 3).padding(Padding::Same).call(&y);
        let shortcut = Conv2D::new(filters, 1).strides(stride).padding(Padding::Same).call(&x);
        x = Add::new().call([&y, &shortcut]);
    }
    Model::new(&input, Dense::new(10).call(GlobalAveragePooling2D::new().call(&x)))
}

pub(crate) fn lstm() -> Result<Model> {
    Ok(Sequential::new().add(Input::new([100, 64])).add(LSTM::new(128)).add(Dense::new(10)))
}

pub(crate) fn transformer() -> Result<Model> {
    let input = Input::new([128, 256]);
    let mut x = input.symbol();
    for _ in 0..2 {
        let attended = MultiHeadAttention::new(8, 32).call(Args::new(&x).and(&x));
        x = LayerNormalization::new().call(&(&x + &attended));
        let hidden = Dense::new(1024).activation(Activation::Gelu).call(&x);
        x = LayerNormalization::new().call(&(&x + &Dense::new(256).call(&hidden)));
    }
    Model::new(&input, Dense::new(10).call(GlobalAveragePooling1D::new().call(&x)))
}

/// Xception as a frozen feature extractor under a new head: only the head trains.
pub(crate) fn transfer() -> Result<Model> {
    let base = Xception::new().weights(None).input_shape([180, 180, 3]).include_top(false).build()?;
    base.set_trainable(false);
    let input = Input::new([180, 180, 3]);
    let image = xception::preprocess_input(&input.symbol());
    let x = base.call(Args::new(&image).with("training", Json::from(false)));
    let x = Dropout::new(0.2).call(GlobalAveragePooling2D::new().call(&x));
    Model::new(&input, Dense::new(10).call(&x))
}

/// Every weight of EfficientNetB0 trains.
pub(crate) fn finetune() -> Result<Model> {
    let small = EfficientNetB0::new().weights(None).input_shape([96, 96, 3]);
    small.classes(10).classifier_activation(None).build()
}

pub(crate) fn mobilenetv2() -> Result<Model> {
    MobileNetV2::new().weights(None).build()
}

pub(crate) fn efficientnetb0() -> Result<Model> {
    EfficientNetB0::new().weights(None).build()
}

pub(crate) fn xception() -> Result<Model> {
    Xception::new().weights(None).build()
}

pub(crate) fn resnet50() -> Result<Model> {
    ResNet50::new().weights(None).build()
}
