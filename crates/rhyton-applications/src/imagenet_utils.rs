//! What the applications share: preprocessing of images, names of ImageNet's classes, and checks of arguments.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rhyton_core::activations::Activation;
use rhyton_core::layers::DataFormat;
use rhyton_core::ops::{self, Index};
use rhyton_core::{Array, DType, Error, Result, Tensor};
use serde_json::Value;

use crate::Weights;
use crate::arguments::IMAGENET_CLASSES;
use crate::weights::keras_models;

/// How pixels from 0 to 255 are brought to what a network was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From RGB to BGR, less the mean color of ImageNet.
    Caffe,
    /// From −1 to 1.
    Tf,
    /// From 0 to 1, then by the mean and standard deviation of each color of ImageNet.
    Torch,
}

/// The mean of ImageNet's colors, blue first, for pixels from 0 to 255.
const BGR_MEAN: [f64; 3] = [103.939, 116.779, 123.68];
/// The mean of ImageNet's colors, red first, for pixels from 0 to 1.
const RGB_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// The standard deviation of ImageNet's colors, red first, for pixels from 0 to 1.
pub(crate) const RGB_STDDEV: [f64; 3] = [0.229, 0.224, 0.225];

/// Images as a network takes them. Values are computed at once or recorded, as `x` is a value or a symbol.
///
/// # Shapes
/// `x (height, width, 3)` or `(batch, height, width, 3)`, or with the channels first, with pixels from 0 to 255.
///
/// # Dtypes
/// Integers become `float32`.
///
/// # Errors
/// If `x` has not three channels (all modes but [`Mode::Tf`], which does not look at channels), or is a symbol of integers
/// with [`Mode::Caffe`].
///
/// # Examples
/// ```
/// use rhyton_applications::imagenet_utils::{Mode, preprocess_input};
/// use rhyton_core::Tensor;
/// use rhyton_core::layers::DataFormat;
///
/// let x = Tensor::new([1, 1, 3], vec![0u8, 51, 255]);
/// let y = preprocess_input(&x, DataFormat::ChannelsLast, Mode::Tf);
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, -0.6, 1.0]);
/// # Ok::<(), rhyton_core::Error>(())
/// ```
#[track_caller]
pub fn preprocess_input(x: &Tensor, data_format: DataFormat, mode: Mode) -> Tensor {
    let x = if x.dtype().is_float() || x.is_symbol() { x.clone() } else { x.cast(DType::F32) };
    match mode {
        Mode::Tf => x / 127.5 - 1.0,
        Mode::Torch => {
            let x = x / 255.0;
            let centered = &x + along_channels(RGB_MEAN.map(|m| -m), &x, data_format);
            centered / deviations(x.dtype(), data_format)
        }
        Mode::Caffe if !x.dtype().is_float() => Tensor::invalid(Error::dtype(
            "preprocess_input",
            format!("the images are {}, which cannot hold what the mean is taken from", x.dtype()),
            "cast them to float32 first",
        )),
        Mode::Caffe => {
            let x = reversed_channels(&x, data_format);
            &x + along_channels(BGR_MEAN.map(|m| -m), &x, data_format)
        }
    }
}

/// One number a channel, in the shape and dtype in which it meets `x`.
fn along_channels(values: [f64; 3], x: &Tensor, data_format: DataFormat) -> Tensor {
    let mut shape = vec![1; x.rank().max(1)];
    let axis = match data_format {
        DataFormat::ChannelsLast => shape.len() - 1,
        DataFormat::ChannelsFirst => shape.len().saturating_sub(3),
    };
    shape[axis] = 3;
    Array::new(shape, values.to_vec()).cast(x.dtype()).into()
}

/// The standard deviations, in the shape that Keras writes them in: no more axes than they need.
fn deviations(dtype: DType, data_format: DataFormat) -> Tensor {
    let shape = match data_format {
        DataFormat::ChannelsLast => vec![3],
        DataFormat::ChannelsFirst => vec![3, 1, 1],
    };
    Array::new(shape, RGB_STDDEV.to_vec()).cast(dtype).into()
}

fn reversed_channels(x: &Tensor, data_format: DataFormat) -> Tensor {
    let channel = |i: i64| match (data_format, x.rank()) {
        (DataFormat::ChannelsLast, _) => x.slice((Index::Ellipsis, i)),
        (DataFormat::ChannelsFirst, 3) => x.slice((i, Index::Ellipsis)),
        (DataFormat::ChannelsFirst, _) => x.slice((.., i, ..)),
    };
    let axis = match (data_format, x.rank()) {
        (DataFormat::ChannelsLast, _) => -1,
        (DataFormat::ChannelsFirst, 3) => 0,
        (DataFormat::ChannelsFirst, _) => 1,
    };
    ops::stack(&[2, 1, 0].map(channel), axis)
}

/// A class of ImageNet and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Its number in WordNet, `n02123045`.
    pub class_name: String,
    /// What it is, `tabby`.
    pub description: String,
    /// What the model gave for it.
    pub score: f64,
}

/// The `top` classes with the highest scores of each sample, the highest first.
///
/// The names are read from `imagenet_class_index.json` in Keras's folder of models, where Keras puts it; see
/// [`decode_predictions_with`] for a file elsewhere.
///
/// # Errors
/// If `predictions` has not the shape `(samples, 1000)`; if the file is not there, in which case the message says how to get
/// it.
pub fn decode_predictions(predictions: &Array, top: usize) -> Result<Vec<Vec<Prediction>>> {
    decode_predictions_with(predictions, top, &keras_models().join("imagenet_class_index.json"))
}

/// [`decode_predictions`] with the class index in `file`: an object of `[class name, description]` by index.
///
/// # Errors
/// As there.
pub fn decode_predictions_with(predictions: &Array, top: usize, file: &Path) -> Result<Vec<Vec<Prediction>>> {
    if predictions.rank() != 2 || predictions.shape()[1] != IMAGENET_CLASSES {
        return Err(Error::shape(
            "decode_predictions",
            format!("the predictions have shape {:?}", predictions.shape()),
            "pass those of a model with ImageNet's classes, of shape (samples, 1000)",
        ));
    }
    let index = class_index(file)?;
    let scores = predictions.to_f64_vec();
    let decode = |scores: &[f64]| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order.truncate(top);
        let named = order.into_iter().map(|i| {
            let (class_name, description) = index[i].clone();
            Prediction { class_name, description, score: scores[i] }
        });
        named.collect()
    };
    Ok(scores.chunks(IMAGENET_CLASSES).map(decode).collect())
}

fn class_index(file: &Path) -> Result<Vec<(String, String)>> {
    let at = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| {
        Error::argument(
            "decode_predictions",
            format!("{at}: {e}"),
            "put there https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json, which Keras in \
             Python does by itself",
        )
    })?;
    let wrong = |what: String| Error::content(&at, what, "it must be an object of [class name, description] by index");
    let value: Value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let entry = |i: usize| {
        let entry = &value[i.to_string()];
        let names = entry[0].as_str().zip(entry[1].as_str());
        names.map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or_else(|| wrong(format!("class {i} is {entry}")))
    };
    (0..IMAGENET_CLASSES).map(entry).collect()
}

/// Height, width and channels of the images, checked against what the network takes.
pub(crate) fn obtain_input_shape(
    given: Option<[Option<usize>; 3]>,
    default_size: usize,
    min_size: usize,
    include_top: bool,
    weights: &Weights,
) -> Result<[Option<usize>; 3]> {
    let refuse = |what: String, fix: String| Err(Error::argument("input_shape", what, fix));
    let imagenet = *weights == Weights::ImageNet;
    let default = [Some(default_size), Some(default_size), Some(3)];
    let Some(shape) = given else { return Ok(if include_top { default } else { [None, None, Some(3)] }) };
    let written = shape.map(|d| d.map_or("None".to_owned(), |n| n.to_string())).join(", ");
    if imagenet && include_top && shape != default {
        return refuse(
            format!("it is ({written}) with the top and weights trained on ImageNet"),
            format!("leave the top away with include_top(false), or give ({default_size}, {default_size}, 3)"),
        );
    }
    if imagenet && shape[2] != Some(3) {
        return refuse(format!("it is ({written}) with weights trained on ImageNet"), "give 3 channels".into());
    }
    if shape[..2].iter().any(|d| d.is_some_and(|n| n < min_size)) {
        return refuse(format!("it is ({written})"), format!("give images of at least {min_size} x {min_size}"));
    }
    if include_top && shape.contains(&None) {
        return refuse(
            format!("it is ({written}) with the top"),
            "give known sizes, or leave the top away with include_top(false)".into(),
        );
    }
    Ok(shape)
}

/// Zeros before and after height and width such that a convolution with kernels of `kernel` and stride 2 sees what
/// TensorFlow's same padding shows it.
pub(crate) fn correct_pad(x: &Tensor, kernel: usize) -> [[usize; 2]; 2] {
    [1, 2].map(|axis| {
        let odd = x.dim(axis).known().is_some_and(|size| size % 2 == 1);
        [kernel / 2 - usize::from(!odd), kernel / 2]
    })
}

/// Refuses activations that weights of others were not trained with.
pub(crate) fn validate_activation(activation: Option<Activation>, weights: &Weights) -> Result<()> {
    match activation.unwrap_or_default() {
        Activation::Softmax | Activation::Linear => Ok(()),
        _ if *weights == Weights::None => Ok(()),
        other => Err(Error::argument(
            "classifier_activation",
            format!("it is {} with weights that were trained before", other.name()),
            "give softmax or None, or leave the top away with include_top(false)",
        )),
    }
}

/// The inputs from which `symbol` is computed, in the order in which a walk over operands meets them.
pub(crate) fn source_inputs(symbol: &Tensor) -> Vec<Tensor> {
    let (mut inputs, mut seen, mut stack) = (Vec::new(), HashSet::new(), vec![symbol.clone()]);
    while let Some(tensor) = stack.pop() {
        let Some(history) = tensor.history() else { continue };
        if !seen.insert(Arc::as_ptr(&history.node)) {
            continue;
        }
        let operands = history.node.arguments.tensors();
        if operands.is_empty() {
            inputs.push(tensor.clone());
        }
        stack.extend(operands.into_iter().rev().cloned());
    }
    inputs
}

#[cfg(test)]
mod tests {
    use rhyton_core::layers::Input;
    use rhyton_core::model::Model;

    use super::*;
    use crate::golden_test::{assert_outputs, images, line, recorded};

    /// The images of the fixtures, rounded, in the order of axes and of the rank that a case has.
    fn given(data_format: DataFormat, rank: usize) -> Tensor {
        let x = Tensor::from(
            Array::new(
                [2, 2, 3, 3],
                images(vec![2, 2, 3, 3]).to_f64_vec().iter().map(|v| v.round()).collect::<Vec<_>>(),
            )
            .cast(DType::F32),
        );
        let x = if data_format == DataFormat::ChannelsFirst { ops::transpose(&x, [0, 3, 1, 2]) } else { x };
        if rank == 3 { x.slice(0) } else { x }
    }

    #[test]
    fn preprocessing_agrees_with_keras_on_values_and_symbols() {
        for case in recorded("preprocessing")["cases"].as_array().unwrap() {
            let mode = match case["mode"].as_str().unwrap() {
                "caffe" => Mode::Caffe,
                "tf" => Mode::Tf,
                _ => Mode::Torch,
            };
            let first = case["data_format"] == "channels_first";
            let data_format = if first { DataFormat::ChannelsFirst } else { DataFormat::ChannelsLast };
            let x = given(data_format, case["shape"].as_array().unwrap().len());
            let expected: Vec<f64> = case["outputs"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let what = format!("{mode:?} {data_format} {}", x.shape());
            assert_outputs(&what, &preprocess_input(&x, data_format, mode).to_vec::<f64>().unwrap(), &expected);
            assert_outputs(
                &what,
                &preprocess_input(&x.cast(DType::U8), data_format, mode).to_vec::<f64>().unwrap(),
                &expected,
            );
            let Some(layers) = case["layers"].as_array() else { continue };
            rhyton_core::naming::reset_names();
            let image = Input::new(x.shape().known().unwrap()[1..].to_vec());
            let model = Model::new(&image, preprocess_input(&image.symbol(), data_format, mode)).unwrap();
            let config = model.to_json();
            for (layer, expected) in config["config"]["layers"].as_array().unwrap().iter().zip(layers) {
                assert_eq!(line(layer), expected.as_str().unwrap(), "{what}: {layer}");
            }
        }
    }

    #[test]
    fn predictions_are_named_by_falling_score() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("imagenet_class_index.json");
        let mut predictions = vec![0.0f32; 2000];
        (predictions[7], predictions[3], predictions[1999]) = (0.75, 0.25, 1.0);
        let predictions = Array::new([2, 1000], predictions);
        let missing = decode_predictions_with(&predictions, 2, &file).unwrap_err().to_string();
        assert!(missing.contains("imagenet_class_index.json"), "{missing}");
        let index: serde_json::Map<String, Value> =
            (0..1000).map(|i| (i.to_string(), serde_json::json!([format!("n{i}"), format!("thing {i}")]))).collect();
        std::fs::write(&file, serde_json::to_string(&index).unwrap()).unwrap();
        let decoded = decode_predictions_with(&predictions, 2, &file).unwrap();
        let names: Vec<Vec<&str>> = decoded.iter().map(|d| d.iter().map(|p| p.class_name.as_str()).collect()).collect();
        assert_eq!(names[0], ["n7", "n3"]);
        assert_eq!(names[1][0], "n999");
        assert_eq!((decoded[0][0].description.as_str(), decoded[0][0].score), ("thing 7", 0.75));
        assert!(decode_predictions_with(&Array::new([1, 2], vec![0.0f32; 2]), 2, &file).is_err());
        std::fs::write(&file, "{\"0\": 1}").unwrap();
        assert!(matches!(decode_predictions_with(&predictions, 1, &file), Err(Error::Content(_))));
    }

    #[test]
    fn shapes_of_images_are_checked_as_in_keras() {
        let shape = |given: Option<[Option<usize>; 3]>, top, weights: &Weights| {
            obtain_input_shape(given, 224, 32, top, weights)
        };
        let (none, imagenet) = (&Weights::None, &Weights::ImageNet);
        assert_eq!(shape(None, true, none).unwrap(), [Some(224), Some(224), Some(3)]);
        assert_eq!(shape(None, false, none).unwrap(), [None, None, Some(3)]);
        assert_eq!(shape(Some([Some(32), None, Some(5)]), false, none).unwrap(), [Some(32), None, Some(5)]);
        let refused = |given, top, weights, what: &str| {
            let error = shape(Some(given), top, weights).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        refused([Some(31), Some(32), Some(3)], false, none, "at least 32 x 32");
        refused([Some(32), None, Some(3)], true, none, "known sizes");
        refused([Some(32), Some(32), Some(1)], false, imagenet, "3 channels");
        refused([Some(32), Some(32), Some(3)], true, imagenet, "(224, 224, 3)");
    }

    #[test]
    fn activations_must_be_those_that_weights_were_trained_with() {
        assert!(validate_activation(Some(Activation::Sigmoid), &Weights::None).is_ok());
        assert!(validate_activation(None, &Weights::ImageNet).is_ok());
        assert!(validate_activation(Some(Activation::Sigmoid), &Weights::ImageNet).is_err());
    }
}
