//! Mistakes give errors that say where, what and how to fix it; none panics.

use rhyton_core::prelude::*;
use rhyton_core::saving::{load_model, model_from_json};

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

fn model() -> Model {
    let model = Sequential::new().add(Input::new([4])).add(Dense::new(3).name("first")).add(Dense::new(2).name("last"));
    model.compile(SGD::new(0.1), "mse", ["mae"]).unwrap();
    model
}

#[test]
fn a_wrong_shape_names_both_shapes_and_the_place() {
    let x = Array::zeros(DType::F32, [2, 5]);
    let text = message(model().predict(x));
    assert!(text.contains("[batch,4]") && text.contains("[2,5]"), "{text}");
    let layer = Dense::new(3).name("narrow");
    layer.call(Tensor::new([1, 4], vec![0.0f32; 4])).eval().unwrap();
    let text = message(layer.call(Tensor::new([1, 6], vec![0.0f32; 6])).eval());
    assert!(text.contains("narrow") && text.contains("[1,6]") && text.contains("[4,3]"), "{text}");
}

#[test]
fn errors_travel_through_symbols_to_the_model() {
    let input = Input::new([4]);
    let wrong = ops::add(Dense::new(3).call(&input), Dense::new(5).call(&input));
    let text = message(Model::new(&input, Dense::new(1).call(&wrong)));
    assert!(text.contains("[batch,3]") && text.contains("[batch,5]"), "{text}");
}

#[test]
fn data_that_does_not_fit_together_is_named() {
    let fit = |x: Array, y: Array| message(model().fit(&Data::new(x, y), Fit::new().verbose(0)));
    let zeros = |shape: &[usize]| Array::zeros(DType::F32, shape);
    assert!(fit(zeros(&[3, 4]), zeros(&[2, 2])).contains("x[0] has 3 samples but y[0] has 2"));
    assert!(fit(zeros(&[0, 4]), zeros(&[0, 2])).contains("no samples"));
    let text = fit(zeros(&[3, 4]), zeros(&[3, 7]));
    assert!(text.contains('7') && text.contains('2'), "{text}");
}

#[test]
fn names_that_nothing_has_are_answered_with_those_that_are_near() {
    let model = Sequential::new().add(Input::new([4])).add(Dense::new(2));
    assert!(
        message(model.compile(SGD::new(0.1), "mean_squared_eror", Vec::<&str>::new())).contains("mean_squared_eror")
    );
    assert!(message(model.compile(SGD::new(0.1), "mse", ["acuracy"])).contains("acuracy"));
    assert!(message(model.get_layer("nothing")).contains("nothing"));
    let config =
        serde_json::json!({"module": "keras.layers", "class_name": "Densee", "config": {}, "registered_name": null});
    let text = message(model_from_json(&config));
    assert!(text.contains("Densee") && text.contains("Dense"), "{text}");
}

#[test]
fn unknown_keys_of_a_configuration_are_refused_by_name() {
    let mut json = model().to_json();
    json["config"]["layers"][1]["config"]["holographic"] = true.into();
    assert!(message(model_from_json(&json)).contains("holographic"));
}

#[test]
fn what_is_not_compiled_says_so() {
    let model = Sequential::new().add(Input::new([4])).add(Dense::new(2));
    let data = Data::new(Array::zeros(DType::F32, [2, 4]), Array::zeros(DType::F32, [2, 2]));
    assert!(message(model.fit(&data, Fit::new())).contains("compile"));
    assert!(message(model.evaluate(&data, Evaluate::new())).contains("compile"));
}

#[test]
fn a_symbol_has_no_value() {
    let text = message(Dense::new(2).call(&Input::new([3])).eval());
    assert!(text.contains("symbol"), "{text}");
}

#[test]
fn files_that_are_no_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    assert!(load_model(&path).is_err());
    std::fs::write(&path, b"not a zip").unwrap();
    assert!(message(load_model(&path)).contains("model.keras"));
    assert!(message(model().save(dir.path().join("model.txt"))).contains(".keras"));
    assert!(model().save(dir.path().join("missing").join("model.keras")).is_err());
}

#[test]
fn a_damaged_file_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    model().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let damaged = dir.path().join("damaged.keras");
    let step = (bytes.len() / 60).max(1);
    for cut in (0..bytes.len()).step_by(step) {
        std::fs::write(&damaged, &bytes[..cut]).unwrap();
        assert!(load_model(&damaged).is_err(), "cut at {cut}");
        let mut flipped = bytes.clone();
        flipped[cut] ^= 0x55;
        std::fs::write(&damaged, &flipped).unwrap();
        // A flipped weight or name may still load; it must only not panic.
        let _ = load_model(&damaged);
    }
}
