//! The models of the workloads, layer by layer as in the peers' scripts.

use rhyton::prelude::*;

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
