//! Arguments that mean nothing.

mod support;

use support::Folder;

#[test]
fn numbers_out_of_range_are_named_before_anything_is_read() {
    let folder = Folder::new().with_model().with_data();
    let fit = |more: &[&str]| folder.fails(&[&["fit", "model.keras", "--data", "data.npz"], more].concat());
    for (option, values) in [
        ("--batch-size", &["0", "-1", "x", "1.5"] as &[&str]),
        ("--epochs", &["0", "-3", "99999999999999999999"]),
        ("--validation-split", &["1", "2", "-0.5", "nan", "x"]),
        ("--threads", &["0", "9999", "-1"]),
        ("--seed", &["-1", "x"]),
        ("--device", &["cuda:0", "tpu"]),
    ] {
        for value in values {
            let error = fit(&[option, value]);
            assert!(error.contains(option) && error.contains(value), "{option} {value}: {error}");
        }
    }
    for (option, value) in
        [("--learning-rate", "0"), ("--learning-rate", "nan"), ("--epochs", "0"), ("--image-size", "0")]
    {
        let error = folder.fails(&["train", option, value]);
        assert!(error.contains(option) && error.contains(value), "{error}");
    }
    assert_eq!(folder.names(), ["data.npz", "model.keras"]);
}

#[test]
fn unknown_names_come_with_those_that_are_known() {
    let folder = Folder::new().with_model().with_data();
    folder.write("callback.json", r#"[{"class_name": "EarlyStoppin", "config": {}}]"#);
    folder.write("field.json", r#"[{"class_name": "EarlyStopping", "config": {"patienc": 3}}]"#);
    folder.write("text.json", "hello");
    folder.write("object.json", "{}");
    let callbacks = |name: &'static str| vec!["fit", "model.keras", "--data", "data.npz", "--callbacks", name];
    for (arguments, told) in [
        (vec!["nope"], "nope"),
        (vec![], "no command is given"),
        (vec!["summary"], "<MODEL>"),
        (vec!["summary", "model.keras", "--epoch", "1"], "--epoch"),
        (vec!["train", "nope"], "digits"),
        (vec!["train", "--model", "nope"], "cnn and mlp"),
        (vec!["train", "--optimizer", "adamm"], "did you mean Adam"),
        (vec!["data", "describe", "nope"], "digits"),
        (vec!["data", "export", "digits", "d.npz", "--split", "nope"], "train, test, all"),
        (vec!["bench", "nope"], "train_mlp"),
        (vec!["bench", "--profile", "--trace", "t.json"], "name one"),
        (vec!["convert", "model.keras", "out.xyz"], ".weights.h5"),
        (vec!["convert", "model.keras", "out.keras", "--to", "nope"], "keras, weights.h5, weights.json"),
        (vec!["plot", "model.keras", "--output", "g.gif"], ".svg or .png"),
        (vec!["predict", "model.keras", "--inputs", "data.npz", "--output", "p.txt"], ".npz or .npy"),
        (vec!["weights", "model.keras", "--output", "w.txt"], ".npz"),
        (vec!["fit", "model.keras", "--data", "data.npz", "--save", "out.txt"], ".keras"),
        (callbacks("none.json"), "none.json"),
        (callbacks("text.json"), "not JSON"),
        (callbacks("object.json"), "is not a list"),
        (callbacks("callback.json"), "did you mean EarlyStopping"),
        (callbacks("field.json"), "`patience`"),
    ] {
        let error = folder.fails(&arguments);
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
}

#[test]
fn every_command_has_an_example() {
    let folder = Folder::new();
    for command in
        ["train", "fit", "evaluate", "predict", "summary", "plot", "weights", "convert", "data", "bench", "devices"]
    {
        let help = folder.succeeds(&[command, "--help"]);
        assert!(help.contains(&format!("Example: rhyton {command}")), "{help}");
    }
}
