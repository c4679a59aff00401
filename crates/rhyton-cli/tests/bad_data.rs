//! Arrays that do not fit the model, and what is lost when the loss is no number.

mod support;

use rhyton::prelude::*;
use support::{Folder, features, labels};

/// The errors of `fit`, `evaluate` and `predict` for a file.
fn errors(folder: &Folder, data: &str) -> [String; 2] {
    let fit = folder.fails(&["fit", "model.keras", "--data", data, "--save", "out.keras"]);
    assert!(!folder.path("out.keras").exists());
    [fit, folder.fails(&["evaluate", "model.keras", "--data", data])]
}

#[test]
fn wrong_shapes_are_told_with_both_shapes_and_the_input() {
    let folder = Folder::new().with_model();
    folder.npz("bad.npz", &[("x", features(50, 3)), ("y", labels(50, 3))]);
    let predict = folder.fails(&["predict", "model.keras", "--inputs", "bad.npz", "--output", "p.npz"]);
    for error in errors(&folder, "bad.npz").iter().chain([&predict]) {
        assert!(error.contains("features") && error.contains("[batch,4]") && error.contains("[32,3]"), "{error}");
    }
    folder.npz("bad.npz", &[("x", features(50, 4)), ("y", features(50, 7))]);
    for error in errors(&folder, "bad.npz") {
        assert!(error.contains("[32,7]") && error.contains("[32,3]"), "{error}");
    }
}

#[test]
fn arrays_that_are_missing_empty_or_of_other_lengths_are_named() {
    let folder = Folder::new().with_model();
    let (x, y) = (features(50, 4), labels(50, 3));
    for (arrays, told) in [
        (vec![("a", x.clone()), ("y", y.clone())], "no array named x; the file holds a, y"),
        (vec![("x", x.clone())], "no array named y; the file holds x"),
        (vec![], "the file holds nothing"),
        (vec![("x", x.clone()), ("y", labels(49, 3))], "x[0] has 50 samples but y[0] has 49"),
        (vec![("x", features(0, 4)), ("y", labels(0, 3))], "there are no samples"),
        (vec![("x", Array::scalar(1.0f32)), ("y", Array::scalar(1))], "no axis of samples"),
        (vec![("x", x.clone()), ("y", y.clone()), ("sample_weight", labels(7, 3))], "sample_weight[0] has 7"),
    ] {
        folder.npz("bad.npz", &arrays);
        for error in errors(&folder, "bad.npz") {
            assert!(error.contains("bad.npz") && error.contains(told), "{told}: {error}");
        }
    }
}

#[test]
fn labels_beyond_the_classes_are_named() {
    let folder = Folder::new().with_model();
    for (wrong, told) in [(3, "is 3 but its 3 classes are 0 to 2"), (-1, "is -1 but")] {
        let mut values = vec![0i32; 50];
        values[17] = wrong;
        folder.npz("bad.npz", &[("x", features(50, 4)), ("y", Array::new([50], values))]);
        for error in errors(&folder, "bad.npz") {
            assert!(error.contains("sample 17") && error.contains(told), "{error}");
        }
    }
}

#[test]
fn models_with_several_inputs_name_the_one_that_does_not_fit() {
    let folder = Folder::new();
    let (left, right) = (Input::new([4]).name("left"), Input::new([2]).name("right"));
    let joined = Concatenate::new().call([&left.symbol(), &right.symbol()]);
    let outputs = [Dense::new(1).name("a").call(&joined), Dense::new(2).name("b").call(&joined)];
    let model = Model::new([&left.symbol(), &right.symbol()], outputs.to_vec()).unwrap();
    model.compile(SGD::new(0.1), "mse", Vec::<&str>::new()).unwrap();
    model.save(folder.path("two.keras")).unwrap();
    let (x4, x2) = (features(9, 4), features(9, 2));
    folder.npz("swapped.npz", &[("left", x2.clone()), ("right", x4.clone())]);
    folder.npz("missing.npz", &[("left", x4.clone())]);
    folder.npz("lengths.npz", &[("left", x4.clone()), ("right", features(5, 2))]);
    let predict =
        |inputs: &str, output: &str| folder.fails(&["predict", "two.keras", "--inputs", inputs, "--output", output]);
    assert!(predict("swapped.npz", "p.npz").contains("input left"));
    assert!(predict("missing.npz", "p.npz").contains("no array named right or x1; the file holds left"));
    assert!(predict("lengths.npz", "p.npz").contains("x[0] has 9 samples but x[1] has 5"));
    folder.npz("good.npz", &[("left", x4), ("right", x2)]);
    assert!(predict("good.npz", "p.npy").contains("a .npy holds one array, not 2"));
}

#[test]
fn models_that_are_not_compiled_are_not_trained() {
    let folder = Folder::new().with_data();
    Sequential::new().add(Input::new([4])).add(Dense::new(3)).save(folder.path("plain.keras")).unwrap();
    assert!(folder.fails(&["fit", "plain.keras", "--data", "data.npz"]).contains("not compiled"));
    assert!(folder.fails(&["evaluate", "plain.keras", "--data", "data.npz"]).contains("not compiled"));
}

#[test]
fn a_loss_that_is_no_number_says_where_from_and_saves_nothing() {
    let folder = Folder::new().with_model();
    let mut values = features(50, 4).to_f64_vec();
    values[4 * 3 + 1] = f64::NAN;
    folder.npz("nan.npz", &[("x", Array::new([50, 4], values)), ("y", labels(50, 3))]);
    let before = folder.read("model.keras");
    let error =
        folder.fails(&["fit", "model.keras", "--data", "nan.npz", "--save", "model.keras", "--history", "h.json"]);
    assert!(error.contains("loss of epoch 1 is NaN, and nothing is saved"), "{error}");
    assert!(error.contains("in nan.npz x holds NaN in sample 3"), "{error}");
    assert_eq!(folder.read("model.keras"), before);
    assert_eq!(folder.names(), ["model.keras", "nan.npz"]);
    // Evaluating is no failure: the answer is that the loss is no number.
    assert!(folder.succeeds(&["evaluate", "model.keras", "--data", "nan.npz"]).contains("loss: NaN"));
    assert!(folder.succeeds(&["evaluate", "model.keras", "--data", "nan.npz", "--json"]).contains("\"loss\":null"));
}

#[test]
fn a_training_that_diverges_says_what_is_kept() {
    let folder = Folder::new();
    let train = ["train", "--model", "mlp", "--output", "run", "--learning-rate", "1e30", "--epochs", "2"];
    let error = folder.fails(&train);
    assert!(error.contains("nothing was saved") || error.contains("kept in run/model.keras"), "{error}");
    assert_eq!(folder.path("run/model.keras").exists(), error.contains("kept"), "{error}");
}
