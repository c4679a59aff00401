//! Files: what is saved is what is loaded.

use rhyton_core::prelude::*;
use rhyton_core::random::set_random_seed;
use rhyton_core::saving::load_model;

fn data() -> Data {
    let x: Vec<f32> = (0..48).map(|i| (i as f32 * 0.37).sin()).collect();
    let y: Vec<f32> = (0..24).map(|i| (i as f32 * 0.11).cos()).collect();
    Data::new(Array::new([12, 4], x), Array::new([12, 2], y))
}

fn trained() -> Model {
    set_random_seed(11);
    let input = Input::new([4]).name("features");
    let hidden = Dense::new(5).activation(Activation::Tanh).call(&input);
    let normalized = BatchNormalization::new().call(&hidden);
    let model = Model::new(&input, Dense::new(2).call(&(&normalized + &hidden))).unwrap();
    model.compile(Adam::new(0.01), "mse", ["mae"]).unwrap();
    model.fit(&data(), Fit::new().epochs(2).shuffle(false).verbose(0)).unwrap();
    model
}

#[test]
fn a_saved_model_predicts_and_goes_on_training_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    let model = trained();
    model.save(&path).unwrap();
    let loaded = load_model(&path).unwrap();
    assert_eq!(loaded.to_json(), model.to_json());
    let x = data().as_batch().x.single().unwrap().eval().unwrap();
    assert_eq!(loaded.predict(x.clone()).unwrap(), model.predict(x).unwrap());
    let go_on = |model: &Model| {
        let history = model.fit(&data(), Fit::new().epochs(2).shuffle(false).verbose(0)).unwrap();
        (history.get("loss"), model.get_weights().unwrap())
    };
    assert_eq!(go_on(&loaded), go_on(&model));
}

#[test]
fn an_optimizer_saved_before_its_first_step_starts_from_the_weights_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    // Compiled before there are weights: the file has no slots, and this optimizer's start as copies of the weights.
    let model = Sequential::new().add(Dense::new(3)).add(Dense::new(2));
    model.compile_with(Compile::new(ScheduleFreeAdamW::new(0.1)).loss("mse")).unwrap();
    model.predict(Array::new([1, 4], vec![0.5f32; 4])).unwrap();
    assert!(!model.optimizer().unwrap().built());
    model.save(&path).unwrap();
    let loaded = load_model(&path).unwrap();
    assert!(loaded.optimizer().unwrap().built());
    let history = |model: &Model| model.fit(&data(), Fit::new().epochs(2).shuffle(false).verbose(0)).unwrap();
    assert_eq!(history(&loaded).get("loss"), history(&model).get("loss"));
}

#[test]
fn weights_alone_travel_between_models_of_one_architecture() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.weights.h5");
    let model = trained();
    model.save_weights(&path).unwrap();
    let other = trained();
    for weight in other.weights() {
        weight.assign(Array::zeros(weight.dtype(), weight.shape())).unwrap();
    }
    other.load_weights(&path).unwrap();
    assert_eq!(other.get_weights().unwrap(), model.get_weights().unwrap());
}

#[test]
fn weights_of_another_architecture_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.weights.h5");
    trained().save_weights(&path).unwrap();
    let other = Sequential::new().add(Input::new([4])).add(Dense::new(3));
    let before = other.get_weights().unwrap();
    let error = other.load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("dense") && error.contains("m.weights.h5"), "{error}");
    assert_eq!(other.get_weights().unwrap(), before);
    assert!(!other.load_weights_skipping_mismatches(&path).unwrap().is_empty());
}

#[test]
fn custom_layers_are_saved_and_found_when_named() {
    use rhyton_core::saving::{CustomObjects, load_model_with};

    #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Scale {
        #[serde(skip)]
        base: Base,
        by: f64,
    }
    rhyton_core::keras_layer!(Scale);
    impl Layer for Scale {
        fn forward(&self, inputs: &Args, _: &mut Context) -> Result<Nest> {
            Ok((inputs.tensor()? * self.by).into())
        }
        fn registered_name(&self) -> Option<String> {
            Some("Custom>Scale".into())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.keras");
    let model = Sequential::new().add(Input::new([2])).add(Scale { by: 3.0, ..Scale::default() });
    model.save(&path).unwrap();
    let error = load_model(&path).unwrap_err().to_string();
    assert!(error.contains("Custom>Scale"), "{error}");
    let loaded = load_model_with(&path, &CustomObjects::new().layer::<Scale>()).unwrap();
    assert_eq!(loaded.predict(Array::new([1, 2], vec![1.0f32, 2.0])).unwrap()[0].to_f64_vec(), [3.0, 6.0]);
}
