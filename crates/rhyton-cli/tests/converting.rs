//! `rhyton convert` between all formats.

mod support;

use rhyton::formats::npz;
use rhyton::saving::load_model;
use support::Folder;

/// Predictions of the model in a file.
fn predictions(folder: &Folder, model: &str) -> Vec<u8> {
    folder.succeeds(&["predict", model, "--inputs", "data.npz", "--output", "p.npz", "--quiet"]);
    folder.read("p.npz")
}

#[test]
fn a_model_survives_every_format_that_holds_one() {
    let folder = Folder::new().with_model().with_data();
    let expected = predictions(&folder, "model.keras");
    folder.succeeds(&["convert", "model.keras", "a.h5"]);
    assert!(predictions(&folder, "a.h5") == expected);
    folder.succeeds(&["convert", "a.h5", "b.keras"]);
    assert!(predictions(&folder, "b.keras") == expected);
    let (a, b) = (load_model(folder.path("model.keras")).unwrap(), load_model(folder.path("b.keras")).unwrap());
    assert_eq!(a.to_json(), b.to_json());
    folder.succeeds(&["convert", "b.keras", "unnamed", "--to", "h5"]);
    std::fs::rename(folder.path("unnamed"), folder.path("named.h5")).unwrap();
    assert!(predictions(&folder, "named.h5") == expected);
    assert!(!folder.names().iter().any(|n| n.starts_with("unnamed")), "{:?}", folder.names());
}

#[test]
fn weights_and_an_architecture_make_the_model_again() {
    let folder = Folder::new().with_model().with_data();
    let expected = predictions(&folder, "model.keras");
    folder.succeeds(&["convert", "model.keras", "model.json"]);
    for weights in ["w.weights.h5", "w.weights.json", "w.npz", "w.safetensors"] {
        folder.succeeds(&["convert", "model.keras", weights]);
        for (config, made) in [("model.json", "made.keras"), ("model.keras", "made.h5")] {
            folder.succeeds(&["convert", weights, made, "--config", config]);
            assert!(predictions(&folder, made) == expected, "{weights} {made}");
        }
        let error = folder.fails(&["convert", weights, "made.keras"]);
        assert!(error.contains(weights) && error.contains("--config"), "{error}");
    }
    // Named arrays change their container without a model.
    folder.succeeds(&["convert", "w.npz", "x.safetensors"]);
    folder.succeeds(&["convert", "x.safetensors", "x.npz"]);
    let sorted = |name: &str| {
        let mut arrays = npz::read(folder.path(name)).unwrap();
        arrays.sort_by(|a, b| a.0.cmp(&b.0));
        arrays
    };
    assert_eq!(sorted("x.npz"), sorted("w.npz"));
    // What `numpy.savez(*model.get_weights())` writes.
    let arrays = npz::read(folder.path("w.npz")).unwrap();
    let names: Vec<String> = (0..arrays.len()).map(|i| format!("arr_{i}")).collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(arrays.iter().map(|(_, a)| a.clone())).collect();
    folder.npz("numbered.npz", &named);
    folder.succeeds(&["convert", "numbered.npz", "made.keras", "--config", "model.json"]);
    assert!(predictions(&folder, "made.keras") == expected);
}

#[test]
fn shards_are_as_small_as_asked_for() {
    let folder = Folder::new().with_model();
    folder.succeeds(&["convert", "model.keras", "w.weights.json", "--max-shard-size", "0.0000001"]);
    assert!(folder.names().contains(&"w_00002.weights.h5".to_owned()), "{:?}", folder.names());
    let error = folder.fails(&["convert", "model.keras", "w.weights.json", "--max-shard-size", "0.000000001"]);
    assert!(error.contains("max_shard_size"), "{error}");
    assert!(folder.fails(&["convert", "model.keras", "w.npz", "--max-shard-size", "1"]).contains("--max-shard-size"));
}

#[test]
fn what_does_not_fit_together_is_told() {
    let folder = Folder::new().with_model().with_data();
    folder.succeeds(&["convert", "model.keras", "model.json"]);
    folder.write("empty.json", "{}");
    folder.write("broken.json", "{");
    folder.npz("wrong.npz", &[("hidden/kernel", support::features(4, 4))]);
    folder.npz("short.npz", &[("arr_0", support::features(4, 4))]);
    folder.npz("none.npz", &[("other", support::features(4, 4))]);
    for (arguments, told) in [
        (&["convert", "model.keras", "out.tflite"] as &[&str], "known format"),
        (&["convert", "data.xyz", "out.keras"], "data.xyz"),
        (&["convert", "model.keras", "out.h5", "--config", "model.json"], "leave --config out"),
        (&["convert", "data.npz", "out.keras", "--config", "empty.json"], "empty.json"),
        (&["convert", "data.npz", "out.keras", "--config", "broken.json"], "broken.json"),
        (&["convert", "wrong.npz", "out.keras", "--config", "model.json"], "[4, 4]"),
        (&["convert", "short.npz", "out.keras", "--config", "model.json"], "1 arrays, the model has 4"),
        (&["convert", "none.npz", "out.keras", "--config", "model.json"], "the file holds other"),
    ] {
        let error = folder.fails(arguments);
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
    assert!(!folder.names().iter().any(|n| n.starts_with("out.")), "{:?}", folder.names());
}
