//! A directory of images read as Keras reads it.

use std::path::PathBuf;

use rhyton_data::image::{DataFormat, Interpolation, LoadImg, img_to_array, load_img, save_img};
use rhyton_data::image_directory::{self, ColorMode, Options};
use rhyton_formats::npy::NpyValue;
use rhyton_formats::npz;
use rhyton_ir::{Array, DType};

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

#[test]
fn single_images_are_read_as_keras_reads_them_with_pillow() {
    let NpyValue::Array(expected) = npz::read_values(fixture("pillow.npz")).unwrap().remove(0).1 else {
        panic!("values are numbers")
    };
    let expected = expected.to_f64_vec();
    let mut at = 0;
    let mut check = |name: &str, options: &LoadImg| {
        let image = load_img(fixture("pillow").join(name), options).unwrap();
        let values = img_to_array(&image, DataFormat::ChannelsLast, DType::F32).to_f64_vec();
        assert_eq!(values, expected[at..at + values.len()], "{name} {options:?}");
        at += values.len();
    };
    for name in ["gray.png", "gray16.png", "gray_alpha.png", "palette.png", "rgb.png", "rgba.png"] {
        for mode in [ColorMode::Grayscale, ColorMode::Rgb, ColorMode::Rgba] {
            check(name, &LoadImg::new().color_mode(mode));
        }
        let mode = match name {
            "rgb.png" => ColorMode::Rgb,
            "rgba.png" => ColorMode::Rgba,
            "gray.png" => ColorMode::Grayscale,
            _ => continue,
        };
        for method in Interpolation::ALL {
            for (height, width, keep) in [(2, 3, false), (8, 7, false), (3, 8, true), (5, 2, true)] {
                let options = LoadImg::new().color_mode(mode).target_size(height, width).interpolation(method);
                check(name, &options.keep_aspect_ratio(keep));
            }
        }
    }
    assert_eq!(at, expected.len());
}

#[test]
fn images_are_written_in_each_format() {
    let folder = tempfile::tempdir().unwrap();
    // Two colours alone, which a palette has, and as many of each as keeps JPEG's blocks flat.
    for channels in [1, 3, 4] {
        let value = |i: usize| if i % channels == 3 || i / channels >= 128 { 1.0f32 } else { 0.0 };
        let x = Array::new([16, 16, channels], (0..16 * 16 * channels).map(value).collect::<Vec<f32>>());
        for ending in ["png", "jpg", "bmp", "gif"] {
            let path = folder.path().join(format!("{channels}.{ending}"));
            save_img(&path, &x, DataFormat::ChannelsLast, None, true).unwrap();
            let image = load_img(&path, &LoadImg::new()).unwrap();
            let read = img_to_array(&image, DataFormat::ChannelsLast, DType::F32).to_f64_vec();
            for (i, value) in read.iter().enumerate() {
                let expected = if i / 3 < 128 { 0.0 } else { 255.0 };
                assert!((value - expected).abs() <= 2.0, "{ending}, {channels} channels, element {i}: {value}");
            }
        }
    }
    let x = Array::new([1, 1, 1], vec![300.0f32]);
    let told = |path: &str, scale: bool| {
        save_img(folder.path().join(path), &x, DataFormat::ChannelsLast, None, scale).unwrap_err().to_string()
    };
    assert!(told("a.tiff", true).contains("\"tiff\""));
    assert!(told("a", true).contains("end the name in .png"));
    assert!(told("a.png", false).contains("above 255"));
    save_img(folder.path().join("b"), &x, DataFormat::ChannelsLast, Some("PNG"), true).unwrap();
    let missing = load_img(folder.path().join("none.png"), &LoadImg::new()).unwrap_err().to_string();
    assert!(missing.contains("none.png"));
    let none = load_img(folder.path().join("b"), &LoadImg::new().target_size(0, 3)).unwrap_err().to_string();
    assert!(none.contains("0 × 3"), "{none}");
}
