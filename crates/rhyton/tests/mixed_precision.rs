//! Training in half precision reaches what training in single precision reaches.

use rhyton::prelude::*;
use rhyton::random::set_random_seed;

/// The accuracy on the test part of the digits after some epochs, with everything made under `policy`.
fn accuracy(policy: DTypePolicy, seed: u64) -> f64 {
    DTypePolicy::set_global(policy);
    set_random_seed(seed);
    let ((x_train, y_train), (x_test, y_test)) = rhyton::data::datasets::digits::load().unwrap();
    let convolution = |filters| Conv2D::new(filters, 3).padding(Padding::Same).use_bias(false);
    let model = Sequential::new()
        .add(Input::new([8, 8, 1]))
        .add(Rescaling::new(1.0 / 16.0))
        .add(convolution(16))
        .add(BatchNormalization::new().momentum(0.9))
        .add(ReLU::new())
        .add(MaxPooling2D::new(2))
        .add(convolution(32))
        .add(BatchNormalization::new().momentum(0.9))
        .add(ReLU::new())
        .add(Dropout::new(0.2).seed(seed as i64))
        .add(GlobalAveragePooling2D::new())
        // As Keras advises: what the loss sees is single precision.
        .add(Dense::new(10).dtype(DType::F32));
    let loss = SparseCategoricalCrossentropy::new().from_logits(true);
    model.compile(Adam::new(3e-3), loss, [SparseCategoricalAccuracy::new()]).unwrap();
    let is_scaled = policy.name() == "mixed_float16";
    assert_eq!(model.optimizer().unwrap().class_name() == "LossScaleOptimizer", is_scaled);
    model.fit(&Data::new(x_train, y_train), Fit::new().epochs(10).batch_size(64).verbose(0)).unwrap();
    let scores = model.evaluate(&Data::new(x_test, y_test), Evaluate::new().verbose(0)).unwrap();
    DTypePolicy::set_global(DType::F32.into());
    scores["sparse_categorical_accuracy"].number().unwrap()
}

#[test]
fn mixed_precision_reaches_the_accuracy_of_float32_on_the_digits() {
    // One test: the policy is that of the whole program.
    let single = accuracy(DType::F32.into(), 1);
    assert!(single > 0.93, "{single}");
    for policy in [DTypePolicy::mixed(DType::F16), DTypePolicy::mixed(DType::BF16)] {
        let mixed = accuracy(policy, 1);
        // The test part has 360 digits: this is five of them.
        assert!(mixed > single - 0.015, "{} reaches {mixed}, float32 {single}", policy.name());
    }
}

#[test]
fn configurations_do_not_tell_of_the_scaling() {
    let x = Input::new([2]);
    let model = |compile: Compile| {
        let layer = Dense::new(1);
        let model = Model::new(&x, layer.call(&x)).unwrap();
        model.base().set_policy(DTypePolicy::mixed(DType::F16));
        model.compile_with(compile.loss("mse")).unwrap();
        model
    };
    let scaled = model(Compile::new(Adam::new(0.1)));
    assert_eq!(scaled.optimizer().unwrap().class_name(), "LossScaleOptimizer");
    assert_eq!(scaled.optimizer().unwrap().name(), "loss_scale_optimizer");
    assert_eq!(scaled.to_json()["compile_config"]["optimizer"]["class_name"], "Adam");
    let plain = model(Compile::new(Adam::new(0.1)).auto_scale_loss(false));
    assert_eq!(plain.optimizer().unwrap().class_name(), "Adam");
    let own = model(Compile::new(LossScaleOptimizer::new(Adam::new(0.1))));
    assert_eq!(own.to_json()["compile_config"]["optimizer"]["class_name"], "LossScaleOptimizer");
}
