//! Layers that change images at random, within models.

use rhyton_core::prelude::*;
use serde_json::json;

/// Images of two classes: dark and bright ones.
fn images(count: usize) -> Data {
    let bright = |i: usize| (i % 2) as f32;
    let x: Vec<f32> = (0..count * 8 * 8 * 3).map(|k| 60.0 + 100.0 * bright(k / 192) + (k * 37 % 41) as f32).collect();
    let y: Vec<f32> = (0..count).map(bright).collect();
    Data::new(Array::new([count, 8, 8, 3], x), Array::new([count, 1], y))
}

fn augmented() -> Model {
    Sequential::new()
        .add(Input::new([8, 8, 3]))
        .add(RandomFlip::new().seed(1))
        .add(RandomRotation::new(0.1).seed(2))
        .add(RandomColorJitter::new().brightness_factor(0.1).hue_factor(0.1).seed(3))
        .add(RandAugment::new().factor(0.2).seed(4))
        .add(Pipeline::new([RandomCrop::new(6, 6).seed(5).share(), Rescaling::new(1.0 / 255.0).share()]))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(1).activation(Activation::Sigmoid))
}

#[test]
fn a_model_learns_from_augmented_images() {
    let model = augmented();
    model.compile(Adam::new(0.2), "binary_crossentropy", ["accuracy"]).unwrap();
    // Batches of 8 and a rest of 4.
    let history = model.fit(&images(44), Fit::new().epochs(12).batch_size(8).verbose(0)).unwrap();
    let loss = history.get("loss");
    assert!(loss.iter().all(|l| l.is_finite()) && loss[11] < loss[0], "{loss:?}");
    // Whole images at inference, and the same each time.
    let x = images(4);
    let scores = |model: &Model| model.evaluate(&x, Evaluate::new().verbose(0)).unwrap()["loss"].number();
    assert_eq!(scores(&model), scores(&model));
}

#[test]
fn each_step_of_a_compiled_fit_draws_anew() {
    let model = Sequential::new()
        .add(Input::new([2, 2, 1]))
        .add(RandomBrightness::new(0.5).value_range((-10.0, 10.0)).seed(1))
        .add(Flatten::new())
        .add(Dense::new(1).kernel_initializer(Ones {}).use_bias(false));
    model.compile(SGD::new(0.0), "mse", [] as [&str; 0]).unwrap();
    let data = Data::new(Array::new([1, 2, 2, 1], vec![0.0f32; 4]), Array::new([1, 1], vec![0.0f32]));
    let history = model.fit(&data, Fit::new().epochs(6).verbose(0)).unwrap();
    let mut losses = history.get("loss");
    losses.sort_by(f64::total_cmp);
    losses.dedup();
    assert_eq!(losses.len(), 6, "{losses:?}");
}

#[test]
fn models_with_augmentation_are_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.keras");
    let model = augmented();
    model.compile(Adam::new(0.1), "binary_crossentropy", ["accuracy"]).unwrap();
    model.fit(&images(8), Fit::new().verbose(0)).unwrap();
    model.save(&path).unwrap();
    let loaded = rhyton_core::saving::load_model(&path).unwrap();
    let written = |model: &Model| model.to_json();
    assert_eq!(written(&model), written(&loaded));
    let x = Array::new([2, 8, 8, 3], (0..384).map(|i| (i % 256) as f32).collect::<Vec<f32>>());
    let predicted = |model: &Model| model.predict(&x).unwrap()[0].to_f64_vec();
    assert_eq!(predicted(&model), predicted(&loaded));
}

#[test]
fn functional_models_take_images_with_labels() {
    let (image, label) = (Input::new([4, 4, 3]).symbol(), Input::new([2]).symbol());
    let data = Nest::Dict([("images".to_owned(), (&image).into()), ("labels".to_owned(), (&label).into())].into());
    let mixed = CutMix::new().seed(1).call_many(data);
    let model = Model::new([image, label], mixed).unwrap();
    let images = Tensor::new([2, 4, 4, 3], (0..96).map(|i| i as f32).collect::<Vec<_>>());
    let labels = Tensor::new([2, 2], vec![1.0f32, 0.0, 0.0, 1.0]);
    let same = model.call_many(Args::new([&images, &labels]).with("training", json!(false)));
    assert_eq!(same[0].to_vec::<f32>().unwrap(), images.to_vec::<f32>().unwrap());
    let step = jit(|inputs| Ok(model.call_many(Args::new(inputs).with("training", json!(true)))));
    let mut seen = Vec::new();
    for _ in 0..8 {
        let outputs = step.call(&[images.clone(), labels.clone()]).unwrap();
        let shares = outputs[1].to_vec::<f32>().unwrap();
        assert!(shares.chunks(2).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-5), "{shares:?}");
        seen.push(shares);
    }
    seen.dedup();
    assert!(seen.len() > 4, "{seen:?}");
}
