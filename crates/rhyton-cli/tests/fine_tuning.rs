//! Directories of images: trained on, fine-tuned on, predicted.

mod support;

use rhyton::formats::npz;
use support::Folder;

/// `photos/`: the digits as images in one folder a class.
fn photos(folder: &Folder, name: &str, classes: usize) {
    folder.succeeds(&["data", "export", "digits", name, "--split", "test"]);
    for class in classes..10 {
        std::fs::remove_dir_all(folder.path(name).join(class.to_string())).unwrap();
    }
}

#[test]
fn a_trained_model_gets_a_classifier_for_other_classes() {
    let folder = Folder::new();
    photos(&folder, "photos", 3);
    let train =
        ["train", "photos", "--model", "mlp", "--image-size", "8", "--epochs", "3", "--quiet", "--output", "base"];
    folder.succeeds(&train);
    assert_eq!(folder.read("base/classes.json"), b"[\n  \"0\",\n  \"1\",\n  \"2\"\n]\n");
    photos(&folder, "more", 4);
    let error = folder.fails(&["train", "more", "--model", "base/model.keras", "--output", "no"]);
    assert!(error.contains("3 outputs but the data has 4 classes; add --fine-tune"), "{error}");
    // The size and the colours of the images are those of the model.
    let tune = ["train", "more", "--model", "base/model.keras", "--fine-tune", "--epochs", "2", "--output", "tuned"];
    let outcome = folder.run(&tune);
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    assert!(outcome.err.contains("4 classes") && outcome.err.contains("260 of them trained"), "{}", outcome.err);
    for run in ["base", "tuned"] {
        folder.succeeds(&["weights", &format!("{run}/model.keras"), "--output", &format!("{run}.npz")]);
    }
    let read = |name: &str| npz::read(folder.path(name)).unwrap();
    let (base, tuned) = (read("base.npz"), read("tuned.npz"));
    for (name, array) in &base[..base.len() - 2] {
        let found = &tuned.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1;
        assert_eq!(found, array, "{name} is frozen");
    }
    assert_eq!(tuned[tuned.len() - 2].0, "classifier/kernel");
    // All of it, slowly.
    let all = ["train", "more", "--model", "tuned/model.keras", "--fine-tune", "all", "--learning-rate", "1e-5"];
    folder.succeeds(&[&all as &[&str], &["--epochs", "1", "--quiet", "--output", "all"]].concat());
    folder.succeeds(&["weights", "all/model.keras", "--output", "all.npz"]);
    assert_ne!(read("all.npz")[0], tuned[0]);
    // Predictions for files.
    let image = |class: &str| {
        let name = support::names(&folder.path("more").join(class)).swap_remove(0);
        format!("more/{class}/{name}")
    };
    let predict = ["predict", "all/model.keras", "--inputs", &image("0"), &image("1"), "--output", "p.npz"];
    folder.succeeds(&predict);
    assert_eq!(read("p.npz")[0].1.shape(), [2, 4]);
}

#[test]
fn folders_that_are_no_data_set_are_told_why() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("photos/cat")).unwrap();
    let error = |folder: &Folder| folder.fails(&["train", "photos", "--output", "run"]);
    assert!(error(&folder).contains("there are no images"));
    folder.write("photos/cat/a.png", "no picture");
    assert!(error(&folder).contains("a.png"));
    let support = Folder::new().with_model();
    photos(&support, "photos", 2);
    let error = support.fails(&["train", "photos", "--model", "model.keras", "--fine-tune"]);
    assert!(error.contains("(batch, height, width, channels)") && error.contains("model.keras"), "{error}");
    let error = support.fails(&["train", "photos", "--model", "cnn", "--fine-tune", "nope"]);
    assert!(error.contains("no layer of this name"), "{error}");
}
