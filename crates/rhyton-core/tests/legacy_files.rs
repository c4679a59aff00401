//! Files of Keras's legacy format and sharded weights, read and written. The expected values are of Keras 3.15 and, for
//! `keras2*`, of Keras 2 (`fixtures/make_saving.py`); `fixtures/check_saving.py` shows that Keras reads what is written here.

use std::path::PathBuf;

use rhyton_core::prelude::*;
use rhyton_core::saving::{LoadWeights, SaveWeights, load_model, model_from_json};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/saving").join(name)
}

fn expected(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[name].clone()
}

/// As `ramp` in `fixtures/make_saving.py`.
fn ramp(shape: &[usize], scale: f64) -> Array {
    let len: usize = shape.iter().product();
    Array::new(shape, (0..len).map(|i| ((i as f64 * 0.37).sin() * scale * 10.0) as f32).collect::<Vec<_>>())
}

fn tokens() -> Array {
    Array::new([4, 5], (0..20).map(|i| i % 7).collect::<Vec<i32>>())
}

fn two_inputs() -> Data {
    let (a, b) = (Tensor::from(ramp(&[8, 4], 0.1)), Tensor::from(ramp(&[8, 4], 0.2)));
    Data::inputs(Nest::List(vec![a.into(), b.into()]))
}

fn assert_outputs(name: &str, outputs: &[Array]) {
    let expected = expected(name);
    let expected = expected["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), expected.len());
    for (output, expected) in outputs.iter().zip(expected) {
        let values = output.to_f64_vec();
        assert_eq!(values.len(), expected.as_array().unwrap().len());
        for (value, expected) in values.iter().zip(expected.as_array().unwrap()) {
            let expected = expected.as_f64().unwrap();
            assert!((value - expected).abs() < 1e-5, "{name}: {value} is not {expected}");
        }
    }
}

fn predict(model: &Model, data: &Data) -> Vec<Array> {
    model.predict_with(data, rhyton_core::trainer::Predict::new()).unwrap()
}

#[test]
fn a_whole_model_of_keras_3_is_read_with_its_compilation_and_optimizer() {
    let model = load_model(fixture("keras3.h5")).unwrap();
    assert_outputs("keras3.h5", &predict(&model, &two_inputs()));
    let about = expected("keras3.h5");
    let mut batch = two_inputs().as_batch().clone();
    batch.y = Some(Tensor::from(ramp(&[8, 2], 0.1)).into());
    let scores = model.evaluate(&Data::from_batch(batch), Evaluate::new().verbose(0)).unwrap();
    for (name, value) in about["scores"].as_object().unwrap() {
        // Reading this format, Keras calls a metric that was given by name as its class.
        let name = if name == "mae" { "mean_absolute_error" } else { name };
        assert!((scores[name].number().unwrap() - value.as_f64().unwrap()).abs() < 1e-5, "{name}: {scores:?}");
    }
    let optimizer = model.optimizer().unwrap();
    assert_eq!(optimizer.iterations().array().unwrap().to_f64_vec(), [about["iterations"].as_f64().unwrap()]);
    let slots = optimizer.variables();
    assert!(slots.iter().any(|v| v.path().ends_with("shared_kernel_velocity")));
    assert!(
        slots.iter().all(|v| v.array().unwrap().to_f64_vec().iter().any(|&x| x != 0.0)),
        "the slots are those of the file"
    );
}

#[test]
fn recurrent_models_of_keras_3_are_read() {
    let model = load_model(fixture("keras3_rnn.h5")).unwrap();
    assert_outputs("keras3_rnn.h5", &model.predict(tokens()).unwrap());
    assert!(!model.layers().last().unwrap().base().trainable());
}

#[test]
fn models_of_keras_2_are_read() {
    let model = load_model(fixture("keras2.h5")).unwrap();
    assert_outputs("keras2.h5", &predict(&model, &two_inputs()));
    let mut batch = two_inputs().as_batch().clone();
    let labels = Array::new([8, 1], (0..8).map(|i| (i % 2) as f32).collect::<Vec<_>>());
    batch.y = Some(Nest::List(vec![Tensor::from(ramp(&[8, 2], 0.1)).into(), Tensor::from(labels).into()]));
    let scores = model.evaluate(&Data::from_batch(batch), Evaluate::new().verbose(0)).unwrap();
    for (name, value) in expected("keras2.h5")["scores"].as_object().unwrap() {
        // Keras 2 saves metrics under names that say the output already; Keras 3 says it once more.
        let (output, rest) = name.split_once('_').unwrap_or(("", name));
        let name = if output.is_empty() || rest == "loss" { name.clone() } else { format!("{output}_{name}") };
        assert!((scores[name.as_str()].number().unwrap() - value.as_f64().unwrap()).abs() < 1e-5, "{name}: {scores:?}");
    }

    let model = load_model(fixture("keras2_rnn.h5")).unwrap();
    assert_outputs("keras2_rnn.h5", &model.predict(tokens()).unwrap());
    let model = load_model(fixture("keras2_cnn.h5")).unwrap();
    assert_outputs("keras2_cnn.h5", &model.predict(ramp(&[2, 6, 6, 2], 0.1)).unwrap());
}

#[test]
fn optimizers_of_keras_2_go_on_where_they_were() {
    // Of each weight the momentum and the velocity follow each other, behind the iteration; the rate is in the configuration.
    let model = load_model(fixture("keras2.h5")).unwrap();
    let optimizer = model.optimizer().unwrap();
    assert_eq!(optimizer.iterations().array().unwrap().to_f64_vec(), [1.0]);
    let variables = optimizer.variables();
    assert!((variables[1].array().unwrap().to_f64_vec()[0] - 0.01).abs() < 1e-7);
    for pair in variables[2..].chunks(2) {
        let [momentum, velocity] = [0, 1].map(|i: usize| pair[i].array().unwrap().to_f64_vec());
        // After one step they are 0.1 g and 0.001 g².
        for (m, v) in momentum.iter().zip(velocity) {
            assert!(*m != 0.0 && (0.1 * m * m - v).abs() <= 1e-4 * v, "{}: {m} {v}", pair[0].path());
        }
    }

    let model = load_model(fixture("keras2_old_adam.h5")).unwrap();
    assert_outputs("keras2_old_adam.h5", &model.predict(ramp(&[2, 3], 0.1)).unwrap());
    let variables = model.optimizer().unwrap().variables();
    let about = expected("keras2_old_adam.h5");
    let slots = about["slots"].as_array().unwrap().iter().flat_map(|kinds| kinds.as_array().unwrap());
    assert_eq!(variables.len(), 2 + slots.clone().count());
    for (variable, slot) in variables[2..].iter().zip(slots) {
        let slot: Vec<f64> = match slot[0].is_array() {
            true => slot
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|row| row.as_array().unwrap())
                .map(|v| v.as_f64().unwrap())
                .collect(),
            false => slot.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect(),
        };
        for (a, b) in variable.array().unwrap().to_f64_vec().iter().zip(&slot) {
            assert!((a - b).abs() < 1e-9, "{}: {a} {b}", variable.path());
        }
    }
}

#[test]
fn the_json_of_keras_2_makes_the_model_and_its_weights_fit_by_order_and_by_name() {
    let json: Value = serde_json::from_str(&std::fs::read_to_string(fixture("keras2.json")).unwrap()).unwrap();
    for options in [LoadWeights::new(), LoadWeights::new().by_name(true)] {
        let model = model_from_json(&json).unwrap();
        model.load_weights_with(fixture("keras2_weights.h5"), options.clone()).unwrap();
        assert_outputs("keras2.h5", &predict(&model, &two_inputs()));
        // The weights in a file of a whole model.
        let model = model_from_json(&json).unwrap();
        model.load_weights_with(fixture("keras2.h5"), options).unwrap();
        assert_outputs("keras2.h5", &predict(&model, &two_inputs()));
    }
}

#[test]
fn layers_that_the_file_does_not_name_or_that_do_not_fit_stay_as_they_are() {
    let input = Input::new([4]);
    let hidden = Dense::new(3).name("shared").call(&input);
    let model = Model::new(&input, Dense::new(5).name("y").call(Dense::new(7).name("new").call(&hidden))).unwrap();
    let before = model.get_weights().unwrap();
    let path = fixture("keras2_weights.h5");
    let error = model.load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("keras2_weights.h5") && error.contains("layers with weights"), "{error}");
    let error = model.load_weights_with(&path, LoadWeights::new().by_name(true)).unwrap_err().to_string();
    assert!(error.contains("/y/kernel") && error.contains("[7, 5]") && error.contains("[6, 2]"), "{error}");
    assert_eq!(model.get_weights().unwrap(), before);
    let skipped = model.load_weights_with(&path, LoadWeights::new().by_name(true).skip_mismatch(true)).unwrap();
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    let after = model.get_weights().unwrap();
    assert!(after[0] != before[0] && after[2..] == before[2..]);
}

#[test]
fn sharded_weights_of_keras_are_read() {
    let model = load_model(fixture("keras3_rnn.h5")).unwrap();
    for weight in model.weights() {
        weight.assign(Array::zeros(weight.dtype(), weight.shape())).unwrap();
    }
    model.load_weights(fixture("shards.weights.json")).unwrap();
    assert_outputs("shards.weights.json", &model.predict(tokens()).unwrap());
}

/// Where files are written: `RHYTON_WRITE`, for `fixtures/check_saving.py`, or a temporary folder.
fn output() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let path = std::env::var_os("RHYTON_WRITE").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    (temporary, path)
}

#[test]
fn whole_models_are_written_and_read_back_with_their_optimizers() {
    let (_temporary, folder) = output();
    for name in ["keras3.h5", "keras3_rnn.h5", "keras2.h5", "keras2_rnn.h5", "keras2_cnn.h5"] {
        let model = load_model(fixture(name)).unwrap();
        let path = folder.join(name);
        model.save(&path).unwrap();
        let again = load_model(&path).unwrap();
        assert_eq!(again.to_json(), model.to_json(), "{name}");
        assert_eq!(again.get_weights().unwrap(), model.get_weights().unwrap());
        let state =
            |m: &Model| m.optimizer().map(|o| o.variables().iter().map(|v| v.array().unwrap()).collect::<Vec<_>>());
        assert_eq!(state(&again), state(&model));
    }
}

#[test]
fn sharded_weights_are_written_as_keras_writes_them() {
    let (_temporary, folder) = output();
    let model = load_model(fixture("keras3_rnn.h5")).unwrap();
    let index = folder.join("shards.weights.json");
    let options = SaveWeights::new().max_shard_size(200.0 / f64::from(1 << 30));
    model.save_weights_with(&index, options).unwrap();
    let read = |path: &PathBuf| serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (ours, keras) = (read(&index), read(&fixture("shards.weights.json")));
    assert_eq!(ours["metadata"], keras["metadata"]);
    // Keras goes through the parts of a layer by the alphabet, so that others share a file.
    let keys = |map: &Value| {
        let mut keys: Vec<String> = map["weight_map"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&ours), keys(&keras));
    assert_eq!(ours["weight_map"]["/layers/embedding/vars"], keras["weight_map"]["/layers/embedding/vars"]);
    let weights = model.get_weights().unwrap();
    model.set_weights(&weights.iter().map(|w| Array::zeros(w.dtype(), w.shape())).collect::<Vec<_>>()).unwrap();
    model.load_weights(&index).unwrap();
    assert_eq!(model.get_weights().unwrap(), weights);
    let error = model
        .save_weights_with(folder.join("n.weights.json"), SaveWeights::new().max_shard_size(1e-9))
        .unwrap_err()
        .to_string();
    assert!(error.contains("max_shard_size") && error.contains("allow larger shards"), "{error}");
    let elsewhere = tempfile::tempdir().unwrap();
    let index = elsewhere.path().join("shards.weights.json");
    std::fs::copy(folder.join("shards.weights.json"), &index).unwrap();
    let error = model.load_weights(&index).unwrap_err().to_string();
    assert!(error.contains("shards_00000.weights.h5"), "{error}");
}

#[test]
fn an_index_that_leads_to_other_folders_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = load_model(fixture("keras3_rnn.h5")).unwrap();
    for (text, told) in [
        (r#"{"weight_map": {"/vars": "../x.weights.h5"}}"#, "no file beside the index"),
        (r#"{"weight_map": {"/vars": [3]}}"#, "no file beside the index"),
        (r#"{"metadata": {}}"#, "weight_map"),
        ("{", "EOF"),
    ] {
        let index = folder.path().join("bad.weights.json");
        std::fs::write(&index, text).unwrap();
        let error = model.load_weights(&index).unwrap_err().to_string();
        assert!(error.contains("bad.weights.json") && error.contains(told), "{error}");
    }
}

#[test]
fn chosen_layers_and_the_optimizer_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.weights.h5");
    let make = || {
        let model = Sequential::new().add(Input::new([4])).add(Dense::new(3)).add(Dense::new(2));
        model.compile(Adam::new(0.1), "mse", [""; 0]).unwrap();
        model
    };
    let (saved, other) = (make(), make());
    let last = saved.layers()[1].clone();
    saved.save_weights_with(&path, SaveWeights::new().skip(&last).skip_optimizer()).unwrap();
    let error = other.load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("layers/dense_1/vars") && error.contains("the file holds 0"), "{error}");
    let before = other.get_weights().unwrap();
    let skip = LoadWeights::new().skip(&other.layers()[1]).skip_optimizer();
    assert!(other.load_weights_with(&path, skip.clone()).unwrap().is_empty());
    let after = other.get_weights().unwrap();
    assert!(after[..2] == saved.get_weights().unwrap()[..2] && after[2..] == before[2..]);
    for (name, options, told) in [
        ("m.weights.h5", LoadWeights::new().by_name(true), "by_name"),
        ("m.keras", skip.clone(), "skipped"),
        ("m.h5", skip, "skipped"),
        ("m.npz", LoadWeights::new(), "ending"),
    ] {
        let error = other.load_weights_with(folder.path().join(name), options).unwrap_err().to_string();
        assert!(error.contains(told), "{name}: {error}");
    }
}

#[test]
fn operations_between_layers_survive_though_the_format_has_no_modules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operations.h5");
    let input = Input::new([3]);
    let hidden = Dense::new(3).call(&input);
    let scaled = ops::relu(&(&hidden * 2.0));
    let merged = Multiply::new().call([&scaled, &hidden]);
    let model = Model::new(&input, &merged + &hidden).unwrap();
    model.save(&path).unwrap();
    let loaded = load_model(&path).unwrap();
    assert_eq!(loaded.to_json(), model.to_json());
    let x = ramp(&[4, 3], 0.3);
    assert_eq!(loaded.predict(x.clone()).unwrap(), model.predict(x).unwrap());
}

#[test]
fn damaged_legacy_files_name_the_file_the_place_and_what_to_do() {
    use rhyton_formats::hdf5::H5Writer;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.h5");
    let told = |file: H5Writer, what: &[&str]| {
        file.write(&path).unwrap();
        let error = load_model(&path).err().unwrap().to_string();
        assert!(error.contains("bad.h5") && what.iter().all(|w| error.contains(w)), "{error}");
    };
    let with = |config: &str| {
        let mut file = H5Writer::new();
        file.attribute("/", "model_config", config).unwrap();
        file
    };
    let dense = r#"{"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 2], "dtype": "float32", "name": "x"}},
        {"class_name": "Dense", "config": {"name": "d", "trainable": true, "units": 2}}]}}"#;
    told(H5Writer::new(), &["model_config", "load_weights"]);
    told(with("{"), &["model_config", "EOF"]);
    told(with("[1]"), &["not a serialized object"]);
    told(with(r#"{"class_name": "Densest", "config": {"units": 2}}"#), &["did you mean Dense"]);
    told(with(dense), &["model_weights"]);
    told(with(&dense.replace("\"units\"", "\"time_major\": true, \"units\"")), &["time_major"]);
    let mut file = with(dense);
    file.attribute("model_weights", "layer_names", &["d"][..]).unwrap();
    told(file.clone(), &["model_weights/d"]);
    file.attribute("model_weights/d", "weight_names", &["kernel:0", "bias:0"][..]).unwrap();
    told(file.clone(), &["model_weights/d/kernel:0"]);
    file.dataset("model_weights/d/kernel:0", Array::zeros(DType::F32, [2, 3])).unwrap();
    file.dataset("model_weights/d/bias:0", Array::zeros(DType::F32, [2])).unwrap();
    told(file, &["model_weights/d/kernel:0", "[2, 3]", "[2, 2]"]);
}

#[test]
fn thousands_of_names_are_split_over_several_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.h5");
    let model = Sequential::new().add(Input::new([1]));
    let model = (0..4100).fold(model, |model, i| model.add(Identity::new().name(&format!("layer_{i}"))));
    let model = model.add(Dense::new(1).name("last"));
    model.save(&path).unwrap();
    let file = rhyton_formats::hdf5::H5File::open(&path).unwrap();
    let names = file.group("model_weights").unwrap().attribute_names().unwrap();
    assert_eq!(names, ["backend", "keras_version", "layer_names0", "layer_names1"]);
    let weights = model.get_weights().unwrap();
    model.set_weights(&weights.iter().map(|w| Array::zeros(w.dtype(), w.shape())).collect::<Vec<_>>()).unwrap();
    model.load_weights(&path).unwrap();
    assert_eq!(model.get_weights().unwrap(), weights);
}
