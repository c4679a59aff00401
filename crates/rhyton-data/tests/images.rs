//! A directory of images read as Keras reads it.

use std::path::PathBuf;

use rhyton_data::image_directory::{self, ColorMode, Options};
use rhyton_formats::npy::NpyValue;
use rhyton_formats::npz;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

#[test]
fn images_are_read_as_keras_reads_them() {
    let expected = npz::read_values(fixture("images.npz")).unwrap();
    let value = |name: &str| expected.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let cases =
        [("rgb", Options::new()), ("rgba", Options::new().color_mode(ColorMode::Rgba).class_names(["cat-wild"]))];
    for (mode, options) in cases {
        let read = image_directory::read(fixture("images"), &options.image_size(4, 7)).unwrap();
        let files: Vec<String> = read
            .files
            .iter()
            .map(|file| file.strip_prefix(fixture("images")).unwrap().to_str().unwrap().replace('\\', "/"))
            .collect();
        assert_eq!(
            value(&format!("{mode}_files")),
            NpyValue::Strings { shape: vec![files.len()], values: files.clone() }
        );
        assert_eq!(value(&format!("{mode}_labels")), NpyValue::Array(read.labels));
        let NpyValue::Array(images) = value(mode) else { panic!("images are numbers") };
        assert_eq!(read.images.shape(), images.shape());
        let each = images.len() / files.len();
        for (i, (a, b)) in read.images.to_f64_vec().into_iter().zip(images.to_f64_vec()).enumerate() {
            // TensorFlow decodes JPEG with the fast, inexact integer transform: 22.5 here where the image had 25.5, as we
            // read it. Everything else is exact up to the rounding of float32.
            let tolerance = if files[i / each].ends_with("jpg") { 4.0 } else { 1e-4 };
            assert!((a - b).abs() <= tolerance, "{}, element {}: {a} instead of {b}", files[i / each], i % each);
        }
    }
}

#[test]
fn grayscale_is_the_luma_of_bt_601() {
    let options = Options::new().image_size(1, 1).color_mode(ColorMode::Grayscale).class_names(["dog"]);
    let read = image_directory::read(fixture("images"), &options).unwrap();
    // The second image is one red pixel: 0.299 · 255 = 76.2.
    assert_eq!(read.images.to_f64_vec()[1], 76.0);
}
