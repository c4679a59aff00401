//! Models of texts: NumPy's strings in, texts or numbers out.

mod support;

use rhyton::formats::npy::NpyValue;
use rhyton::formats::npz;
use rhyton::prelude::*;
use support::Folder;

fn strings(shape: &[usize], values: &[&str]) -> NpyValue {
    NpyValue::Strings { shape: shape.to_vec(), values: values.iter().map(|&v| v.to_owned()).collect() }
}

/// A folder with a model from words to numbers and one back.
fn folder() -> Folder {
    let folder = Folder::new();
    let lookup = StringLookup::new().vocabulary(["red", "blue"]).output_mode(OutputMode::MultiHot);
    let model = Sequential::new().add(Input::new([2]).string()).add(lookup).add(Dense::new(1));
    model.compile(SGD::new(0.1), "mse", [] as [&str; 0]).unwrap();
    model.save(folder.path("model.keras")).unwrap();
    let back = StringLookup::new().vocabulary(["red", "blue"]).invert(true);
    let back = Sequential::new().add(Input::new([2]).dtype(DType::I64)).add(back);
    back.save(folder.path("back.keras")).unwrap();
    folder
}

#[test]
fn strings_are_fed_and_written() {
    let folder = folder();
    let x = strings(&[3, 2], &["red", "blue", "é", "", "blue", "blue"]);
    let y = NpyValue::Array(Array::new([3, 1], vec![1.0f32, 0.0, 0.5]));
    npz::write_values(folder.path("data.npz"), &[("x", &x), ("y", &y)]).unwrap();
    folder.succeeds(&["fit", "model.keras", "--data", "data.npz", "--save", "out.keras", "--quiet"]);
    folder.succeeds(&["predict", "out.keras", "--inputs", "data.npz", "--output", "p.npz"]);
    assert_eq!(npz::read(folder.path("p.npz")).unwrap()[0].1.shape(), [3, 1]);

    let ids = NpyValue::Array(Array::new([1, 2], vec![2i64, 0]));
    npz::write_values(folder.path("ids.npz"), &[("x", &ids)]).unwrap();
    folder.succeeds(&["predict", "back.keras", "--inputs", "ids.npz", "--output", "words.npz"]);
    let words = npz::read_values(folder.path("words.npz")).unwrap();
    assert_eq!(words, [("y".to_owned(), strings(&[1, 2], &["blue", "[UNK]"]))]);
}

#[test]
fn texts_and_numbers_in_the_wrong_places_are_told() {
    let folder = folder();
    let (words, numbers) = (strings(&[1, 2], &["a", "b"]), NpyValue::Array(Array::new([1, 2], vec![1i64, 2])));
    npz::write_values(folder.path("words.npz"), &[("x", &words), ("y", &words)]).unwrap();
    npz::write_values(folder.path("numbers.npz"), &[("x", &numbers), ("y", &numbers)]).unwrap();
    let predict = |model: &str, data: &str| folder.fails(&["predict", model, "--inputs", data, "--output", "p.npz"]);
    assert!(predict("model.keras", "numbers.npz").contains("takes texts"));
    assert!(predict("back.keras", "words.npz").contains("takes numbers"));
    let error = folder.fails(&["evaluate", "model.keras", "--data", "words.npz"]);
    assert!(error.contains("y holds texts"), "{error}");
}
